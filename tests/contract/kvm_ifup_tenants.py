"""Two tenants whose networks share a bridge and all addresses; a wire leads to more of their guests on another node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from scapy.layers import inet
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from ganeti_ext.address import eui64
from tests.contract.kvm_ifup_node import PATH, Node, Tap

BROADCAST, UNKNOWN = "ff:ff:ff:ff:ff:ff", "aa:bb:c0:00:00:77"
SUBNET6 = "fd00::/64"


class Who(NamedTuple):
    """A guest: `tenant` is a or b."""

    tenant: str
    name: str
    mac: str
    ip: str

    @property
    def ip6(self) -> str:
        return eui64(self.mac, SUBNET6)


_THIRD = {"a": "c", "b": "d"}


def _who(name: str) -> Who:
    tenant, number = name[0], name[1]
    # 20 bits of a MAC tell tenants apart: the last four of the third octet are a guest's own.
    return Who(tenant, name, f"aa:bb:{_THIRD[tenant]}{number}:00:00:0{number}", f"192.168.0.{number}")


A1, A2, B1, B2 = HERE = [_who(name) for name in ("a1", "a2", "b1", "b2")]
A3, B3 = AWAY = [_who(name) for name in ("a3", "b3")]


def env(who: Who, **more: str) -> dict[str, str]:
    """What Ganeti says of a guest."""
    network = f"net-{who.tenant}"
    return {
        "PATH": PATH,
        "INTERFACE": f"tap-{who.name}",
        "INTERFACE_INDEX": "0",
        "INTERFACE_UUID": f"uuid-of-{who.name}",
        "INSTANCE": f"{who.name}.example.org",
        "MAC": who.mac,
        "IP": who.ip,
        "MODE": "bridged",
        "LINK": "br0",
        "BRIDGE": "br0",
        "TAGS": "",
        "NETWORK_NAME": network,
        "NETWORK_UUID": f"uuid-of-{network}",
        "NETWORK_SUBNET": "192.168.0.0/24",
        "NETWORK_SUBNET6": SUBNET6,
        "NETWORK_MAC_PREFIX": who.mac[:8],
        "NETWORK_TAGS": "nfdhcpd private-filtered",
        **more,
    }


class Street:
    """The bridge with all its ports. `seen` is who gets a frame."""

    def __init__(self, node: Node) -> None:
        self.node = node
        # Of the wire and of what Linux itself says nothing is to be mistaken for a guest's frame.
        node.run("sysctl", "-q", "-w", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv6.conf.br0.disable_ipv6=1")
        self.taps: dict[str, Tap] = {}
        for who in HERE:
            self.taps[who.name] = node.tap(f"tap-{who.name}")
            self.up(who)
        self.taps["wire"] = node.tap("wire")
        node.run("ip", "link", "set", "wire", "master", "br0", "up")

    def up(self, who: Who, **more: str) -> None:
        done = self.node.kvm_ifup(env(who, **more))
        assert (done.returncode, done.stderr) == (0, "")

    def filter(self, on: bool) -> None:
        """Whether the bridge shows its packets to the tables of IP."""
        keys = (f"net.bridge.bridge-nf-call-{family}tables={int(on)}" for family in ("ip", "ip6"))
        self.node.run("sysctl", "-q", "-w", *keys)

    def sent(self, port: str, *frames: bytes) -> dict[str, list[bytes]]:
        """What each of the ports gets when one of them sends. A frame has come to its ends when it is sent."""
        for tap in self.taps.values():
            tap.received()
        for frame in frames:
            self.taps[port].send(frame)
        return {name: tap.received() for name, tap in self.taps.items()}

    def seen(self, port: str, frame: bytes) -> set[str]:
        """The ports that get the frame itself; none may get another."""
        got = self.sent(port, frame)
        assert {received for frames in got.values() for received in frames} <= {frame}
        return {name for name, frames in got.items() if frames}

    def introduce(self, *guests: Who) -> None:
        """Let the bridge learn where these are."""
        for who in guests:
            port = who.name if who in HERE else "wire"
            self.sent(port, bytes(Ether(src=who.mac, dst=BROADCAST) / ARP(hwsrc=who.mac, psrc=who.ip, pdst=who.ip)))

    def forget(self) -> None:
        """Let the bridge forget what it has learned."""
        self.node.run("ip", "link", "set", "br0", "type", "bridge", "fdb_flush")

    def learned(self) -> set[str]:
        """MACs that the bridge has learned."""
        lines = self.node.run("bridge", "fdb", "show", "br", "br0", "dynamic").splitlines()
        return {line.split()[0] for line in lines}


def flooded(who: Who) -> dict[str, bytes]:
    """What goes to all ports of a bridge."""
    group6 = "33:33:00:00:00:01"
    return {
        "broadcast": _frame(who, BROADCAST, inet.IP(src=who.ip, dst="192.168.0.255") / UDP(dport=9)),
        "multicast": _frame(who, "01:00:5e:00:00:fb", inet.IP(src=who.ip, dst="224.0.0.251") / UDP(dport=5353)),
        "multicast of ipv6": _frame(who, group6, IPv6(src=who.ip6, dst="ff02::1") / ICMPv6EchoRequest()),
        "to an unknown station": _frame(who, UNKNOWN, inet.IP(src=who.ip, dst="192.168.0.77") / UDP(dport=9)),
        "arp request": _frame(who, BROADCAST, ARP(hwsrc=who.mac, psrc=who.ip, pdst="192.168.0.2")),
        "gratuitous arp": _frame(who, BROADCAST, ARP(op=2, hwsrc=who.mac, psrc=who.ip, pdst=who.ip)),
        "neighbour solicitation": _frame(
            who, "33:33:ff:00:00:02", IPv6(src=who.ip6, dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt="fd00::2")
        ),
        "neighbour advertisement": _frame(
            who, group6, IPv6(src=who.ip6, dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt=who.ip6, R=0)
        ),
    }


def unicast(who: Who, to: Who) -> dict[str, bytes]:
    return {
        "ipv4": _frame(who, to.mac, inet.IP(src=who.ip, dst=to.ip) / UDP(dport=9)),
        "ipv6": _frame(who, to.mac, IPv6(src=who.ip6, dst=to.ip6) / ICMPv6EchoRequest()),
        "arp reply": _frame(who, to.mac, ARP(op=2, hwsrc=who.mac, psrc=who.ip, hwdst=to.mac, pdst=to.ip)),
    }


def tcp(who: Who, to: Who, flags: str, port: int, **more: int) -> bytes:
    """A segment between two guests; both ends have the same port."""
    return _frame(who, to.mac, inet.IP(src=who.ip, dst=to.ip) / TCP(sport=port, dport=port, flags=flags, **more))


def halves(who: Who, to: Who, identity: int) -> list[bytes]:
    """A datagram in two fragments, which tell whose they are."""
    whole = bytes(UDP(sport=9, dport=9, len=48, chksum=0) / Raw(who.name.encode() * 20))
    parts: Iterable[tuple[bytes, dict[str, object]]] = ((whole[:24], {"flags": "MF"}), (whole[24:], {"frag": 3}))
    return [
        _frame(who, to.mac, inet.IP(src=who.ip, dst=to.ip, proto=17, id=identity, **where) / Raw(part))
        for part, where in parts
    ]


def _frame(who: Who, dst: str, packet: Packet) -> bytes:
    return bytes(Ether(src=who.mac, dst=dst) / packet)
