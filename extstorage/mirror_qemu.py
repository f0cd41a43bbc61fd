"""A mirror in QEMU, from one block node to another: begun, waited for, let take the other's place, or undone.

Each call has a connection of its own, for as short as it can: QEMU serves one client at a time, and Ganeti is another.
Hence progress is asked for, not waited for.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from extstorage.consistency import MOVING, PAUSED, RUNNING
from extstorage.mirror import job_name, mirrored, node_name
from extstorage.warning import warn
from ganeti_ext import qemusocket
from ganeti_ext.errors import ExtError
from ganeti_ext.qemusocket import Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from extstorage.inventory_ganeti import Disk
    from extstorage.mirror import Tree
    from extstorage.move_copy import Meter
    from ganeti_ext.qemusocket import Monitor

OPENED = 60.0  # seconds for QEMU to open a node: a cluster of disks may be slow
PACE, END = 0.5, 0.01  # seconds between two questions
GOING, DONE = "going", "done"


class Pair(NamedTuple):
    """A disk and what is to take its place."""

    old: Disk
    new: Disk


def connected(path: str) -> Monitor:
    """QEMU's monitor; another client may have it for a while."""
    return qemusocket.monitor(path, OPENED)


def state(qemu: Monitor, pair: Pair) -> str:
    """GOING, DONE when the new disk is the guest's, or an empty text; ExtError when neither is."""
    roots = {device["inserted"]["node-name"] for device in qemu.ask("query-block") if "inserted" in device}
    if node_name(pair.new) in roots:
        return DONE
    if node_name(pair.old) not in roots:
        raise ExtError(
            f"QEMU has no disk with the block node {node_name(pair.old)}, which instance {pair.old.instance!r} should"
            " have: a former Ganeti started it, or the disk came later; migrate or restart the instance first"
        )
    found = job(qemu, pair.new)
    return GOING if found and found["status"] != "concluded" else ""


def job(qemu: Monitor, disk: Disk) -> dict[str, Any] | None:
    """The mirror to a disk."""
    return next((one for one in qemu.ask("query-block-jobs") if one["device"] == job_name(disk)), None)


def begin(qemu: Monitor, pair: Pair, tree: Tree, fd: int | None) -> None:
    """Open the new disk and begin to copy; a device by a descriptor, for QEMU may not be root any more."""
    if fd is not None:
        number = qemu.give(fd)
        tree = {**tree, "file": {**tree["file"], "filename": f"/dev/fdset/{number}"}}
    try:
        qemu.ask("blockdev-add", OPENED, tree)
    finally:
        if fd is not None:
            qemu.ask("remove-fd", None, {"fdset-id": number})  # QEMU keeps what it uses
    commands = {command["name"] for command in qemu.ask("query-commands")}
    qemu.ask("blockdev-mirror", OPENED, mirrored(*pair, commands))


def follow(path: str, pair: Pair, meter: Meter, wanted: Callable[[], bool]) -> None:
    """Wait until both disks are equal and every write goes to both before the guest hears of its end.

    ExtError when that cannot be, or is not `wanted` any more.
    """
    tight = False
    while True:
        if not wanted():
            raise ExtError("whoever asked for the mirror is gone")
        with connected(path) as qemu:
            found = alive(qemu, pair)
            meter.count = found["offset"]
            if found["ready"] and not tight:
                tight = True
                _tighten(qemu, pair)
            elif found["ready"] and found.get("actively-synced", True):
                return
        time.sleep(PACE)


def alive(qemu: Monitor, pair: Pair) -> dict[str, Any]:
    """The mirror that is at work; ExtError with QEMU's reason when it has ended."""
    found = job(qemu, pair.new)
    if found is None:
        raise ExtError(f"somebody ended the mirror of disk {pair.old.number} of instance {pair.old.instance!r}")
    if found["status"] == "concluded" or found.get("error"):
        why = found.get("error", "somebody cancelled it")
        raise ExtError(f"QEMU could not mirror disk {pair.old.number} of instance {pair.old.instance!r}: {why}")
    return found


