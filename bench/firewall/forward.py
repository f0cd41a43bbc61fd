"""What a packet costs on its way through the bridge, to and from the last of many taps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from bench.firewall import byhand, guests
from bench.firewall.node import Node, end, received, settings
from bench.firewall.place import Bench
from bench.firewall.sender import BATCH, Sender, Sent
from ganeti_ext import tags
from ganeti_ext.errors import ExtError
from lab.step import step

SLICE = 0.1  # seconds
SLICES = 3  # of which the cheapest is a sample: whatever else a core does only adds to it
FLOWS = 20_000  # all of them in conntrack are a fraction of what it has room for

NO_RULES, BRIDGE_ALONE, CONNTRACK = "no rules", "no rules, br_netfilter off", "conntrack alone"
_TRACKED = """table inet alone {
chain forward { type filter hook forward priority 0; ct state established,related accept; }
}
"""


class Design(NamedTuple):
    """Rules for all taps of a node; whether what a guest sends from another's address passes, and what comes to a port
    that the profile `limited` does not name.
    """

    short: str
    title: str
    prepare: Callable[[Node], None]
    spoofed: bool = True
    closed: bool = True


def _bridge_alone(node: Node) -> None:
    node.bridge_nf("0")


def _conntrack(node: Node) -> None:
    node.run("nft", "-f", "-", stdin=_TRACKED)


def _ours(backend: str, profile: str, *network_tags: str, track: str = "always") -> Callable[[Node], None]:
    def prepare(node: Node) -> None:
        settings(node, backend, track)
        node.remote.call("populate", [guests.environment(n, profile, *network_tags) for n in range(node.taps)])

    return prepare


def _by_hand(node: Node) -> None:
    lines = [line for guest in range(node.taps) for line in byhand.iptables(guest)]
    node.run("iptables-legacy-restore", stdin=byhand.restore(lines))


DESIGNS = (
    Design("off", BRIDGE_ALONE, _bridge_alone),
    Design("none", NO_RULES, lambda _node: None),
    Design("ct", CONNTRACK, _conntrack),
    Design(
        "nft-uu", "nftables, unprotected, untracked", _ours("nftables", "unprotected", track="needed"), spoofed=False
    ),
    Design("nft-un", "nftables, unprotected", _ours("nftables", "unprotected"), spoofed=False),
    Design("nft-li", "nftables, limited", _ours("nftables", "limited"), spoofed=False, closed=False),
    Design(
        "nft-pf",
        "nftables, limited, private-filtered",
        _ours("nftables", "limited", tags.PRIVATE_FILTERED),
        spoofed=False,
        closed=False,
    ),
    Design("ipt-un", "iptables, unprotected", _ours("iptables", "unprotected"), spoofed=False),
    Design("ipt-li", "iptables, limited", _ours("iptables", "limited"), spoofed=False, closed=False),
    Design("hand", "iptables by hand", _by_hand, spoofed=False, closed=False),
)


class _Frames(NamedTuple):
    """Those of one direction: one flow, many flows a frame each, one flow in large pieces."""

    one: Sequence[bytes]
    many: Sequence[bytes]
    bulk: Sequence[bytes]


class _Path:
    """The last guest of a node, both directions."""

    def __init__(self, node: Node, design: Design, core: int, frames: dict[str, _Frames]) -> None:
        self.node, self.design = node, design
        self._core = core
        self._sockets = {kind: end(node.name, kind) for kind in "gn"}
        self._one = {kind: Sender(self._sockets[kind], frames[kind].one, core) for kind in "gn"}
        self._many = {kind: Sender(self._sockets[kind], frames[kind].many, core) for kind in "gn"}
        self._bulk = {kind: Sender(end(node.name, kind, bulk=True), frames[kind].bulk, core) for kind in "gn"}

    def check(self) -> None:
        """Good packets pass, bad ones pass where nothing holds them; else the figures would be of something else."""
        last = self.node.taps - 1
        for kind, frame, expected in (
            ("n", guests.to_guest(last), True),
            ("g", guests.from_guest(last), True),
            ("g", guests.from_guest(last, source=guests.address(last + 1)), self.design.spoofed),
            ("n", guests.to_guest(last, port=guests.PORT + 1), self.design.closed),
        ):
            passed = self._passed(kind, Sender(self._sockets[kind], [frame], self._core).send)
            if passed[1] != expected:
                raise ExtError(f"{self.design.title}: of 1 frame {frame.hex()} {passed[1]} came through")

    def one_flow(self, kind: str) -> Sent | None:
        """One flow that conntrack, if there is any, knows as established."""
        for way in "ng":
            self._one[way].send()
        return self._whole(kind, partial(self._one[kind].send, SLICE))

    def bulk(self, kind: str) -> Sent | None:
        """The same flow in large pieces."""
        for way in "ng":
            self._one[way].send()
        return self._whole(kind, partial(self._bulk[kind].send, SLICE))

    def new_flows(self, kind: str) -> Sent | None:
        """As many flows as frames, none of which was seen before."""
        self.node.run("conntrack", "--flush")
        try:
            return self._whole(kind, self._many[kind].send)
        finally:
            self.node.run("conntrack", "--flush")

    def _whole(self, kind: str, send: Callable[[], Sent]) -> Sent | None:
        """What was sent, if all of it came through."""
        sent, came = self._passed(kind, send)
        return sent if came == sent.frames else None

    def _passed(self, kind: str, send: Callable[[], Sent]) -> tuple[Sent, int]:
        other = "g" if kind == "n" else "n"
        before = received(self.node.name, other)
        sent = send()
        return sent, received(self.node.name, other) - before


def measure(bench: Bench) -> None:
    """All designs in turns, slice by slice."""
    with _paths(bench) as paths, _on(bench.core):
        for turn in range(bench.rounds):
            with step(f"Packets, round {turn + 1} of {bench.rounds}"):
                for number in range(len(paths)):
                    _turn(bench, paths[(turn + number) % len(paths)])


@contextlib.contextmanager
def _on(core: int) -> Iterator[None]:
    """Run on this core alone, and leave the other to the machine."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _paths(bench: Bench) -> Iterator[list[_Path]]:
    last = bench.taps - 1
    frames = {
        kind: _Frames(
            one=[make(last)] * BATCH,
            many=[make(last, flow) for flow in range(1, FLOWS + 1)],
            bulk=[guests.bulk(make(last, payload=guests.BULK))] * BATCH,
        )
        for kind, make in (("n", guests.to_guest), ("g", guests.from_guest))
    }
    with contextlib.ExitStack() as undo:
        paths = []
        for design in DESIGNS:
            with step(f"A node with {bench.taps:,} taps: {design.title}"):
                node = undo.enter_context(bench.node(design.short))
                design.prepare(node)
                paths.append(_Path(node, design, bench.core, frames))
                paths[-1].check()
        yield paths


def _turn(bench: Bench, path: _Path) -> None:
    for kind, way in (("g", "from a guest"), ("n", "to a guest")):
        kinds = (("one flow", path.one_flow), ("new flows", path.new_flows), ("60 kB pieces", path.bulk))
        for flows, send in kinds:
            sent = _cheapest([send(kind) for _ in range(SLICES)])
            heading = f"Packets {way}, {flows}, {bench.taps:,} taps"
            bench.result.add(heading, "ns a packet", path.design.title, sent and 1e9 * sent.cpu / sent.frames)
            bench.result.add(heading, "kpps", path.design.title, sent and sent.frames / sent.wall / 1000)


def _cheapest(slices: Sequence[Sent | None]) -> Sent | None:
    """None when frames were lost in one of them."""
    whole = [each for each in slices if each]
    return min(whole, key=lambda each: each.cpu / each.frames) if len(whole) == len(slices) else None
