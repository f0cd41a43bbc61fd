"""Packets in an administrator's words."""

from __future__ import annotations

import pytest

from kvm_ifup import packet, packet_words
from kvm_ifup.packet import IN, OUT, Guest
from kvm_ifup.packet_words import PacketError

MAC, PEER, HOST = "52:54:00:00:00:01", "52:54:00:00:00:00", "02:00:00:00:00:b0"
GUEST = Guest(MAC, "10.0.0.5", "2001:db8::5", PEER, HOST, routed=False)


def shown(direction: str, text: str, guest: Guest = GUEST) -> dict[str, str]:
    return packet.shown(packet.parse(direction, text.split(), guest))


def test_what_is_said_is_said() -> None:
    found = packet.parse(
        OUT, ["mac=02:00:00:00:00:AA", "src=10.0.0.9", "dst=192.0.2.1", "tcp", "sport=1", "dport=0x16"], GUEST
    )
    assert packet.shown(found) == {
        "ethertype": "ip4",
        "mac": "02:00:00:00:00:aa",
        "src": "10.0.0.9",
        "dst": "192.0.2.1",
        "proto": "tcp",
        "sport": "1",
        "dport": "22",
    }
    assert found.assumed == ()
    assert found.number("src") == 0x0A000009
    assert found.number("target") is None


@pytest.mark.parametrize(
    ("direction", "words", "assumed"),
    [
        (OUT, "", {"ethertype": "ip4", "mac": MAC, "src": "10.0.0.5", "proto": "icmp", "type": "echo-request"}),
        (OUT, "ip6", {"mac": MAC, "src": "2001:db8::5", "proto": "icmpv6", "type": "echo-request"}),
        (OUT, "src=::1", {"mac": MAC, "proto": "icmpv6", "type": "echo-request"}),
        (OUT, "udp dport=53", {"ethertype": "ip4", "mac": MAC, "src": "10.0.0.5", "sport": "49152"}),
        (OUT, "arp", {"mac": MAC, "op": "request", "sender-mac": MAC, "src": "10.0.0.5"}),
        (OUT, "arp mac=02:00:00:00:00:01", {"op": "request", "sender-mac": "02:00:00:00:00:01", "src": "10.0.0.5"}),
        (OUT, "rarp", {"mac": MAC, "op": "reverse-request", "sender-mac": MAC}),
        (OUT, "icmpv6 type=neighbour-advertisement", {"mac": MAC, "src": "2001:db8::5", "target": "2001:db8::5"}),
        (OUT, "icmpv6 type=135", {"mac": MAC, "src": "2001:db8::5"}),
        (OUT, "ethertype=0x8863", {"mac": MAC}),
        (
            IN,
            "tcp",
            {"ethertype": "ip4", "by": "bridged", "mac": PEER, "dst": "10.0.0.5", "sport": "49152", "state": "new"},
        ),
        (IN, "routed gre", {"ethertype": "ip4", "mac": HOST, "dst": "10.0.0.5", "state": "new"}),
        (IN, "local esp", {"ethertype": "ip4", "mac": HOST, "dst": "10.0.0.5", "state": "new"}),
        (IN, "arp", {"by": "bridged", "mac": PEER, "op": "request"}),
    ],
)
def test_what_is_not_said_is_assumed_as_of_an_honest_packet(
    direction: str, words: str, assumed: dict[str, str]
) -> None:
    found = packet.parse(direction, words.split(), GUEST)
    values = packet.shown(found)
    assert {name: values[name] for name in found.assumed} == assumed


@pytest.mark.parametrize(
    ("words", "state"),
    [
        ("icmp type=echo-request", "new"),
        ("icmp type=timestamp", ""),
        ("icmp type=13", "new"),
        ("icmp type=0", "invalid"),
        ("icmp type=redirect", "invalid"),
        ("icmpv6 type=128", "new"),
        ("icmpv6 type=packet-too-big", "invalid"),
        ("icmpv6 type=router-advertisement", "untracked"),
        ("icmpv6 type=neighbour-solicitation", "untracked"),
        ("sctp", "new"),
        ("proto=89", "new"),
        ("udp established", "established"),
    ],
)
def test_the_state_that_conntrack_gives_to_what_nobody_asked_for(words: str, state: str) -> None:
    if state:
        assert shown(IN, words)["state"] == state
    else:
        with pytest.raises(PacketError, match="one of echo-reply, "):
            shown(IN, words)


