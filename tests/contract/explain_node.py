"""A Debian 13 node with guests in all modes but Open vSwitch: on a bridge, routed, private, behind an uplink."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from scapy.layers.inet import ICMP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from lab import base, layer
from tests.contract.kvm_ifup_node import Tap
from tests.contract.profiles_node import Ends, tag_of
from tests.contract.profiles_packets import OWN
from tests.lab.clients.box import Box

GUEST, ROUTED, PRIVATE, UPLINKED = TAPS = ("tap0", "tap1", "tap2", "tap3")
BRIDGE_MAC, PEER_MAC = "02:00:00:00:00:b0", "02:00:00:00:00:09"
MACS = {
    GUEST: "52:54:00:00:00:01",
    ROUTED: "52:54:00:00:00:02",
    PRIVATE: "aa:00:10:00:00:03",
    UPLINKED: "52:54:00:00:00:04",
}
TAP_MAC = "cc:47:52:4e:45:54"
PEERS = ("10.0.0.9", "2001:db8::9")
_OF_GUEST = Ends("10.0.0.5", PEERS[0]), Ends("2001:db8::5054:ff:fe00:1", PEERS[1])
_OF_ROUTED = Ends("10.0.9.6", PEERS[0]), Ends("2001:db8:9::5054:ff:fe00:2", PEERS[1])
ENDS: Mapping[tuple[str, int], Ends] = {
    **{(GUEST, ends.version): ends for ends in _OF_GUEST},
    **{(ROUTED, ends.version): ends for ends in _OF_ROUTED},
    (PRIVATE, 4): Ends("10.0.0.5", "10.0.0.7"),
}
_SYSCTLS = (
    *("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.send_redirects=0"),
    *(
        "net.ipv6.conf.all.proxy_ndp=0",
        "net.ipv4.conf.all.rp_filter=0",
        "net.ipv4.conf.default.rp_filter=0",
        "net.ipv4.conf.default.send_redirects=0",
    ),
)
_NETWORK = {
    "NETWORK_NAME": "net1",
    "NETWORK_UUID": "n-1",
    "NETWORK_SUBNET": "10.0.0.0/24",
    "NETWORK_SUBNET6": "2001:db8::/64",
    "NETWORK_GATEWAY6": "fe80::1",
    "NETWORK_TAGS": "nfdhcpd",
}
_BRIDGED = {"MODE": "bridged", "LINK": "br0", "BRIDGE": "br0", "IP": "10.0.0.5"}
ENVS: dict[str, dict[str, str]] = {
    GUEST: {**_NETWORK, **_BRIDGED},
    ROUTED: {**_NETWORK, "MODE": "routed", "IP": "10.0.9.6", "NETWORK_SUBNET6": "2001:db8:9::/64", "NETWORK_TAGS": ""},
    PRIVATE: {
        **_NETWORK,
        **_BRIDGED,
        "NETWORK_SUBNET6": "",
        "NETWORK_GATEWAY6": "",
        "NETWORK_TAGS": "private-filtered",
    },
}
ENVS[UPLINKED] = {
    **ENVS[ROUTED],
    "LINK": "100",
    "IP": "10.0.8.6",
    "NETWORK_SUBNET6": "2001:db8:8::/64",
    "NETWORK_TAGS": "ip-less-routed",
}
_ASK = f"""
import json, sys; sys.path.insert(0, {layer.HERE!r})
from kvm_ifup import answer, inquiry, settings, standing
known = inquiry.Inquiry(settings.load())
for tap, direction, words in json.load(sys.stdin):
    print(json.dumps(answer.answer(known.record(tap), direction, words, settings.load(), standing.Node())))
"""
COMMAND = f"{layer.HERE}/kvm_ifup/ganeti-ext-net"


class Node(Box):
    """`wire` is a port of the bridge that nobody judges. `healed`: all taps are up, as tests of `check` want them."""

    healed = False

    def __init__(self, backend: str) -> None:
        super().__init__("node", base.root())
        self.backend = backend
        self.write("/etc/ganeti-ext/network.conf", f"[network]\nfirewall = {backend}\n")
        self.write("/etc/ganeti-ext/profiles/own.conf", OWN)
        self.run("mkdir", "-p", "/var/lib/nfdhcpd")
        self.run("sysctl", "-q", "-w", *_SYSCTLS)
        with self.network():
            self.taps = {name: Tap(name) for name in (*MACS, "wire", "watcher")}
        self.ip(
            f"link add br0 address {BRIDGE_MAC} type bridge mcast_snooping 0",
            *(f"link set {port} master br0" for port in ("wire", "watcher")),
            *(f"link set {name} up" for name in ("br0", "wire", "watcher")),
            *("link add uplink type veth peer name far", "link set uplink up", "link set far up"),
            *("route add default dev uplink table 100", "route add ::/0 dev uplink table 100"),
            *("address add 10.0.0.1/24 dev br0", "address add 2001:db8::1/64 dev br0 nodad"),
            *(f"neighbour add {peer} lladdr {PEER_MAC} dev br0" for peer in PEERS),
            *(f"neighbour add {ends.guest} lladdr {MACS[GUEST]} dev br0" for ends in _OF_GUEST),
        )
        self.run("sysctl", "-q", "-w", "net.ipv6.conf.uplink.proxy_ndp=1")
        self.filter(on=True)

    def close(self) -> None:
        for tap in self.taps.values():
            tap.close()
        super().close()

    def filter(self, *, on: bool) -> None:
        """Let br_netfilter show the IP tables what comes over bridges, or not."""
        families = ("iptables", "ip6tables")
        self.run("sysctl", "-q", "-w", *(f"net.bridge.bridge-nf-call-{family}={on:d}" for family in families))

    def up(self, tap: str, tags: str = "", **more: str) -> None:
        """Set a tap up as Ganeti does."""
        nic = {"INTERFACE": tap, "INTERFACE_INDEX": tap[3:], "INTERFACE_UUID": f"uuid-{tap}", "INSTANCE": f"gx-{tap}"}
        env = {**nic, "MAC": MACS[tap], "TAGS": tags, **ENVS[tap], **more}
        script = f"{layer.HERE}/kvm_ifup/kvm-vif-bridge"
        self.run("env", *(f"{key}={value}" for key, value in env.items()), script)

    def explained(self, questions: Sequence[tuple[str, str, Sequence[str]]]) -> list[dict[str, Any]]:
        """What is explained of packets: tap, direction, words."""
        said = self.run("/usr/bin/python3", "-c", _ASK, stdin=json.dumps(questions), patience=120)
        return [json.loads(line) for line in said.splitlines()]

    def arrives(self, tap: str, frame: bytes) -> bool:
        """Whether a frame from the wire comes to a guest; what always passes is sent behind it."""
        guest, wire = self.taps[tap], self.taps["wire"]
        last = self.frame(tap, ENDS[tap, 4].to_guest(ICMP(type=11) / Raw(bytes(28))))
        guest.received()
        wire.send(frame)
        wire.send(last)
        seen = guest.received()
        assert tag_of(last) in map(tag_of, seen), "what always passes did not arrive"
        return frame in seen or (tag_of(frame) != 0 and tag_of(frame) in map(tag_of, seen))

    def frame(self, tap: str, packet: Packet, **fields: object) -> bytes:
        """A packet of the peer's, as the frame that brings it to the guest, or to the node that routes it."""
        source = "aa:00:10:00:00:07" if tap == PRIVATE else PEER_MAC
        return bytes(Ether(**{"src": source, "dst": BRIDGE_MAC if tap == ROUTED else MACS[tap], **fields}) / packet)
