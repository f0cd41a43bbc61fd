"""A group's rules, ours and by hand."""

from __future__ import annotations

from bench.firewall import group
from ganeti_ext import groups


def test_one_port_is_let_in_instead_of_the_other() -> None:
    for version, port in enumerate(group.PORTS, 1):
        said = groups.read(group.tags(port, version))["5c0a7a54"]
        assert said.group is not None
        assert [rule.first for rule in said.group.rules if rule.protocol == "udp"] == [port]
        assert f"@{said.group.key}" == group.PROFILE
        for text in (group.nft_change(2, port), group.iptables_change(2, port)):
            assert {str(each) in text for each in group.PORTS if each != port} == {False}
            assert text.count(str(port)) == 2


def test_every_tap_has_a_chain_that_is_said_anew() -> None:
    made, change = group.nft(3).splitlines(), group.nft_change(3, 8000).splitlines()
    assert [line for line in made if line.startswith("add chain bridge hand in_tap")] == [
        f"add chain bridge hand in_tap{number}" for number in range(3)
    ]
    assert [line for line in change if line.startswith("flush")] == [
        f"flush chain bridge hand in_tap{number}" for number in range(3)
    ]
    legacy = group.iptables_change(3, 8000).splitlines()
    assert [line for line in legacy if line.startswith(":")] == [f":in-tap{number} - [0:0]" for number in range(3)]
    assert [line.split()[1] for line in legacy if line.endswith("-j DROP")] == [
        f"in-tap{number}" for number in range(3)
    ]
    assert group.iptables(3).count("--physdev-out") == 3
