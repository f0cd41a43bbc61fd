"""A node that routes for its guests, and the router behind its uplink, each with a kernel of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from socket import AF_INET6, inet_ntop, inet_pton

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet
from scapy.utils6 import in6_getnsma, in6_getnsmac

from tests.contract.kvm_ifup_frames import IP, IP6, MAC
from tests.contract.kvm_ifup_machine import Machine
from tests.contract.kvm_ifup_node import PATH, Node, Tap

# Of every routed tap, and the link-local address that follows from it.
TAP_MAC, TAP_LL = "cc:47:52:4e:45:54", "fe80::ce47:52ff:fe4e:4554"
UPLINK_MAC, UPLINK_LL, ROUTER_MAC = "02:00:00:00:00:aa", "fe80::ff:fe00:aa", "02:00:00:00:00:fe"
GATEWAY, GATEWAY6 = "10.0.0.1", "fe80::1"  # the router's, in the network of the guests
ON_LINK6 = "2001:db8::ffff"  # another of the router's
FAR, FAR6 = "198.51.100.1", "2001:db8:ffff::1"  # the world
TABLE = "100"

ENV = {
    "PATH": PATH,
    "INTERFACE": "tap0",
    "INTERFACE_INDEX": "0",
    "INTERFACE_UUID": "5c0a7a54-0a5d-4c6e-a9a5-6b2a1c9f3d10",
    "INSTANCE": "gx-0001.example.org",
    "MAC": MAC,
    "IP": IP,
    "MODE": "routed",
    "TAGS": "",
    "NETWORK_NAME": "net1",
    "NETWORK_UUID": "9b1c1f0e-2a43-4d6c-8b0a-57a5a8a3f1c2",
    "NETWORK_SUBNET": "10.0.0.0/24",
    "NETWORK_GATEWAY": GATEWAY,
    "NETWORK_SUBNET6": "2001:db8::/64",
    "NETWORK_GATEWAY6": GATEWAY6,
    "NETWORK_TAGS": "nfdhcpd",
}
PLAIN = ENV
LINK = {**ENV, "LINK": TABLE}
IP_LESS = {**LINK, "NETWORK_TAGS": "nfdhcpd ip-less-routed"}
OTHER = {"INTERFACE": "tap1", "INTERFACE_UUID": "0f3c", "INSTANCE": "gx-0002.example.org"}

_SYSCTLS = (
    *("net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=1", "net.ipv6.conf.all.forwarding=1"),
    *("net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.dad_transmits=0"),
)
# What an administrator sets up beside the tables: what comes in by the uplink finds the guests, too.
_HIS_RULES = (f"-4 rule add iif eth0 table {TABLE}", f"-6 rule add iif eth0 table {TABLE}")
_HIS_ROUTES = (
    "-4 route add default via 192.0.2.1 dev eth0 table {table}",
    "-6 route add default via fe80::1 dev eth0 table {table}",
)
_HIS_IP_LESS = (
    f"-4 route add 10.0.0.0/24 dev eth0 table {TABLE}",
    f"-4 route add default via {GATEWAY} dev eth0 table {TABLE} onlink",
    f"-6 route add 2001:db8::/64 dev eth0 table {TABLE}",
    f"-6 route add default via fe80::1 dev eth0 table {TABLE}",
)


# In the place of `ip`: runs each line of a batch by itself and fails before the one whose number stands in /run/fails.
FAILING_IP = """#!/bin/sh
family=""
case "$1" in -4|-6) family=$1; shift;; esac
[ "$1" = -batch ] || exec /usr/sbin/ip $family "$@"
while read -r line; do
  n=$(($(cat /run/fails) - 1)); echo $n > /run/fails
  if [ $n = 0 ]; then echo "made to fail at $line" >&2; exit 9; fi
  /usr/sbin/ip $family $line || exit
done
"""


def by_router(packet: Packet) -> bytes:
    """What the guest sends through its gateway."""
    return bytes(Ether(src=MAC, dst=TAP_MAC) / packet)


def ip(node: Node, *lines: str) -> None:
    for line in lines:
        node.run("ip", *line.split())


def prepare(node: Node) -> None:
    """What an administrator's sysctl.d has, with reverse paths checked strictly."""
    node.run("sysctl", "-q", "-w", *_SYSCTLS)
    ip(node, "link set lo up")


