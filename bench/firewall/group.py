"""A tenant's security group changes that all running servers of a node have: how soon its new rule is in force.

Ours from the moment when Ganeti has put its file there to the first packet that comes through; by hand from the start
of the program to its end. Each turn another port is let in, instead of the one before.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence

from bench.firewall import guests
from bench.firewall.node import Node, end, received, settings
from bench.firewall.place import Bench
from bench.firewall.reaper import reaper
from ganeti_ext import files, groups
from ganeti_ext.errors import ExtError
from ganeti_ext.groups import Group, Rule
from lab.step import step

TIMES = 5  # of which the median is a sample
PATIENCE = 10.0  # seconds
PORTS = (8000, 8001)
PROFILE = "@5c0a7a54"
NFT_BY_HAND, IPTABLES_BY_HAND = "nft -f by hand", "iptables-restore by hand"

_IDENT = "5c0a7a54-0a5d-4c6e-a9a5-000000000000"
_PAUSE = 0.0005  # seconds between two packets that ask whether it is in force
_SSCONF = "var/lib/ganeti/ssconf_cluster_tags"
_OTHERS = 3  # rules that stay


class Way:
    """How the rules of all taps of a node are changed."""

    def __init__(self, short: str, title: str) -> None:
        self.short, self.title = short, title

    @contextlib.contextmanager
    def prepared(self, _node: Node) -> Iterator[None]:
        yield

    def change(self, node: Node, port: int, probe: Probe) -> float:
        """Let this port in; milliseconds until it is."""
        raise NotImplementedError


class Probe:
    """Packets to the last guest of a node, each of a flow of its own: none belongs to a connection that stands."""

    def __init__(self, node: Node) -> None:
        self._name, self._guest = node.name, node.taps - 1
        self._flows = itertools.count()
        self._socket = end(node.name, "n")

    def arrives(self, port: int) -> bool:
        before = received(self._name, "g")
        self._socket.send(guests.to_guest(self._guest, next(self._flows) % 40_000, port))
        return received(self._name, "g") > before

    def wait(self, port: int) -> None:
        began = time.perf_counter()
        while not self.arrives(port):
            if time.perf_counter() - began > PATIENCE:
                raise ExtError(f"{self._name}: port {port} is not let in after {PATIENCE:g} s")
            time.sleep(_PAUSE)

    def close(self) -> None:
        self._socket.close()


class Ours(Way):
    @contextlib.contextmanager
    def prepared(self, node: Node) -> Iterator[None]:
        self._versions = itertools.count(1)
        settings(node, self.title)
        self._say(node, PORTS[1])
        node.remote.call("populate", [guests.environment(guest, PROFILE) for guest in range(node.taps)])
        with reaper(node):
            yield

    def change(self, node: Node, port: int, probe: Probe) -> float:
        began = time.perf_counter()
        self._say(node, port)
        probe.wait(port)
        return 1000 * (time.perf_counter() - began)

    def _say(self, node: Node, port: int) -> None:
        """As noded does: another file in the place of the one before."""
        path = node.root / _SSCONF
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(str(path), "".join(f"{tag}\n" for tag in tags(port, next(self._versions))), sync=False)


class ByHand(Way):
    """A chain for each tap, said anew for all of them in one call."""

    def __init__(self, short: str, title: str, program: Sequence[str]) -> None:
        super().__init__(short, title)
        self._program = list(program)

    @contextlib.contextmanager
    def prepared(self, node: Node) -> Iterator[None]:
        text = nft(node.taps) if self.title == NFT_BY_HAND else iptables(node.taps)
        node.run(*self._program, stdin=text)
        yield

    def change(self, node: Node, port: int, probe: Probe) -> float:
        text = (nft_change if self.title == NFT_BY_HAND else iptables_change)(node.taps, port)
        took = node.timed(self._program, stdin=text).wall
        if not probe.arrives(port):
            raise ExtError(f"{self.title}: port {port} is not let in")
        return took


WAYS = (
    Ours("gr-nft", "nftables"),
    Ours("gr-ipt", "iptables"),
    ByHand("gr-nfth", NFT_BY_HAND, ["/usr/sbin/nft", "-f", "-"]),
    ByHand("gr-ipth", IPTABLES_BY_HAND, ["/usr/sbin/iptables-legacy-restore", "--noflush"]),
)


def measure(bench: Bench) -> None:
    """All ways in turns."""
    heading = f"The rules of a security group change that {bench.taps:,} running servers have"
    with _nodes(bench) as nodes:
        for turn in range(bench.rounds):
            with step(f"Groups, round {turn + 1} of {bench.rounds}"):
                for number in range(len(WAYS)):
                    way = WAYS[(turn + number) % len(WAYS)]
                    bench.result.add(heading, "in force, ms", way.title, _sample(way, *nodes[way.short]))


def tags(port: int, version: int) -> list[str]:
    """A group that lets a port in, and some more that stay."""
    stay = [Rule("ingress", 4, "tcp", 22 + number, 22 + number, None, None) for number in range(_OTHERS)]
    return groups.encode(
        Group(_IDENT, "p", "g", "", 0, 0, (*stay, Rule("ingress", 4, "udp", port, port, None, None))), version
    )


def nft(taps: int) -> str:
    """All taps' chains, before any is filled."""
    chains = "".join(f"add chain bridge hand in_tap{guest}\n" for guest in range(taps))
    jumps = ", ".join(f"tap{guest} : goto in_tap{guest}" for guest in range(taps))
    hook = "add chain bridge hand forward { type filter hook forward priority 0; }\n"
    return f"add table bridge hand\n{chains}{hook}add rule bridge hand forward oifname vmap {{ {jumps} }}\n"


