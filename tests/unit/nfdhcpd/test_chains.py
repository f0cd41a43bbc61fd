from __future__ import annotations

import pytest

from nfdhcpd import chains
from nfdhcpd.settings import Dhcp, General, Ipv6, Settings

FOREIGN = "-A PREROUTING -i eth0 -j MARK --set-xmark 0x1/0xffffffff"
FOUR = (
    "-N nfdhcpd",
    "-A PREROUTING -p udp -m udp --dport 67 -j nfdhcpd",
    "-A nfdhcpd -m physdev --physdev-in tap+ -j NFQUEUE --queue-num 42",
    "-A nfdhcpd -i tap+ -j NFQUEUE --queue-num 42",
)
SIX = (
    "-N nfdhcpd",
    "-A PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 133 -j nfdhcpd",
    "-A PREROUTING -p udp -m udp --dport 547 -j nfdhcpd",
    "-A nfdhcpd -m physdev --physdev-in tap+ -j NFQUEUE --queue-num 43",
    "-A nfdhcpd -i tap+ -j NFQUEUE --queue-num 43",
    "-N nfdhcpd-ns",
    "-A PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j nfdhcpd-ns",
    "-A nfdhcpd-ns ! -d fe80::/10 -i tap+ -m physdev ! --physdev-is-in -j NFQUEUE --queue-num 43 --queue-bypass",
)


def lines(found: list[chains.Chain]) -> tuple[str, ...]:
    return tuple(line for chain in found for line in chain.lines())


def listing(*rules: str) -> str:
    return "\n".join(["-P PREROUTING ACCEPT", *rules, ""])


def test_rules_look_at_the_protocol_first_and_at_taps_alone() -> None:
    assert lines(chains.ipv4(Settings())) == FOUR
    assert lines(chains.ipv6(Settings())) == SIX


def test_a_dead_daemon_lets_nothing_through_but_what_the_kernel_answers() -> None:
    bypass = [line for line in FOUR + SIX if "bypass" in line]
    assert bypass == [SIX[-1]]
    assert not [line for line in lines(chains.ipv4(Settings())) if "bypass" in line]


def test_a_family_that_is_off_has_no_rules() -> None:
    assert chains.ipv4(Settings(dhcp=Dhcp(enable=False))) == []
    assert chains.ipv6(Settings(ipv6=Ipv6(enable=False))) == []


def test_routed_taps_alone_need_no_physdev() -> None:
    settings = Settings(General(bridged=False))
    found = lines(chains.ipv4(settings) + chains.ipv6(settings))
    assert "physdev" not in "".join(found)
    assert "-A nfdhcpd -i tap+ -j NFQUEUE --queue-num 42" in found
    assert "-A nfdhcpd-ns ! -d fe80::/10 -i tap+ -j NFQUEUE --queue-num 43 --queue-bypass" in found


def test_other_queues_and_another_prefix() -> None:
    settings = Settings(General(tap_prefix="vm"), Dhcp(queue=0), Ipv6(queue=7))
    assert "-A nfdhcpd -m physdev --physdev-in vm+ -j NFQUEUE --queue-num 0" in lines(chains.ipv4(settings))
    found = "\n".join(lines(chains.ipv6(settings)))
    assert "-i vm+ -j NFQUEUE --queue-num 7\n" in found
    assert "-i vm+ -m physdev ! --physdev-is-in -j NFQUEUE --queue-num 7 --queue-bypass" in found
    assert "tap" not in found


def test_a_plan_is_one_transaction() -> None:
    assert chains.plan(listing(FOREIGN), chains.ipv4(Settings())) == (
        "*mangle\n:nfdhcpd - [0:0]\n"
        "-A nfdhcpd -m physdev --physdev-in tap+ -j NFQUEUE --queue-num 42\n"
        "-A nfdhcpd -i tap+ -j NFQUEUE --queue-num 42\n"
        "-I PREROUTING -p udp -m udp --dport 67 -j nfdhcpd\nCOMMIT\n"
    )


def test_again_is_one_jump_still() -> None:
    text = chains.plan(listing(*SIX, FOREIGN, SIX[1]), chains.ipv6(Settings()))
    assert text.count("-D PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 133 -j nfdhcpd\n") == 2
    assert text.count("-I PREROUTING") == 3
    assert "eth0" not in text


def test_what_is_not_wanted_goes() -> None:
    assert chains.plan(listing(*FOUR, FOREIGN), []) == (
        "*mangle\n-D PREROUTING -p udp -m udp --dport 67 -j nfdhcpd\n-F nfdhcpd\n-X nfdhcpd\nCOMMIT\n"
    )
    without_neighbours = chains.ipv6(Settings())[:1]
    text = chains.plan(listing(*SIX), without_neighbours)
    assert "-D PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j nfdhcpd-ns\n" in text
    assert "-X nfdhcpd-ns\n" in text
    assert "-X nfdhcpd\n" not in text


def test_chains_of_others_that_are_named_alike_stay() -> None:
    assert chains.plan(listing("-N nfdhcpd2", "-A PREROUTING -p tcp -j nfdhcpd2"), []) == ""


@pytest.mark.parametrize("line", FOUR)
def test_a_rule_that_is_gone_is_missed(line: str) -> None:
    rest = listing(*(other for other in FOUR if other != line))
    assert chains.missing(rest, chains.ipv4(Settings())) == [line]


def test_nothing_is_missed_when_all_is_there() -> None:
    assert chains.missing(listing(FOREIGN, *SIX), chains.ipv6(Settings())) == []
    assert chains.missing(listing(), []) == []
