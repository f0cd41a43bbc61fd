"""Which instances' tags are still to be told, to whom next and when. Pure: the time is a parameter, in seconds.

Of an instance only the newest change counts, as its tags are read when they are told. A node that does not answer
is asked again and again, by one caller at a time; scripts that fail are run three times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from eventd.tagged import INSTANCE, Change

PER_NODE = 4  # calls at a time; noded takes 20 (--max-clients), and Ganeti needs some
# Seconds until what failed is tried again, by how often it failed.
UNREACHED = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
FAILED = (1.0, 5.0)


@dataclass(slots=True)
class Owed:
    """What is to be told of one instance; or a network, which stands for its instances until these are known.

    `node` is whom it has to wait for, or who is being told; "" when that has to be found out.
    """

    kind: str
    name: str
    opcode: str
    began: float
    ended: float
    due: float
    causes: set[str] = field(default_factory=set)
    node: str = ""
    tries: int = 0
    running: bool = False
    again: bool = False


@dataclass(slots=True)
class _Node:
    running: int = 0
    failures: int = 0
    until: float = 0.0


class Schedule:
    """Owed by kind and name, oldest first. What ends one returns the causes that nothing is owed for any more."""

    def __init__(self) -> None:
        self._owed: dict[tuple[str, str], Owed] = {}
        self._nodes: dict[str, _Node] = {}
        self._held: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._owed)

    def holds(self, cause: str) -> bool:
        return self._held[cause] > 0

    def waiting_for(self, node: str) -> int:
        return sum(1 for item in self._owed.values() if item.node == node)

    def add(self, change: Change, now: float) -> None:
        self._owe(Owed(change.kind, change.name, change.opcode, change.began, change.ended, now), [change.cause])

    def expand(self, network: Owed, instances: Iterable[str], now: float) -> list[str]:
        """What is owed of a network is owed of its instances from here on."""
        for name in instances:
            self._owe(Owed(INSTANCE, name, network.opcode, 0.0, 0.0, now), network.causes)
        return self.drop(network)

    def due(self, now: float, most: int) -> list[Owed]:
        """Those to look at now."""
        found: list[Owed] = []
        slots: Counter[str] = Counter()
        for item in self._owed.values():
            if len(found) >= most:
                break
            if item.running or item.due > now or (item.node and slots[item.node] >= self._room(item.node, now)):
                continue
            slots[item.node] += 1
            found.append(item)
        return found

    def wait(self, now: float) -> float | None:
        """Seconds until the next is due; None when only the end of a call can change that."""
        times = []
        for item in self._owed.values():
            node = self._nodes.get(item.node, _Node())
            ready = max(item.due, node.until)
            if not item.running and (ready > now or self._room(item.node, now) > 0):
                times.append(ready)
        return max(0.0, min(times) - now) if times else None

    @staticmethod
    def later(item: Owed, due: float) -> None:
        item.due = due

    def start(self, item: Owed, node: str, now: float) -> bool:
        """Whether the node may be told now; else it is due when the node has room."""
        item.node = node
        if self._room(node, now) <= 0:
            return False
        item.running = True
        self._nodes.setdefault(node, _Node()).running += 1
        return True

    def unreached(self, item: Owed, now: float) -> bool:
        """The node did not answer; whether it did before."""
        node = self._nodes[item.node]
        self._land(item, now)
        if node.until > now:  # another call has just found out
            return False
        node.failures += 1
        node.until = now + UNREACHED[min(node.failures, len(UNREACHED)) - 1]
        return node.failures == 1

    def answered(self, item: Owed) -> bool:
        """Before `told` or `failed`: the node answered; whether it did not before."""
        node = self._nodes[item.node]
        was_away = node.failures > 0
        node.failures, node.until = 0, 0.0
        return was_away

    def told(self, item: Owed, now: float) -> list[str]:
        again = item.again
        self._land(item, now)
        return [] if again else self.drop(item)

    def failed(self, item: Owed, now: float) -> list[str] | None:
        """Scripts failed; None when they are run again."""
        again = item.again
        self._land(item, now)
        if again:
            return None
        item.tries += 1
        if item.tries > len(FAILED):
            return self.drop(item)
        item.due = now + FAILED[item.tries - 1]
        return None

    def drop(self, item: Owed) -> list[str]:
        """Nothing is owed of it any more."""
        del self._owed[item.kind, item.name]
        self._held.subtract(item.causes)
        released = [cause for cause in item.causes if self._held[cause] <= 0]
        for cause in released:
            del self._held[cause]
        return released

    def clear(self) -> list[str]:
        """Owe nothing but what is being told just now."""
        return [cause for item in list(self._owed.values()) if not item.running for cause in self.drop(item)]

    def _owe(self, new: Owed, causes: Iterable[str]) -> None:
        item = self._owed.setdefault((new.kind, new.name), new)
        if item is not new:
            item.opcode, item.due, item.tries, item.again = new.opcode, new.due, 0, item.running
            item.began, item.ended = max(item.began, new.began), max(item.ended, new.ended)
            if not item.running:
                item.node = ""
        for cause in causes:
            if cause not in item.causes:
                item.causes.add(cause)
                self._held[cause] += 1

    def _land(self, item: Owed, now: float) -> None:
        self._nodes[item.node].running -= 1
        item.running, item.due = False, now
        if item.again:
            item.again, item.node, item.tries = False, "", 0

    def _room(self, name: str, now: float) -> int:
        node = self._nodes.get(name)
        if node is None:
            return PER_NODE
        if node.until > now:
            return 0
        return (1 if node.failures else PER_NODE) - node.running
