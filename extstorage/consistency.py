"""Let a running guest's disks stand still for a moment, and go on whatever happens meanwhile.

A process of its own, the keeper, holds the connections to QEMU and to the guest's agent: it freezes the guest's file
systems and stops its processors, and lets both go when it is told to, when whoever asked has died, and when the time is
over. So nothing that the snapshots do, or that is done to them, keeps a guest still.

Afterwards it tells whether the guest was still held: if somebody let it go on, the snapshots are not of one moment.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext import qemusocket
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ganeti_ext.qemusocket import Monitor

# What snapshots of several disks can be.
STOPPED = "stopped"  # the instance does not run: as its guest left the disks
FILES = "filesystem"  # the guest has written everything out, and its file systems are whole
CRASH = "crash"  # of one moment over all disks, as after a power cut

RUNNING, PAUSED = "running", "paused"
MOVING = {"inmigrate", "finish-migrate", "postmigrate", "restore-vm", "save-vm", "colo"}  # QEMU's RunState
ANSWER = 5.0  # seconds for QEMU, and for an agent to say that it is there
FREEZE = 20.0  # seconds for a guest to write everything out
LIMIT = 60.0  # seconds that a guest is held at most


class Held(NamedTuple):
    """How a guest is held: FILES or CRASH; `why` the agent did not make it the former."""

    consistency: str
    why: str


class Guest:
    """A running guest's two sockets, each connected as long as it is held."""

    def __init__(self, qmp: str, agent: str, *, freeze: bool = True) -> None:
        self._qmp, self._agent, self._freeze = qmp, agent, freeze
        self._files: Monitor | None = None
        self._qemu: Monitor | None = None
        self._stopped = False

    def hold(self) -> Held:
        """Freeze the file systems if the agent can, stop the processors; an error leaves nothing held."""
        try:
            why = self._frozen() if self._freeze else "it was not asked to"
            self._qemu = qemusocket.monitor(self._qmp, ANSWER)
            state = self._qemu.ask("query-status")["status"]
            if state in MOVING:
                raise ExtError(f"the instance is being migrated (QEMU says {state}): wait for the end of that")
            if state == RUNNING:
                self._stopped = True
                self._qemu.ask("stop")  # QEMU returns when all that the guest has asked for is written
        except BaseException:
            self.release()
            raise
        return Held(CRASH if why else FILES, why)

    def lost(self) -> str:
        """Why the guest is no longer held, or an empty text. Its agent cannot thaw while its processors stand still."""
        try:
            running = self._qemu is None or self._qemu.ask("query-status")["status"] == RUNNING
        except ExtError as err:
            return str(err)
        return "somebody let the guest go on meanwhile" if running else ""

    def release(self) -> str:
        """Let the processors, then the file systems go on; returns what could not be undone, in words."""
        wrong = []
        if self._stopped:
            wrong.append(_say(self._qemu, self._qmp, qemusocket.monitor, "cont"))
        if self._files:
            wrong.append(_say(self._files, self._agent, qemusocket.agent, "guest-fsfreeze-thaw"))
        for one in (self._qemu, self._files):
            if one:
                one.close()
        self._stopped, self._files, self._qemu = False, None, None
        return "; ".join(filter(None, wrong))

    def free(self) -> str:
        """Let go what another process held: neither command does harm to a guest that goes on."""
        with contextlib.suppress(ExtError), qemusocket.monitor(self._qmp, ANSWER) as qemu:
            self._stopped = qemu.ask("query-status")["status"] == PAUSED
        wrong = self.release()
        if self._freeze and os.path.exists(self._agent):
            with contextlib.suppress(ExtError), qemusocket.agent(self._agent, ANSWER) as agent:
                agent.ask("guest-fsfreeze-thaw")
        return wrong

    def _frozen(self) -> str:
        """Freeze; returns why it did not come to that."""
        if not os.path.exists(self._agent):
            return "the hypervisor parameter use_guest_agent is off"
        try:
            self._files = qemusocket.agent(self._agent, ANSWER)
        except ExtError:
            return "no agent answers in the guest"
        try:
            count = self._files.ask("guest-fsfreeze-freeze", FREEZE)
            why = "" if count else "the agent found no file system to freeze"
        except ExtError as err:
            why = f"the agent did not freeze: {err}"
        if why:  # it may be frozen, or be about to be: to thaw does no harm
            wrong = self.release()
            why += f" ({wrong})" if wrong else ""
        return why


class Keeper:
    """A guest that is held for the length of a `with` block; `end` says whether it still was, and lets it go."""

    def __init__(self, guest: Guest, limit: float = LIMIT) -> None:
        self._guest, self._limit = guest, limit

    def __enter__(self) -> Keeper:
        told, telling = os.pipe()
        asked, self._asking = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            os.close(told)
            os.close(self._asking)
            _keep(self._guest, telling, asked, self._limit)
        os.close(telling)
        os.close(asked)
        self._told = os.fdopen(told, encoding="utf-8")
        self._ended = False
        try:
            self.held = Held(**self._hear())
        except BaseException:
            self._close()
            raise
        return self

    def end(self) -> str:
        """Let the guest go on; returns why the snapshots are not of one moment, or an empty text."""
        self._ended = True
        with contextlib.suppress(BrokenPipeError):  # it has ended, and what it said of that is still to be read
            os.write(self._asking, b"end")
        found = self._hear()
        if found["wrong"]:
            raise ExtError(f"the guest may still stand still: {found['wrong']}")
        return str(found["lost"])

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._ended:
                self.end()
        finally:
            self._close()

    def _hear(self) -> dict[str, str]:
        text = self._told.readline()
        if not text:
            # Nobody but a stranger kills it; its connections are closed then, and QEMU takes another.
            wrong = self._guest.free()
            raise ExtError("the process that held the guest died" + (f"; {wrong}" if wrong else ""))
        found: dict[str, str] = json.loads(text)
        if "error" in found:
            raise ExtError(found["error"])
        return found

    def _close(self) -> None:
        os.close(self._asking)
        os.waitpid(self._pid, 0)
        self._told.close()


def _keep(guest: Guest, telling: int, asked: int, limit: float) -> None:
    """The keeper's life. A terminal's Ctrl-C is not for it."""
    try:
        os.setsid()
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        try:
            held = guest.hold()
        except (ExtError, OSError) as err:
            _tell(telling, {"error": str(err)})
            return
        try:
            _tell(telling, held._asdict())
            late = not select.select([asked], [], [], limit)[0]
            lost = f"after {limit:g} s the guest had to go on" if late else guest.lost()
        finally:
            wrong = guest.release()
        if wrong:
            sys.stderr.write(f"the guest may still stand still: {wrong}\n")
        _tell(telling, {"lost": lost, "wrong": wrong})
    finally:
        sys.stderr.flush()
        os._exit(0)


def _tell(pipe: int, facts: dict[str, str]) -> None:
    with contextlib.suppress(BrokenPipeError):  # who asked has died
        os.write(pipe, f"{json.dumps(facts)}\n".encode())


def _say(found: Monitor | None, path: str, connect: Callable[[str, float], Monitor], command: str) -> str:
    """Say it on the connection that is there or, if that is lost, on a new one; returns why it was not heard."""
    try:
        if found:
            found.ask(command)
            return ""
    except ExtError:
        if found:
            found.close()
    try:
        with connect(path, ANSWER) as new:
            new.ask(command)
    except ExtError as err:
        return f"{command}: {err}"
    return ""