def test_a_guest_without_ipv4_is_thought_to_speak_ipv6() -> None:
    guest = Guest(MAC, None, "2001:db8::5", PEER, HOST, routed=False)
    assert shown(OUT, "tcp", guest)["ethertype"] == "ip6"
    assert "src" not in shown(OUT, "ip4", guest)
    assert shown(OUT, "", Guest(MAC, None, None, PEER, HOST, routed=False))["ethertype"] == "ip4"


def test_a_routed_guest_is_reached_by_routing() -> None:
    routed = Guest(MAC, "10.0.0.5", None, PEER, HOST, routed=True)
    assert (shown(IN, "", routed)["by"], shown(IN, "", routed)["mac"]) == ("routed", HOST)
    assert shown(IN, "arp", routed)["by"] == "local"
    with pytest.raises(PacketError, match="no bridge leads to this guest: say routed or local"):
        shown(IN, "bridged", routed)


@pytest.mark.parametrize(
    ("direction", "words", "why"),
    [
        (OUT, "tpc", "'tpc' is none of ip4, ip6, arp, rarp, tcp, "),
        (OUT, "port=22", "'port=22' is none of .*, sport=, dport=, "),
        (OUT, "tcp=1", "'tcp=1' is none of "),
        (OUT, "tcp udp", "'udp': proto is said twice"),
        (OUT, "src=10.0.0.1 src=10.0.0.1", "src is said twice"),
        (OUT, "src=10.0.0.300", "'src=10.0.0.300': '10.0.0.300' does not appear to be an IPv4 or IPv6 address"),
        (OUT, "mac=52:54:0:0:0:1", "expected a MAC address such as 52:54:00:00:00:01"),
        (OUT, "tcp dport=65536", "'dport=65536': expected a number from 0 to 65535"),
        (OUT, "tcp dport=ssh", "expected a number from 0 to 65535"),
        (OUT, "vlan=-1", "expected a number from 0 to 4095"),
        (OUT, "arp op=ask", "expected one of request, reply, "),
        (OUT, "icmp type=256", "'type=256': expected a number from 0 to 255, or one of echo-reply, "),
        (OUT, "icmp src=2001:db8::1", "IPv4 and IPv6 do not go together"),
        (OUT, "ip4 icmpv6", "IPv4 and IPv6 do not go together"),
        (OUT, "arp src=2001:db8::1", "IPv4 and IPv6 do not go together"),
        (OUT, "src=10.0.0.1 dst=2001:db8::1", "IPv4 and IPv6 do not go together"),
        (OUT, "icmp dport=22", "such a packet has no dport"),
        (OUT, "tcp type=8", "such a packet has no type"),
        (OUT, "icmp target=2001:db8::1", "IPv4 and IPv6 do not go together"),
        (OUT, "tcp target=2001:db8::1", "such a packet has no target"),
        (OUT, "tcp op=reply", "such a packet has no op"),
        (OUT, "tcp sender-mac=02:00:00:00:00:01", "such a packet has no sender-mac"),
        (OUT, "arp later-fragment", "such a packet has no fragment"),
        (OUT, "arp tcp", "such a packet has no proto"),
        (OUT, "ip4 headless", "such a packet has no headless"),
        (OUT, "ethertype=0x8863 src=10.0.0.1", "such a packet has no src"),
        (OUT, "tcp established", "state=established: no rule looks at that in what a guest says"),
        (OUT, "routed", "by=routed: no rule looks at that"),
        (IN, "routed arp", "only IP is routed"),
        (IN, "tcp later-fragment", "fragment=later-fragment: what goes to a guest is judged when"),
    ],
)
def test_what_makes_no_sense_is_named(direction: str, words: str, why: str) -> None:
    with pytest.raises(PacketError, match=why):
        packet.parse(direction, words.split(), GUEST)


def test_an_ethertype_without_a_name_is_said_in_hex() -> None:
    assert packet_words.show("ethertype", 0x8863) == "0x8863"
    assert packet_words.show("ethertype", 0x0800) == "ip4"
    assert packet_words.show("proto", 89) == "89"
