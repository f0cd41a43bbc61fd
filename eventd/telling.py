"""Tells nodes of changed tags: a thread that lets noded run the hooks `instance-tags` where an instance runs.

The follower lets it `see` a change as soon as a job's file tells of it, which is held in memory only; and it keeps
every change in the outbox, with the cursor of its job, until `owe` has told of it here and all is done. So nothing is
lost by a crash, and what was told may be told again.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, Protocol

from eventd import hook_env, tagged
from eventd.hooks_runner import HooksFailedError, HooksRunnerError, Script
from eventd.inventory import Inventory, Nodes, Rows
from eventd.ledger import Ledger
from eventd.owed import Owed, Schedule
from eventd.tagged import Change
from eventd.worker import Worker
from ganeti_ext.outbox import Outbox

log = logging.getLogger(__name__)

_MOST = 32  # calls at a time
_LUXID = 1.0  # seconds, while luxid does not answer
_BEHIND = 0.03  # seconds, while luxid does not know yet what a job changed


class Runner(Protocol):
    """eventd.hooks_runner.HooksRunner."""

    def run(self, address: str, path: str, phase: str, env: dict[str, str]) -> list[Script]: ...


class Answer(NamedTuple):
    """What Ganeti said: instances and networks by name; `read_at` in nanoseconds since the epoch, before it did."""

    instances: Rows
    networks: Rows
    nodes: Nodes
    read_at: int


class Teller(Worker):
    """`outbox` is the path of the outbox. When it is stopped, what is not told yet stays there."""

    def __init__(self, outbox: str, inventory: Inventory, runner: Runner, is_master: Callable[[], bool]) -> None:
        super().__init__("teller")
        self._path = outbox
        self._inventory = inventory
        self._runner = runner
        self._is_master = is_master
        self._schedule = Schedule()
        self._calls = 0
        self._ledger = Ledger()

    def see(self, changes: Iterable[Change]) -> None:
        """A job made these changes; called from another thread."""
        self.post(*(partial(self._see, change) for change in changes))

    def owe(self, changes: Iterable[Change]) -> None:
        """The outbox has these changes; called from another thread."""
        self.post(*(partial(self._keep, change) for change in changes))

    def loop(self) -> None:
        outbox = Outbox(self._path)
        for change in tagged.recall(outbox.cursors()):
            self._keep(change)
        try:
            self._work()
            self._forget(outbox)
            while self.wait(self._pause()):
                self._work()
                self._forget(outbox)
            self._forget(outbox)  # else what is told would be told again
        finally:
            outbox.close()

    def _pause(self) -> float | None:
        """Seconds; None: until something is to be taken."""
        return self._schedule.wait(time.monotonic()) if self._calls < _MOST else None

    def _see(self, change: Change) -> None:
        if self._ledger.see(change):
            self._schedule.add(change, time.monotonic())

    def _keep(self, change: Change) -> None:
        self._ledger.keep(change)
        self._see(change)
        if not self._schedule.holds(change.cause):
            self._ledger.release([change.cause])

    def _forget(self, outbox: Outbox) -> None:
        done = self._ledger.done()
        if not done:
            return
        try:
            outbox.put([], {tagged.cursor(cause): None for cause in done})
        except sqlite3.OperationalError as err:  # the follower says it louder; at worst it is told twice
            log.debug("%s: %s", self._path, err)
        else:
            self._ledger.forget(done)

    def _work(self) -> None:
        if not len(self._schedule):
            return
        if not self._is_master():
            if released := self._schedule.clear():
                log.info("not the master: %d changes of tags are left to it", len(released))
            self._ledger.release(released)
            return
        due = self._schedule.due(time.monotonic(), _MOST - self._calls)
        if not due:
            return
        answer = self._ask(due)
        for item in due:
            if answer is None:
                self._schedule.later(item, time.monotonic() + _LUXID)
            else:
                self._settle(item, answer)

    def _ask(self, due: list[Owed]) -> Answer | None:
        """How these stand now."""
        read_at = time.time_ns()
        instances = self._inventory.instances({item.name for item in due if item.kind == tagged.INSTANCE})
        if instances is None:
            return None
        names = {name for row in instances.values() for name in row["nic.networks.names"] or [] if name}
        networks = self._inventory.networks(names | {item.name for item in due if item.kind == tagged.NETWORK})
        return None if networks is None else Answer(instances, networks, self._inventory.nodes(), read_at)

    def _settle(self, item: Owed, answer: Answer) -> None:
        is_instance = item.kind == tagged.INSTANCE
        row = tagged.named(item.name, answer.instances) if is_instance else tagged.network(item.name, answer.networks)
        now = time.monotonic()
        if tagged.is_behind(row, item.began, item.ended, answer.read_at / 1e9):
            self._schedule.later(item, now + _BEHIND)
        elif is_instance:
            self._tell(item, row, answer)
        else:
            self._ledger.release(self._schedule.expand(item, row["inst_list"] if row else [], now))

    def _tell(self, item: Owed, row: tagged.Row | None, answer: Answer) -> None:
        reason = tagged.unneeded(row, answer.nodes.offline)
        if reason is not None or row is None:
            log.info("%s: its tags need not be told, %s", item.name, reason)
            self._ledger.release(self._schedule.drop(item))
        elif self._schedule.start(item, row["pnode"], time.monotonic()):
            env = hook_env.environment(item.opcode, row, answer.networks, self._inventory.site(), answer.read_at)
            address = answer.nodes.addresses.get(row["pnode"], row["pnode"])
            self._calls += 1
            threading.Thread(target=self._call, args=(item, address, env), daemon=True).start()

    def _call(self, item: Owed, address: str, env: dict[str, str]) -> None:
        """In a thread of its own, as the scripts may take their time."""
        outcome: list[Script] | HooksRunnerError = HooksFailedError("a bug, see the traceback above")
        try:
            outcome = self._runner.run(address, hook_env.PATH, hook_env.PHASE, env)
        except HooksRunnerError as err:
            outcome = err
        finally:
            self.post(partial(self._land, item, outcome))

    def _land(self, item: Owed, outcome: list[Script] | HooksRunnerError) -> None:
        self._calls -= 1
        node, now = item.node, time.monotonic()
        if isinstance(outcome, HooksRunnerError) and not isinstance(outcome, HooksFailedError):
            waiting = self._schedule.waiting_for(node)
            if self._schedule.unreached(item, now):  # once for an outage, however long
                log.warning("%s: %s; trying again, the tags of %d instances wait", node, outcome, waiting)
            return
        if self._schedule.answered(item):
            log.info("%s answers again", node)
        if isinstance(outcome, HooksFailedError):
            released = self._schedule.failed(item, now)
            then = "trying again" if released is None else "given up"
            log.error("%s: hooks for the tags of %s failed, %s: %s", node, item.name, then, outcome)
        else:
            released = self._schedule.told(item, now)
            log.info("%s: told of the tags of %s, %d scripts ran", node, item.name, sum(one.ran for one in outcome))
        self._ledger.release(released or [])
