"""Commands that give an instance's disks to another store."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING

from extstorage import mirror_ssh, move, move_live
from extstorage.ctl_instance import me, placed, words
from extstorage.mirror_node import Mirror, alone
from ganeti_ext.command import run
from ganeti_ext.errors import CommandError, ContractError, ExtError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from extstorage.inventory import Choice, Store
    from extstorage.inventory_ganeti import Configuration, Disk, Ganeti
    from extstorage.mirror_qemu import Pair

    Facts = dict[str, Any]

JOB = 24 * 3600.0  # seconds: a job may wait for another one's locks
COMMAND = "/usr/sbin/ganeti-ext-storage"


class Jobs:
    """Ganeti's jobs on one instance, given by its own commands: the queue shows them, its locks hold.

    `held` is our own lock: a command that outlives us may give its job yet, and has to be waited for.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self.held: int | None = None

    def modify(self, option: str, *, hotplug: bool = False) -> None:
        # While a disk and its copy are there, the instance may have more of them than its group's policy wants.
        how = ["--ignore-ipolicy"] if hotplug else ["--no-hotplug", "--ignore-ipolicy"]
        self._run("modify", *how, option, self._instance)

    def activate(self) -> None:
        self._run("activate-disks", self._instance)

    def grow(self, number: int, size: int) -> None:
        self._run("grow-disk", "--absolute", self._instance, str(number), f"{size}m")

    def _run(self, *words: str) -> None:
        run(["gnt-instance", *words], timeout=JOB, keep=() if self.held is None else (self.held,))


def migrate(
    choice: Choice, ganeti: Ganeti, instance: str, to: Choice, params: Mapping[str, str], *, dry: bool
) -> list[Facts]:
    """Give an instance's disks to another provider or pool; `dry`: tell which."""
    store = next(one for one in to.stores() if one.pool == (to.pool or ""))
    mine, master = me(choice, ganeti), ganeti.master()
    if ganeti.configuration() is None or master != mine:
        raise ExtError(f"only the master can give Ganeti jobs: run this on {master or 'it'}")

    def read() -> Configuration:
        found = ganeti.configuration()
        if found is None:
            raise ExtError(f"{ganeti.data}/config.data is gone")
        return found

    def place(disk: Disk) -> Store:
        return next(store for store, _ in placed(choice, [disk]))

    def ask(what: str, there: str, pair: Pair) -> dict[str, Any]:
        if there == mine:
            return mirror(choice, ganeti, what, pair)
        argv = mirror_ssh.command(ganeti, there, [COMMAND, "mirror", what])
        return mirror_ssh.ask(there, argv, pair)

    jobs, target = Jobs(instance), move.Target(store, params)
    live = move_live.LiveMove(instance, target, place, jobs, read, ask)
    still = move.Move(instance, target, place, jobs.modify, read)
    runs = read().states.get(instance) == "up"
    if dry:
        plan = live.plan() if runs else still.plan()
        return [{"did": f"would move {words(disk)} to {store}", "disk": disk.number} for disk in plan]
    with alone(ganeti, instance, "migrate") as jobs.held:
        # What a killed command has begun: of what it makes half is in the configuration.
        for job in ganeti.jobs(instance):
            with contextlib.suppress(CommandError):  # whether it fails does not matter
                run(["gnt-job", "wait", str(job)], timeout=JOB)
        if runs:
            return move.told(live.run(), "mirrored from")
        return [*move.told(live.settle(), "mirrored from"), *move.told(still.run())]


def mirror(choice: Choice, ganeti: Ganeti, what: str, pair: Pair, *, asked: bool = False) -> Facts:
    """The part of a move that is done on the instance's node; `asked`: stop when our stdin ends."""

    def place(disk: Disk) -> Store:
        return next(store for store, _ in placed(choice, [disk]))

    work = Mirror(ganeti, pair, place, mirror_ssh.wanted if asked else lambda: True)
    if what == move_live.DROP:
        return {"runs": work.drop()}
    work.run()
    return {"runs": True}


def heard(choice: Choice, ganeti: Ganeti, what: str) -> str:
    """`mirror` as the master asks for it, on stdin; the answer for stdout."""
    line = sys.stdin.readline()
    if not line:
        raise ContractError(f"mirror {what} is for ganeti-ext-storage migrate alone: stdin says nothing")
    return json.dumps(mirror(choice, ganeti, what, mirror_ssh.from_text(line), asked=True))