class Site:
    """A node and the router behind its eth0, for guests of PLAIN, LINK or IP_LESS."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        with ExitStack() as undo:
            self.node = Node()
            undo.callback(self.node.close)
            prepare(self.node)
            self.router = Machine()
            undo.callback(self.router.close)
            self._wire(ip_less=env is IP_LESS)
            self._undo = undo.pop_all()

    def close(self) -> None:
        self._undo.close()

    def up(self, env: dict[str, str] | None = None) -> None:
        done = self.node.kvm_ifup(env or self.env)
        assert (done.returncode, done.stderr) == (0, "")

    def guest(self, tap: str = "tap0", mac: str = MAC, ip4: str = IP, ip6: str = IP6) -> Machine:
        """A guest's kernel behind a tap that is not up. Its IPv6 router is the tap's own address."""
        machine = Machine()
        self._undo.callback(machine.close)
        machine.joins(self.node, tap, mac)
        machine.ip(f"address add {ip4}/24 dev eth0", f"route add default via {GATEWAY}")
        machine.ip(f"address add {ip6}/128 dev eth0", f"route add default via {TAP_LL} dev eth0")
        return machine

    def _wire(self, *, ip_less: bool) -> None:
        self.router.joins(self.node, "eth0", ROUTER_MAC)
        ip(self.node, f"link set eth0 address {UPLINK_MAC} up")
        self.router.hears()
        self.router.ip(
            f"address add {FAR}/32 dev lo", f"address add {FAR6}/128 dev lo", "address add fe80::1/64 dev eth0"
        )
        if ip_less:
            self.router.ip(f"address add {GATEWAY}/24 dev eth0", f"address add {ON_LINK6}/64 dev eth0")
            self.node.run("sysctl", "-q", "-w", "net.ipv6.conf.eth0.proxy_ndp=1")
            ip(self.node, *_HIS_RULES, *_HIS_IP_LESS)
            return
        ip(self.node, "address add 192.0.2.2/24 dev eth0", "address add fe80::2/64 dev eth0")
        self.router.ip("address add 192.0.2.1/24 dev eth0", "route add 10.0.0.0/24 via 192.0.2.2")
        self.router.ip("route add 2001:db8::/64 via fe80::2 dev eth0")
        if "LINK" in self.env:
            ip(self.node, *_HIS_RULES)
        ip(self.node, *(line.format(table=self.env.get("LINK", "main")) for line in _HIS_ROUTES))


class Wires:
    """An IP-less node whose uplink and whose guest are taps that the test holds."""

    def __init__(self, node: Node) -> None:
        self.node = node
        prepare(node)
        self.guest, self.uplink = node.tap("tap0"), node.tap("eth0")
        ip(node, f"link set eth0 address {UPLINK_MAC} up", *_HIS_RULES, *_HIS_IP_LESS)
        for address in (GATEWAY, GATEWAY6):
            ip(node, f"neigh replace {address} lladdr {ROUTER_MAC} dev eth0 nud permanent")

    def up(self, env: dict[str, str] = IP_LESS) -> None:
        done = self.node.kvm_ifup(env)
        assert (done.returncode, done.stderr) == (0, "")

    def out(self, frame: bytes, tap: Tap | None = None) -> list[bytes]:
        """What leaves by the uplink for a guest's frame: a packet is forwarded before the call returns."""
        self.uplink.received()
        (tap or self.guest).send(frame)
        return self.uplink.received()

    def who_has(self, address: str, asks: str = IP) -> list[str]:
        """The MACs that the guest hears when it asks by ARP."""
        question = Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(hwsrc=MAC, psrc=asks, pdst=address)
        answers = (packet for packet in self._answers(question) if ARP in packet)
        return [packet.hwsrc for packet in answers if packet.op == 2 and packet.psrc == address]

    def solicit(self, target: str) -> list[str]:
        """The MACs that the guest hears when it asks by neighbour discovery."""
        group = inet_ntop(AF_INET6, in6_getnsma(inet_pton(AF_INET6, target)))
        question = IPv6(src=IP6, dst=group, hlim=255) / ICMPv6ND_NS(tgt=target)
        answers = self._answers(Ether(src=MAC, dst=in6_getnsmac(inet_pton(AF_INET6, group))) / question)
        return [packet.src for packet in answers if ICMPv6ND_NA in packet and packet[ICMPv6ND_NA].tgt == target]

    def _answers(self, question: Packet) -> list[Packet]:
        self.guest.received()
        self.guest.send(bytes(question))
        return [Ether(frame) for frame in self.guest.received()]


@contextmanager
def watched(node: Node, tap: str) -> Iterator[Tap]:
    """A tap that gets all that another is allowed to say: frames that its rules have let pass are moved there."""
    rules = (
        "add table netdev watch",
        f'add chain netdev watch judged {{ type filter hook ingress device "{tap}" priority 0; }}',
        'add rule netdev watch judged fwd to "watcher"',
    )
    watcher = node.tap("watcher")
    try:
        node.run("sysctl", "-q", "-w", "net.ipv6.conf.watcher.disable_ipv6=1")
        ip(node, "link set watcher up")
        node.run("nft", "-f", "-", stdin="\n".join(rules) + "\n")
        yield watcher
    finally:
        watcher.close()
