"""A guest that runs on a bridge, its peer there, and what the master tells of its tags meanwhile."""

from __future__ import annotations

from subprocess import CompletedProcess

from scapy.layers import inet
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from tests.contract.kvm_ifup_frames import DROP, IP, MAC, OTHER_IP, OTHER_MAC, PASS
from tests.contract.kvm_ifup_node import PATH, Node
from tests.contract.kvm_ifup_site import PLAIN

BRIDGED = {**PLAIN, "MODE": "bridged", "LINK": "br0", "BRIDGE": "br0"}
INSTANCE, NIC = PLAIN["INSTANCE"], PLAIN["INTERFACE_UUID"]
PROTECTED, LIMITED = "ganeti-ext:firewall:protected", "ganeti-ext:firewall:limited"
SPOOF, ALLOW = "ganeti-ext:spoof-allowed", "ganeti-ext:allow-address"
ALL, OWN_ONLY = {*PASS, *DROP}, set(PASS)

# Kills the script that calls nft, before nft does its work or behind it.
KILLING_NFT = """#!/bin/sh
rm /run/nft
{before}
nft "$@"
kill -9 $PPID
"""


def hook(tags: str, at: float = 100.0, instance: str = INSTANCE, **more: str) -> dict[str, str]:
    """What eventd has Ganeti say of an instance, read at a moment of the master's clock."""
    return {
        "PATH": PATH,
        "GANETI_INSTANCE_NAME": instance,
        "GANETI_INSTANCE_TAGS": tags,
        "GANETI_EXT_TAGS_TIME": f"{at:.9f}",
        **more,
    }


class Live:
    """The guest is `tap0`. Its peer's port is not judged, and sees all that is flooded."""

    def __init__(self, node: Node, env: dict[str, str] = BRIDGED) -> None:
        self.node, self.env = node, env
        self._filter(True)
        self.guest, self.peer = node.tap("tap0"), node.tap("peer")
        node.run("ip", "link", "set", "peer", "master", "br0", "up")
        self._port = 2000
        self.first = self.index()

    def up(self, **more: str) -> None:
        done = self.node.kvm_ifup({**self.env, **more})
        assert (done.returncode, done.stderr) == (0, "")

    def told(self, tags: str, at: float = 100.0, **more: str) -> CompletedProcess[str]:
        return self.node.script("instance-tags", hook(tags, at, **more))

    def tell(self, tags: str, at: float = 100.0, **more: str) -> None:
        """The instance has these tags from now on: they are in force when the call returns."""
        done = self.told(tags, at, **more)
        assert (done.returncode, done.stderr) == (0, "")

    def killing(self, before: bool) -> dict[str, str]:
        """An environment in which the script dies at its next transaction."""
        program = self.node.file("/run/nft")
        program.write_text(KILLING_NFT.format(before="kill -9 $PPID; exit" if before else ""))
        program.chmod(0o755)
        return {"PATH": f"/run:{PATH}"}

    def may(self) -> set[str]:
        """Which frames of kvm_ifup_frames.py come to the peer."""
        self._filter(False)  # conntrack would hold a lone fragment back
        found = {name for name, frame in {**PASS, **DROP}.items() if self.says(frame)}
        self._filter(True)
        return found

    def says(self, frame: bytes) -> bool:
        """Whether a frame comes to the peer: it has when it is sent."""
        self.peer.received()
        self.guest.send(frame)
        return frame in self.peer.received()

    def hears(self, frame: bytes) -> bool:
        self.guest.received()
        self.peer.send(frame)
        return frame in self.guest.received()

    def lets_in(self, port: int) -> bool:
        """Whether the peer may open a connection to a port of the guest."""
        self._port += 1
        return self.hears(to_guest("S", self._port, port))

    def index(self, tap: str = "tap0") -> int:
        return int(self.node.run("cat", f"/sys/class/net/{tap}/ifindex"))

    def _filter(self, on: bool) -> None:
        keys = (f"net.bridge.bridge-nf-call-{family}tables={int(on)}" for family in ("ip", "ip6"))
        self.node.run("sysctl", "-q", "-w", *keys)


def to_guest(flags: str, sport: int, dport: int, **more: int) -> bytes:
    header = Ether(src=OTHER_MAC, dst=MAC) / inet.IP(src=OTHER_IP, dst=IP)
    return bytes(header / TCP(sport=sport, dport=dport, flags=flags, **more))


def to_peer(flags: str, sport: int, dport: int, **more: int) -> bytes:
    header = Ether(src=MAC, dst=OTHER_MAC) / inet.IP(src=IP, dst=OTHER_IP)
    return bytes(header / TCP(sport=sport, dport=dport, flags=flags, **more))


class Connection:
    """A connection that the peer has opened to port 80 of the guest, and that stands."""

    def __init__(self, live: Live) -> None:
        self._live = live
        assert live.hears(to_guest("S", 1000, 80, seq=100))
        assert live.says(to_peer("SA", 80, 1000, seq=500, ack=101))
        assert live.hears(to_guest("A", 1000, 80, seq=101, ack=501))
        self._seq = 101

    def goes_on(self) -> bool:
        """Whether another segment of the peer's arrives."""
        self._seq += 1
        return self._live.hears(to_guest("PA", 1000, 80, seq=self._seq, ack=501))
