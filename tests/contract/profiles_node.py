"""A node with guests behind firewall profiles: on a bridge, routed, and on a bridge that the node itself routes onto.

The test is at both ends: the guest behind its tap, and a peer on the wire. Packets are told apart by a tag, in the
identification of IPv4 and the flow label of IPv6, which no fragmentation changes.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from ganeti_ext import config
from kvm_ifup import ctnetlink, profile_nft, profiles
from lab import layer
from tests.contract.kvm_ifup_node import Tap
from tests.lab.clients.box import Box

GUEST_MAC, PEER_MAC, NODE_MAC = "52:54:00:00:00:05", "02:00:00:00:00:09", "02:00:00:00:00:b0"
ALL_NODES = "33:33:00:00:00:01"
NFT, IPTABLES = "nftables", "iptables"
PACKAGES = ("conntrack",)
OWN = "/etc/ganeti-ext/profiles"
_CALL = f"""
import json, sys; sys.path.insert(0, {layer.HERE!r})
from ganeti_ext.errors import CommandError
from kvm_ifup import firewall, iptables, profiles, settings, xtables
from kvm_ifup.iptables_kept import Kept
xtables.PATIENCE = 0.05
def loaded(names): return {{int(number): profiles.load(name) for number, name in names.items()}}
def put(names): return iptables.put(loaded(names))
def rules(names): return bool(firewall.rules(names, settings.Settings(firewall="iptables")))
def stands(names): return Kept().stands(loaded(names))
calls = {{"put": put, "remove": iptables.remove, "found": iptables.found, "rules": rules, "stands": stands}}
def done(name, arguments):
    try: return calls[name](*arguments)
    except CommandError as err: return str(err)
print(json.dumps([done(name, arguments) for name, *arguments in json.load(sys.stdin)]))
"""
_SYSCTLS = (
    *("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.send_redirects=0"),
    *("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0", "net.ipv4.conf.default.send_redirects=0"),
    *("net.bridge.bridge-nf-call-iptables=1", "net.bridge.bridge-nf-call-ip6tables=1"),
)
_tags = itertools.count(1)


class Ends(NamedTuple):
    """The addresses of guest and peer in one family."""

    guest: str
    peer: str

    @property
    def version(self) -> int:
        return 6 if ":" in self.guest else 4

    def to_guest(self, payload: Packet, tag: int = 0, **fields: object) -> Packet:
        return _ip(self.peer, self.guest, payload, tag, fields)

    def to_peer(self, payload: Packet, tag: int = 0, **fields: object) -> Packet:
        return _ip(self.guest, self.peer, payload, tag, fields)


def _ip(source: str, destination: str, payload: Packet, tag: int, fields: Mapping[str, object]) -> Packet:
    if ":" in source:
        return IPv6(**{"src": source, "dst": destination, "fl": tag or new_tag(), "hlim": 255, **fields}) / payload
    return IP(**{"src": source, "dst": destination, "id": tag or new_tag(), **fields}) / payload


def new_tag() -> int:
    """One that no other packet has."""
    return next(_tags)


def tag_of(frame: bytes) -> int:
    """The tag of a frame, also behind a VLAN tag; 0 when there is none."""
    kind, packet = frame[12:14], frame[14:]
    if kind == b"\x81\x00":
        kind, packet = frame[16:18], frame[18:]
    if kind == b"\x08\x00":
        return int.from_bytes(packet[4:6], "big")
    return int.from_bytes(packet[1:4], "big") & 0xFFFFF if kind == b"\x86\xdd" else 0


class Way:
    """How packets go between a guest and the peer; each sends to the MAC address that is next for it."""

    def __init__(self, guest: Tap, peer: Tap, next_of_guest: str, next_of_peer: str, *ends: Ends) -> None:
        self.guest, self.peer = guest, peer
        self._next_of_guest, self._next_of_peer = next_of_guest, next_of_peer
        self.ends = {each.version: each for each in ends}

    def arrives(self, *packets: Packet) -> bool:
        """Whether the guest gets all of the peer's packets."""
        return self.sees(*(self.from_peer(packet) for packet in packets))

    def sees(self, *frames: bytes) -> bool:
        """Whether the guest gets all of the peer's frames."""
        return set(map(tag_of, frames)) <= set(map(tag_of, self.delivered(*frames)))

    def reached(self, frame: bytes) -> bool:
        """Whether a frame of the peer's is there when it is sent, where nothing need pass."""
        self.guest.received()
        self.peer.send(frame)
        return tag_of(frame) in map(tag_of, self.guest.received())

    def delivered(self, *frames: bytes) -> list[bytes]:
        """What the guest gets of the peer's frames."""
        return _carried(self.peer, self.guest, frames, self.from_peer(_last(self.ends[4].to_guest)))

    def leaves(self, packet: Packet) -> bool:
        """Whether the peer gets what the guest sends."""
        frame = self._from_guest(packet)
        seen = _carried(self.guest, self.peer, [frame], self._from_guest(_last(self.ends[4].to_peer)))
        return tag_of(frame) in map(tag_of, seen)

    def from_peer(self, packet: Packet) -> bytes:
        """A frame of the peer's."""
        multicast = IPv6 in packet and packet[IPv6].dst.startswith("ff")
        return bytes(Ether(src=PEER_MAC, dst=ALL_NODES if multicast else self._next_of_peer) / packet)

    def _from_guest(self, packet: Packet) -> bytes:
        return bytes(Ether(src=GUEST_MAC, dst=self._next_of_guest) / packet)


