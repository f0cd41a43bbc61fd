"""What rules see of a packet."""

from __future__ import annotations

import pytest

from kvm_ifup import fields, packet
from kvm_ifup.fields import Fields, Unsaid
from kvm_ifup.packet import IN, OUT
from tests.unit.kvm_ifup.explained import GUEST


def of(direction: str, words: str) -> Fields:
    return fields.of(packet.parse(direction, words.split(), GUEST), {"iifname": "tap0"})


def test_tcp_over_ipv4() -> None:
    assert of(OUT, "src=10.0.0.5 dst=10.0.0.1 tcp sport=7 dport=22 to-mac=ff:ff:ff:ff:ff:ff") == {
        "iifname": "tap0",
        "meta mark": 0,
        "ether saddr": 0x525400000001,
        "ether daddr": 0xFFFFFFFFFFFF,
        "ether type": 0x0800,
        "meta nfproto": 2,
        "ip saddr": 0x0A000005,
        "ip daddr": 0x0A000001,
        "ip frag-off": 0,
        "meta l4proto": 6,
        "tcp sport": 7,
        "tcp dport": 22,
        "@th,0,16": 7,
    }


@pytest.mark.parametrize(
    ("words", "offset", "has_ports"),
    [
        ("ip4 udp dport=1", ("ip frag-off", 0), True),
        ("ip4 udp dport=1 first-fragment", ("ip frag-off", 0x2000), True),
        ("ip4 udp dport=1 later-fragment", ("ip frag-off", 3), False),
        ("ip6 udp dport=1", ("frag frag-off", None), True),
        ("ip6 udp dport=1 first-fragment", ("frag frag-off", 0), True),
        ("ip6 udp dport=1 later-fragment", ("frag frag-off", 5), False),
        ("ip6 udp dport=1 headless", ("frag frag-off", None), False),
    ],
)
def test_fragments(words: str, offset: tuple[str, int | None], has_ports: bool) -> None:
    found = of(OUT, words)
    assert found.get(offset[0]) == offset[1]
    assert ("udp dport" in found) is has_ports
    assert ("meta l4proto" in found) is ("headless" not in words)


def test_neighbour_discovery() -> None:
    found = of(OUT, "icmpv6 type=136 src=fe80::1 target=fe80::2")
    assert found["@nh,64,128"] == found["ip6 saddr"] == (0xFE80 << 112) + 1
    assert (found["@th,64,128"], found["@th,64,64"]) == ((0xFE80 << 112) + 2, 0xFE80 << 48)
    asked = of(OUT, "icmpv6 type=135 src=fe80::1")
    assert asked["@th,64,128"] == asked["@th,64,64"] == Unsaid("target=")


def test_arp_and_rarp() -> None:
    found = of(OUT, "arp op=reply sender-mac=02:00:00:00:00:09 src=10.0.0.9")
    assert (found["arp saddr ether"], found["arp saddr ip"], found["@nh,48,16"]) == (0x020000000009, 0x0A000009, 2)
    assert "ip saddr" not in found
    assert of(OUT, "rarp")["@nh,48,16"] == 3
    assert "arp saddr ip" not in of(OUT, "rarp")


def test_behind_a_tag_nothing_is_seen_unless_it_is_shown() -> None:
    described = packet.parse(IN, ["vlan=7", "tcp", "dport=22"], GUEST)
    found = fields.of(described, {})
    assert (found["ether type"], found["vlan id"]) == (0x8100, 7)
    assert "tcp dport" not in found
    shown = fields.behind_tag(described, {})
    assert (shown["ether type"], shown["tcp dport"]) == (0x0800, 22)


def test_connections_are_seen_on_the_way_in() -> None:
    assert "ct state" not in of(OUT, "tcp")
    assert (of(IN, "tcp")["ct state"], of(IN, "tcp")["ct mark"]) == (8, 0)
    assert of(IN, "tcp established cut")["ct mark"] == 0x10000000
    assert "ct mark" not in of(IN, "tcp invalid")
    assert "ct mark" not in of(IN, "icmpv6 type=135")


def test_what_is_not_said_is_known_to_be_missing() -> None:
    found = of(IN, "udp")
    assert (found["udp dport"], found["ip saddr"]) == (Unsaid("dport="), Unsaid("src="))