def pivot(path: str, pair: Pair, note: Callable[[], None], withdraw: Callable[[], None], *, stands: bool) -> None:
    """Let the new disk take the old one's place. The guest stands still meanwhile, for less than a second.

    `stands`: it does so already, since a call was killed here.

    `note` writes down that the new disk is the true one: the guest goes on when that is so or, after an error, when
    `withdraw` has taken it back. So whatever is killed, and whatever loses its power, no write is on one disk alone
    that the notes do not name. The job stays until all is done: who finds it goes on.
    """
    with connected(path) as qemu:
        status = qemu.ask("query-status")["status"]
        if status in MOVING:
            raise ExtError(f"instance {pair.old.instance!r} is being migrated: QEMU says {status}; wait for its end")
        if state(qemu, pair) == DONE:
            note()
        else:
            qemu.ask("stop")  # returns when all is written, on both disks, and flushed
            try:
                note()
                _complete(qemu, pair)
            except (ExtError, OSError) as err:
                if state(qemu, pair) != DONE:
                    _insist(withdraw, pair, err)
                    _go_on(qemu, status, stands)
                    raise
        _go_on(qemu, status, stands)


def stands(qemu: Monitor, pair: Pair) -> bool:
    """Whether a call that was killed has left the guest standing still: its mirror is there yet."""
    return job(qemu, pair.new) is not None and qemu.ask("query-status")["status"] == PAUSED


def settle(qemu: Monitor, pair: Pair) -> None:
    """Let go what a mirror that has done its work, or was ended, leaves in QEMU."""
    _await_end(qemu, pair, lambda: None)
    if job(qemu, pair.new):
        qemu.ask("job-dismiss", None, {"id": job_name(pair.new)})
    unused = node_name(pair.old if state(qemu, pair) == DONE else pair.new)
    if unused in {node["node-name"] for node in qemu.ask("query-named-block-nodes", None, {"flat": True})}:
        qemu.ask("blockdev-del", OPENED, {"node-name": unused})


def cancel(qemu: Monitor, pair: Pair) -> None:
    """End the mirror, whatever it has done; the guest keeps its old disk."""

    def more() -> None:
        with contextlib.suppress(Refused):  # it is ending
            qemu.ask("block-job-cancel", None, {"device": job_name(pair.new), "force": True})

    _await_end(qemu, pair, more)
    settle(qemu, pair)


def _await_end(qemu: Monitor, pair: Pair, meanwhile: Callable[[], None]) -> None:
    end = time.monotonic() + OPENED
    while (found := job(qemu, pair.new)) and found["status"] != "concluded":
        if time.monotonic() > end:
            raise ExtError(f"QEMU does not end its block job {job_name(pair.new)}: does a store not answer?")
        meanwhile()
        time.sleep(END)


def _tighten(qemu: Monitor, pair: Pair) -> None:
    if "block-job-change" in {command["name"] for command in qemu.ask("query-commands")}:
        change = {"id": job_name(pair.new), "type": "mirror", "copy-mode": "write-blocking"}
        qemu.ask("block-job-change", None, change)


def _complete(qemu: Monitor, pair: Pair) -> None:
    if alive(qemu, pair)["status"] == "ready":
        qemu.ask("block-job-complete", None, {"device": job_name(pair.new)})
    while state(qemu, pair) == GOING:
        time.sleep(END)
    if state(qemu, pair) != DONE:
        alive(qemu, pair)


def _insist(withdraw: Callable[[], None], pair: Pair, why: Exception) -> None:
    """A guest that went on with a disk of which it is written that it is not the true one would lose what it writes."""
    while True:
        try:
            withdraw()
            return
        except (ExtError, OSError) as err:
            warn("mirror", f"instance {pair.old.instance!r} stands still ({why}) until this can be undone: {err}")
            time.sleep(1)


def _go_on(qemu: Monitor, before: str, stood: bool) -> None:
    """Let the guest run, unless it did not before."""
    if before == RUNNING or stood:
        qemu.ask("cont")
