"""The ways to set up a tap that are compared: ours with both backends, and what others do.

Each has a node of its own, all of whose taps are set up in its way.
"""

from __future__ import annotations

import contextlib
import difflib
import time
from collections.abc import Callable, Iterator, Sequence

from bench.firewall import byhand, guests
from bench.firewall.node import Node, Took, settings
from bench.firewall.reaper import reaper
from bench.root import OURS
from ganeti_ext.errors import ExtError

PROFILES = ("limited", "unprotected")  # a tap comes with the first

_SCRIPT = f"{OURS}/kvm_ifup/kvm-vif-bridge"
_TAGS = f"{OURS}/kvm_ifup/instance-tags"
_STOCK = "/usr/lib/ganeti/kvm-ifup"
_NFT = ["/usr/sbin/nft", "-f", "-"]


class Way:
    """What `come` sets up for a fresh tap, `go` removes as the tap vanishes."""

    def __init__(self, short: str, title: str) -> None:
        self.short, self.title = short, title

    @contextlib.contextmanager
    def prepared(self, _node: Node) -> Iterator[None]:
        """All taps of a node set up."""
        yield

    def come(self, node: Node, guest: int) -> Took:
        raise NotImplementedError

    def go(self, node: Node, guest: int) -> float:
        """Milliseconds from when the tap is closed until nothing of it is left."""
        return float(node.remote.call("close", guests.tap(guest)))

    def change(self, _node: Node, _guest: int, _profile: str) -> Took | None:
        """Let the tap of a running guest have another profile; None where there is no such thing."""
        return None


class Ours(Way):
    """The script, and the reaper at work."""

    @contextlib.contextmanager
    def prepared(self, node: Node) -> Iterator[None]:
        settings(node, self.title)
        _same(node)
        _populate(node)
        with reaper(node):
            yield

    def come(self, node: Node, guest: int) -> Took:
        return node.timed([_SCRIPT], _environment(guest))

    def go(self, node: Node, guest: int) -> float:
        return float(node.remote.call("vanish", guests.tap(guest)))

    def change(self, node: Node, guest: int, profile: str) -> Took | None:
        env = {
            "PATH": guests.PATH,
            "GANETI_INSTANCE_NAME": guests.instance(guest),
            "GANETI_INSTANCE_TAGS": guests.environment(guest, profile)["TAGS"],
            "GANETI_EXT_TAGS_TIME": f"{time.time():.9f}",
        }
        return node.timed([_TAGS], env)


class Bare(Way):
    """nft alone, with the text that ours gives it."""

    @contextlib.contextmanager
    def prepared(self, node: Node) -> Iterator[None]:
        settings(node, "nftables")
        _populate(node)
        yield

    def come(self, node: Node, guest: int) -> Took:
        return node.timed(_NFT, stdin=node.remote.call("texts", _environment(guest))[0])

    def go(self, node: Node, guest: int) -> float:
        _, forget = node.remote.call("texts", _environment(guest))
        return super().go(node, guest) + node.timed(_NFT, stdin=forget).wall

    def change(self, node: Node, guest: int, profile: str) -> Took | None:
        return node.timed(_NFT, stdin=node.remote.call("change", guests.environment(guest, profile)))


class Stock(Way):
    """Ganeti's own script: onto the bridge, no rules."""

    def come(self, node: Node, guest: int) -> Took:
        return node.timed([_STOCK], _environment(guest))


Rules = Callable[[int], list[str]]


class ByHand(Way):
    """Rules of its own for each tap, a process a rule; the tap's way onto the bridge is not counted."""

    def __init__(self, short: str, program: str, add: Rules, remove: Rules, exchange: Rules | None = None) -> None:
        super().__init__(short, f"{program} by hand")
        self._program, self._add, self._remove, self._exchange = program, add, remove, exchange

    @contextlib.contextmanager
    def prepared(self, node: Node) -> Iterator[None]:
        lines = [line for guest in range(node.taps) for line in self._add(guest)]
        node.run(f"{self._program}-restore", stdin=byhand.restore(lines))
        yield

    def come(self, node: Node, guest: int) -> Took:
        return self._run(node, self._add(guest))

    def go(self, node: Node, guest: int) -> float:
        return super().go(node, guest) + self._run(node, self._remove(guest)).wall

    def change(self, node: Node, guest: int, _profile: str) -> Took | None:
        return self._run(node, self._exchange(guest)) if self._exchange else None

    def _run(self, node: Node, lines: Sequence[str]) -> Took:
        return node.timed(["/bin/sh", "-e"], stdin="".join(f"{self._program} {line}\n" for line in lines))


NFTABLES = Ours("ours-nft", "nftables")
BARE = Bare("bare", "nft -f, same rules")
WAYS = (
    NFTABLES,
    Ours("ours-ipt", "iptables"),
    BARE,
    Stock("stock", "Ganeti's own, no rules"),
    ByHand("ipt-hand", "iptables-legacy", byhand.iptables, byhand.no_iptables, byhand.other_iptables),
    ByHand("ebt-hand", "ebtables", byhand.ebtables, byhand.no_ebtables),
)


def _environment(guest: int) -> dict[str, str]:
    return guests.environment(guest, PROFILES[0])


def _populate(node: Node) -> None:
    node.remote.call("populate", [_environment(guest) for guest in range(node.taps)])


def _same(node: Node) -> None:
    """ExtError unless `populate` makes what the script makes."""
    name, env = guests.tap(node.taps), _environment(node.taps)
    node.remote.call("tap", name)
    node.timed([_SCRIPT], env)
    made = _state(node, name)
    node.remote.call("undo", name)
    node.remote.call("populate", [env])
    if difference := "\n".join(difflib.unified_diff(made, _state(node, name), "script", "benchmark", lineterm="")):
        raise ExtError(f"the script makes another state than the benchmark:\n{difference}")
    node.remote.call("undo", name)
    node.remote.call("close", name)


def _state(node: Node, name: str) -> list[str]:
    """What is set for a tap and for all."""
    lists = (("nft", "list", "ruleset"), ("iptables-legacy", "-S"), ("ip6tables-legacy", "-S"))
    kept = (node.root / f"run/ganeti-ext/taps/{name}", node.root / f"var/lib/nfdhcpd/{name}")
    texts = [*(node.run(*argv) for argv in lists), *(path.read_text() for path in kept)]
    return "\n".join((*texts, node.run("ip", "link", "show", "dev", name))).splitlines()
