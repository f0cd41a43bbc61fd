"""Tells all nodes who the members of groups are that rules name: a thread of the master's.

It looks when a job may have changed that, and every minute; what it finds is Ganeti's, and nothing is kept. So a node
that did not answer, or has booted, is told of all at the next look.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, Protocol

from eventd import hook_env, members
from eventd.hooks_runner import HooksRunnerError, Script
from eventd.inventory import Nodes, Rows
from eventd.messages import News
from eventd.worker import Worker
from ganeti_ext import groups
from ganeti_ext import members as grammar

log = logging.getLogger(__name__)

PERIOD = 60.0
_SOON = 0.05  # seconds from the end of a job until the first look; more jobs end meanwhile
_SURELY = 0.6  # and until the last one: luxid may be behind until then (tagged.py)
_PAUSE = 0.25  # between two looks
_AGAIN = 1.0  # when luxid did not answer
_UNREACHED = 5.0  # until a node that failed is told again


class Knows(Protocol):
    """eventd.inventory.Inventory."""

    def cluster_tags(self) -> list[str]: ...
    def everything(self) -> tuple[Rows, Rows] | None: ...
    def nodes(self) -> Nodes: ...
    def site(self) -> hook_env.Site: ...


class Runs(Protocol):
    """eventd.hooks_runner.HooksRunner."""

    def run(self, address: str, path: str, phase: str, env: dict[str, str]) -> list[Script]: ...


class Told(NamedTuple):
    """What a node was told last, and until when that holds: it is told again then."""

    text: str
    until: float


class Membership(Worker):
    def __init__(self, inventory: Knows, runner: Runs, is_master: Callable[[], bool]) -> None:
        super().__init__("membership")
        self._inventory, self._runner, self._is_master = inventory, runner, is_master
        self._due, self._surely, self._looked = 0.0, 0.0, float("-inf")
        self._text: str | None = None  # what all are to be told
        self._read_at = 0
        self._groups = False  # whether any rule names one
        self._told: dict[str, Told] = {}
        self._busy: set[str] = set()
        self._failed: dict[str, float] = {}  # until when they are left alone
        self._silent: set[str] = set()
        self._come: set[str] = set()
        self._less: list[str] = []

    def see(self, found: Iterable[News]) -> None:
        """Jobs told of these; called from another thread."""
        changed, come = members.stirred(found)
        if changed:
            self.look(come)

    def look(self, come: Iterable[str] = ()) -> None:
        """Something may be otherwise; these instances came to a node. Called from another thread."""
        self.post(partial(self._stir, set(come)))

    def loop(self) -> None:
        while self.wait(self._pause()):
            self._work(time.monotonic())

    def _pause(self) -> float:
        return max(0.0, min([self._due, *self._failed.values()]) - time.monotonic())

    def _stir(self, come: set[str]) -> None:
        now = time.monotonic()
        self._come |= come
        self._due = min(self._due, max(now + _SOON, self._looked + _PAUSE))
        self._surely = now + _SURELY

    def _work(self, now: float) -> None:
        if not self._is_master():
            self._told, self._failed, self._come, self._text = {}, {}, set(), None
            self._silent.clear()
            self._due = now + PERIOD
            return
        if self._due <= now:
            self._looked = now
            known = self._look()
            self._due = now + _AGAIN if not known else self._surely if self._surely > now else now + PERIOD
        self._failed = {name: until for name, until in self._failed.items() if until > now}
        if self._text is not None:
            self._tell(now)

    def _look(self) -> bool:
        """Find out what is to be told; whether Ganeti answered."""
        wanted = groups.named(self._inventory.cluster_tags())
        read_at = time.time_ns()
        self._groups = bool(wanted)
        if not wanted:  # nobody need be asked
            self._text, self._read_at = "", read_at
            return True
        found = self._inventory.everything()
        if found is None:
            return False
        instances, networks = found
        for name in self._come:
            self._told.pop(instances.get(name, {}).get("pnode") or "", None)
        self._come.clear()
        kept, less = grammar.bounded(members.addresses_of(instances.values(), networks, wanted))
        if less != self._less:
            log.error(
                "security groups %s have more than %d members, or all together more than %d: some are let in by nobody",
                *(", ".join(less) or "none", grammar.MOST, grammar.MOST_OF_ALL),
            )
        self._less = less
        self._text, self._read_at = grammar.render(kept), read_at
        return True

    def _tell(self, now: float) -> None:
        text, nodes = self._text or "", self._inventory.nodes()
        env = hook_env.of_members(self._inventory.site(), text, self._read_at)
        for name, address in nodes.addresses.items():
            told = self._told.get(name)
            knows = told is not None and told.text == text and (told.until > now or not text)
            if knows or name in nodes.offline or name in self._busy or name in self._failed:
                continue
            self._busy.add(name)
            threading.Thread(target=self._call, args=(name, address, text, env, now), daemon=True).start()

    def _call(self, name: str, address: str, text: str, env: dict[str, str], began: float) -> None:
        """In a thread of its own, as a node may take its time."""
        trouble: str | None = "a bug, see the traceback above"
        try:
            self._runner.run(address, grammar.PATH, hook_env.PHASE, env)
            trouble = None
        except HooksRunnerError as err:
            trouble = str(err)
        finally:
            self.post(partial(self._land, name, Told(text, began + PERIOD - _AGAIN), trouble))

    def _land(self, name: str, told: Told, trouble: str | None) -> None:
        self._busy.discard(name)
        if trouble is None:
            self._told[name] = told
            if name in self._silent:
                self._silent.remove(name)
                log.info("%s: told of the members of groups again", name)
            return
        self._told.pop(name, None)
        if name not in self._silent and self._groups:  # once for an outage; without such rules, it is nobody's business
            self._silent.add(name)
            log.warning("%s: %s; what it knows of the members of groups is old until it answers", name, trouble)
        self._failed[name] = time.monotonic() + _UNREACHED