def nft_change(taps: int, port: int) -> str:
    """Without connections: not every kernel follows those of a bridge."""
    stay = [f"tcp dport {22 + number} accept" for number in range(_OTHERS)]
    rules = ("ether type arp accept", *stay, f"udp dport {port} accept", "drop")
    lines = []
    for chain in (f"bridge hand in_tap{guest}" for guest in range(taps)):
        lines += [f"flush chain {chain}", *(f"add rule {chain} {rule}" for rule in rules)]
    return "\n".join((*lines, ""))


def iptables(taps: int) -> str:
    """All taps' chains, before any is filled."""
    chains = [f":in-tap{guest} - [0:0]" for guest in range(taps)]
    jumps = [f"-A FORWARD -m physdev --physdev-is-bridged --physdev-out tap{n} -j in-tap{n}" for n in range(taps)]
    return "\n".join(("*filter", *chains, *jumps, "COMMIT", ""))


def iptables_change(taps: int, port: int) -> str:
    stay = [f"-p tcp --dport {22 + number} -j ACCEPT" for number in range(_OTHERS)]
    known = "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
    rules = (known, *stay, f"-p udp --dport {port} -j ACCEPT", "-j DROP")
    chains = [f":in-tap{guest} - [0:0]" for guest in range(taps)]
    filled = [f"-A in-tap{guest} {rule}" for guest in range(taps) for rule in rules]
    return "\n".join(("*filter", *chains, *filled, "COMMIT", ""))


@contextlib.contextmanager
def _nodes(bench: Bench) -> Iterator[dict[str, tuple[Node, Probe]]]:
    with contextlib.ExitStack() as undo:
        nodes = {}
        for way in WAYS:
            with step(f"A node with {bench.taps:,} taps: {way.title}"):
                node = undo.enter_context(bench.node(way.short))
                undo.enter_context(way.prepared(node))
                probe = undo.enter_context(contextlib.closing(Probe(node)))
                way.change(node, PORTS[0], probe)
                if probe.arrives(PORTS[1]):
                    raise ExtError(f"{way.title}: port {PORTS[1]} is let in, and should not be")
                nodes[way.short] = (node, probe)
        yield nodes


def _sample(way: Way, node: Node, probe: Probe) -> float:
    way.change(node, PORTS[0], probe)  # which it may be already
    ports = itertools.islice(itertools.cycle(PORTS[::-1]), TIMES)
    return statistics.median([way.change(node, port, probe) for port in ports])
