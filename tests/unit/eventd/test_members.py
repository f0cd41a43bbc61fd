"""Who is a member of a group, out of what Ganeti says of instances and networks."""

from __future__ import annotations

from typing import Any

import pytest

from eventd import members
from eventd.messages import News
from ganeti_ext import members as grammar
from ganeti_ext.errors import ContractError

WEB, DB = "4f1a2b3c", "9e8d7c6b"
MAC = "aa:00:00:00:00:01"


def instance(*tags: str, **more: Any) -> dict[str, Any]:
    nics = {"nic.names": [None], "nic.uuids": ["u0"], "nic.ips": ["10.0.0.5"], "nic.macs": [MAC]}
    return {"name": "a", "pnode": "node1", "tags": list(tags), **nics, "nic.networks.names": [None], **more}


def network(**more: Any) -> dict[str, dict[str, Any]]:
    parts = dict.fromkeys(("uuid", "network", "gateway", "network6", "gateway6", "mac_prefix"))
    return {"net": {"name": "net", **parts, "tags": [], **more}}


def found(row: dict[str, Any], networks: dict[str, dict[str, Any]] | None = None) -> dict[str, list[str]]:
    return members.addresses_of([row], networks or {}, (WEB, DB))


@pytest.mark.parametrize(
    ("tags", "groups"),
    [
        ((f"ganeti-ext:firewall:@{WEB}",), {WEB}),
        ((f"ganeti-ext:firewall:ssh+@{DB}+@{WEB}",), {WEB, DB}),
        ((f"ganeti-ext:firewall:default+@{WEB}",), {WEB}),
        ((f"ganeti-ext:firewall.0:@{DB}", f"ganeti-ext:firewall:@{WEB}"), {DB}),
        (("ganeti-ext:firewall.u0:ssh", f"ganeti-ext:firewall:@{WEB}"), set()),
        ((f"ganeti-ext:firewall.1:@{DB}", f"ganeti-ext:firewall:@{WEB}"), {WEB}),
        ((f"ganeti-ext:firewall:@{DB}", f"ganeti-ext:firewall:@{WEB}"), set()),
        (("ganeti-ext:firewall:@00000000",), set()),
        ((f"ganeti-ext:name:@{WEB}",), set()),
        (("ganeti-ext:firewall:ssh",), set()),
        ((), set()),
    ],
)
def test_tags_tell_the_groups(tags: tuple[str, ...], groups: set[str]) -> None:
    """As the NIC's node reads them; where they contradict each other no node lets the NIC up."""
    assert found(instance(*tags)) == {key: ["10.0.0.5"] if key in groups else [] for key in (WEB, DB)}


def test_a_networks_tag_counts_where_the_instance_says_nothing() -> None:
    row, nets = instance(**{"nic.networks.names": ["net"]}), network(tags=[f"ganeti-ext:firewall:@{WEB}"])
    assert found(row, nets)[WEB] == ["10.0.0.5"]
    assert found({**row, "tags": ["ganeti-ext:firewall:ssh"]}, nets)[WEB] == []
    assert found({**row, "tags": [f"ganeti-ext:firewall:default+@{DB}"]}, nets) == {WEB: ["10.0.0.5"], DB: ["10.0.0.5"]}


def test_addresses_are_those_that_a_guest_may_use() -> None:
    tag, nets = f"ganeti-ext:firewall:@{WEB}", network(network6="2001:db8::/64")
    row = instance(tag, **{"nic.networks.names": ["net"]})
    assert found(row, nets)[WEB] == ["10.0.0.5", "2001:db8::a800:ff:fe00:1"]
    assert found({**row, "tags": [tag, "disable_ipv4"]}, nets)[WEB] == ["2001:db8::a800:ff:fe00:1"]
    assert found({**row, "nic.ips": [None]}, nets)[WEB] == ["2001:db8::a800:ff:fe00:1"]
    assert found({**row, "nic.ips": ["nonsense"]}, nets)[WEB] == []
    assert found({**row, "nic.macs": [], "nic.ips": []}, nets)[WEB] == []


def test_each_nic_by_itself() -> None:
    nics: dict[str, Any] = {"nic.ips": ["10.0.0.5", "10.0.1.5"], "nic.macs": [MAC, MAC], "nic.uuids": ["u0", "u1"]}
    row = instance(
        f"ganeti-ext:firewall.u1:@{DB}", f"ganeti-ext:firewall:@{WEB}", **nics, **{"nic.names": [None, None]}
    )
    assert found(row) == {WEB: ["10.0.0.5"], DB: ["10.0.1.5"]}


def news(operation: str, status: str = "success", **more: str) -> News:
    return News("1/0", status, {"operation": operation, **more}, 0.0, 0.0)


def test_what_may_change_it() -> None:
    assert members.stirred([news("OP_INSTANCE_REMOVE", instance="a")]) == (True, set())
    assert members.stirred([news("OP_INSTANCE_STARTUP", instance="a"), news("OP_BACKUP_EXPORT")]) == (True, {"a"})
    assert members.stirred([news("OP_TAGS_SET"), news("OP_INSTANCE_FAILOVER", "error", instance="b")]) == (True, {"b"})
    assert members.stirred([news("OP_INSTANCE_CREATE", "running"), news("OP_GROUP_ADD")]) == (False, set())


def test_there_and_back() -> None:
    told = {WEB: ["10.0.0.5", "2001:db8::5"], DB: [], "a0000000": [f"10.1.{n // 256}.{n % 256}" for n in range(9000)]}
    env = grammar.variables(grammar.render(told), "1.5")
    assert env[grammar.TIME] == "1.5"
    assert max(map(len, env.values())) <= 100_000
    assert grammar.parse(grammar.of_environment(env)) == {key: tuple(some) for key, some in told.items() if some}
    assert grammar.parse(grammar.of_environment(grammar.variables("", "1.5"))) == {}
    with pytest.raises(ContractError, match="GANETI_EXT_MEMBERS_1 is not set"):
        grammar.of_environment({**env, f"{grammar.NAME}_1": ""})
    for text in ("x 10.0.0.1\n", "4F1A2B3C 10.0.0.1\n", f"{WEB} 10.0.0\n", f"{WEB}  10.0.0.1\n", f"{WEB} \n"):
        with pytest.raises(ValueError, match=r"is no group's key|does not appear to be"):
            grammar.parse(text)


def test_how_many_there_may_be() -> None:
    many = {f"{n:08x}": [f"10.{n}.{m // 256}.{m % 256}" for m in range(4000)] for n in range(5)}
    kept, less = grammar.bounded({**many, "f0000000": ["10.0.0.1"]})
    assert [len(some) for some in kept.values()] == [4000, 4000, 4000, 4000, 384, 0]
    assert less == ["00000004", "f0000000"]
    kept, less = grammar.bounded({WEB: [f"10.0.{m // 256}.{m % 256}" for m in range(4097)], DB: ["10.0.0.1"] * 5000})
    assert (len(kept[WEB]), kept[DB], less) == (4096, ["10.0.0.1"], [WEB])