def _last(to: Callable[[Packet], Packet]) -> Packet:
    """One that passes whatever the profile."""
    return to(ICMP(type=11) / Raw(bytes(28)))


def _carried(source: Tap, target: Tap, frames: Sequence[bytes], last: bytes) -> list[bytes]:
    """What comes out of these frames, and of one behind them that has to pass."""
    target.received()
    for frame in (*frames, last):
        source.send(frame)
    seen = target.received()
    assert tag_of(last) in map(tag_of, seen), "what always passes did not arrive"
    return [frame for frame in seen if tag_of(frame) != tag_of(last)]


def iptables(box: Box, *calls: Sequence[object]) -> list[Any]:
    """Call functions of kvm_ifup/iptables.py in a box, one after the other; what they return, or their errors."""
    found: list[Any] = json.loads(box.run("/usr/bin/python3", "-c", _CALL, stdin=json.dumps(calls)))
    return found


class Node(Box):
    """The three ways, and the profiles in force; all taps have the same."""

    def __init__(self, backend: str, own: Mapping[str, str]) -> None:
        super().__init__("node", layer.lower("profiles", PACKAGES))
        self.backend = backend
        for name, text in own.items():
            self.write(f"{OWN}/{name}.conf", text)
        found = {
            **profiles.load_all(),
            **{name: profiles.build(name, name, config.parse(text, name)) for name, text in own.items()},
        }
        self.profiles = dict(enumerate(found.values(), 1))
        self.numbers = {profile.name: number for number, profile in self.profiles.items()}
        self._was: int | None = None
        self._wire()
        self.nft(profile_nft.zones() + profile_nft.skeleton(judge=backend == NFT))
        self.nft(
            "".join(profile_nft.chains(each, number, judge=backend == NFT) for number, each in self.profiles.items())
        )
        if backend == IPTABLES:
            iptables(self, ["put", {number: each.name for number, each in self.profiles.items()}])

    def port(self, name: str) -> Tap:
        """One more guest on the bridge."""
        with self.network():
            made = Tap(name)
        self.ip(f"link set {name} master br0 up")
        return made

    def _wire(self) -> None:
        self.run("sysctl", "-q", "-w", *_SYSCTLS)
        with self.network():
            port, routed, wire, wan = Tap("tap1"), Tap("tap2"), Tap("wire"), Tap("wan")
        self.ip(
            f"link add br0 address {NODE_MAC} type bridge mcast_snooping 0",
            *(f"link set {name} master br0" for name in ("tap1", "wire")),
            *(f"link set {name} address {NODE_MAC}" for name in ("tap2", "wan")),
            *(f"link set {name} up" for name in ("br0", "tap1", "tap2", "wire", "wan")),
            *("address add 10.0.1.1/24 dev br0", "address add 2001:db8:1::1/64 dev br0 nodad"),
            *("route add 10.0.2.5 dev tap2", "route add 2001:db8:2::5 dev tap2"),
            *("route add 10.0.3.9 dev wan", "route add 2001:db8:3::9 dev wan"),
            *(f"neighbour add {ip} lladdr {GUEST_MAC} dev br0" for ip in ("10.0.1.5", "2001:db8:1::5")),
            *(f"neighbour add {ip} lladdr {PEER_MAC} dev br0" for ip in ("10.0.1.9", "2001:db8:1::9")),
            *(f"neighbour add {ip} lladdr {GUEST_MAC} dev tap2" for ip in ("10.0.2.5", "2001:db8:2::5")),
            *(f"neighbour add {ip} lladdr {PEER_MAC} dev wan" for ip in ("10.0.3.9", "2001:db8:3::9")),
        )
        here, there = ("10.0.1.9", "2001:db8:1::9"), ("10.0.3.9", "2001:db8:3::9")
        on_bridge, behind_tap = ("10.0.1.5", "2001:db8:1::5"), ("10.0.2.5", "2001:db8:2::5")
        self.ways = {
            "bridged": Way(port, wire, PEER_MAC, GUEST_MAC, *map(Ends, on_bridge, here)),
            "routed": Way(routed, wire, NODE_MAC, NODE_MAC, *map(Ends, behind_tap, here)),
            "onto a bridge": Way(port, wan, NODE_MAC, NODE_MAC, *map(Ends, on_bridge, there)),
        }

    def give(self, name: str) -> None:
        """Give all taps this profile; what connections there are stays."""
        number = self.numbers[name]
        bridged = profile_nft.assign("tap1", number, "br0", ("10.0.1.5", "2001:db8:1::5"), was=self._was)
        self.nft(bridged + profile_nft.assign("tap2", number, was=self._was))
        self._was = number

    def nft(self, text: str) -> None:
        self.run("nft", "-f", "-", stdin=text)

    def cut(self, *addresses: str, zone: int = 0) -> int:
        """Condemn all connections of a guest; how many there were."""
        with self.network():
            return ctnetlink.condemn(addresses, zone)

    def forget(self) -> None:
        """No connection is known any more."""
        self.run("conntrack", "--flush")
