"""A model of Ganeti with one server's instance, and of eventd beside it: what happens, and what is told of it.

The master's clock may be set by hours at any time, jobs may end in another order than that of their numbers,
eventd may be down, be answered late, or be another node's that tells everything once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ganeti_ext import event, tags
from tests.unit.frontend import updates

KEEPS_RUNNING = ("SET_PARAMS", "GROW_DISK", "OP_TAGS_SET")
SAYS_RUNNING = {"STARTUP": "up", "REBOOT": "up", "CREATE": "up", "SHUTDOWN": "down"}
Message = dict[str, Any]


@dataclass
class Instance:
    exists: bool = False
    is_running: bool = False
    admin: str = "up"
    node: str = "n1"
    vcpus: int = 1
    disk: int = 1024
    label: str = "web"
    name: str = updates.NAME
    is_resized: bool = False
    """Nobody has confirmed its new flavor yet."""
    is_broken: bool = False
    """As the front tells it: a create failed, and nothing has run since."""
    is_deleted: bool = False
    """As the front tells it: a removal succeeded, or found nothing."""

    def reading(self, name: str, *, asks_node: bool) -> Message:
        if not self.exists or name != self.name:
            return {}
        state: Message = {"admin_state": self.admin, "pnode": self.node}
        resized = {"resized": "f0"} if self.is_resized else {}
        state["tags"] = tags.encode({**updates.FACTS, **resized, "server": updates.IDENT, "name": self.label})
        state["beparams"] = {"vcpus": self.vcpus, "maxmem": 512}
        if asks_node:
            state["oper_state"] = self.is_running
        return {"instance_state": state, "instance_nics": [updates.NIC], "instance_disks": [{"size": self.disk}]}


@dataclass
class Job:
    number: int
    opcode: str
    name: str
    """Of the instance, when the job was submitted."""
    fields: Message = field(default_factory=dict)
    reason: list[list[str]] = field(default_factory=list)
    last: Message = field(default_factory=dict)
    """Its last status, as its file says it."""


def _start(this: Instance, _: Job) -> None:
    this.is_running, this.admin, this.is_broken = True, "up", False


def _stop(this: Instance, _: Job) -> None:
    this.is_running, this.admin = False, "down"


def _move(this: Instance, _: Job) -> None:
    this.node = "n2" if this.node == "n1" else "n1"


def _create(this: Instance, job: Job) -> None:
    vars(this).update(vars(Instance(exists=True, name=this.name)))
    _start(this, job)


def _remove(this: Instance, _: Job) -> None:
    this.exists = this.is_running = False
    this.is_deleted = True


def _modify(this: Instance, job: Job) -> None:
    this.vcpus = job.fields["beparams"]["vcpus"]


def _grow(this: Instance, job: Job) -> None:
    this.disk += job.fields["amount"]


def _tag(this: Instance, job: Job) -> None:
    this.label, this.is_resized = f"label {job.number}", not this.is_resized


def _rename(this: Instance, job: Job) -> None:
    this.name = job.fields["new_name"]


EFFECTS: dict[str, Callable[[Instance, Job], None]] = {
    "CREATE": _create, "REMOVE": _remove, "STARTUP": _start, "SHUTDOWN": _stop, "REBOOT": lambda *_: None,
    "MIGRATE": _move, "FAILOVER": _move, "SET_PARAMS": _modify, "GROW_DISK": _grow, "OP_TAGS_SET": _tag,
    "RENAME": _rename, "REPLACE_DISKS": lambda *_: None,
}  # fmt: skip


class Cluster:
    """`said` has every message in the order that eventd made them; `answer` completes them in place."""

    def __init__(self) -> None:
        self.instance = Instance()
        self.said: list[Message] = []
        self.waiting: list[Job] = []
        self.ended: list[Job] = []
        self.is_watched = True
        self._unread: list[Job] = []
        self._unanswered: list[Message] = []
        self._clock = 100_000
        self._term, self._number = 7, 0

    def step_clock(self, seconds: int) -> None:
        self._clock += seconds

    def submit(self, opcode: str, reason: str = "", **fields: Any) -> Job:
        trail = [["gnt:user", reason], ["gnt:library:rlib2:x", ""]]
        job = Job(10 + len(self.waiting) + len(self.ended), opcode, self.instance.name, fields, trail)
        self.waiting.append(job)
        self._tell(job, "queued")
        return job

    def run(self, job: Job, wanted: str) -> None:
        """To its end, which is `wanted` if Ganeti can."""
        self.waiting.remove(job)
        if wanted != "canceled":
            self._tell(job, "waiting")
            self._tell(job, "running")
        status, code = self._outcome(job, wanted)
        was = self.instance
        if status == "success":
            EFFECTS[job.opcode](was, job)
        elif job.opcode == "CREATE" and code != "already_exists" and not was.exists:
            left = status == "error" and code is None
            self.instance = Instance(left, admin="down", name=was.name, is_broken=True, is_deleted=was.is_deleted)
        result = {"RENAME": self.instance.name, "CREATE": ["n1"]}.get(job.opcode) if status == "success" else "broke"
        job.last = self._message(job, status, error_code=code, result=result)
        self.ended.append(job)
        self._unread.append(job)
        if self.is_watched:
            self.read()

    def read(self) -> None:
        """eventd reads the files that it did not read."""
        for job in sorted(self._unread, key=lambda job: job.number):
            self._put({**job.last}, job)
        self._unread.clear()

    def answer(self) -> None:
        """Ganeti answers all that eventd asked, as it stands now."""
        for message in self._unanswered:
            opcode = message["operation"].removeprefix("OP_INSTANCE_")
            is_success = message["status"] == "success"
            name = message["result"] if opcode == "RENAME" and is_success else message["instance"]
            says_running = is_success and SAYS_RUNNING.get(opcode) == self.instance.admin
            asks_node = opcode not in KEEPS_RUNNING and not says_running
            message.update(self.instance.reading(name, asks_node=asks_node), read_at=self._now())
            if (
                opcode == "REMOVE"
                and message["status"] == "error"
                and not self.instance.exists
                and name == self.instance.name
            ):
                self.instance.is_deleted = True
        self._unanswered.clear()

    def fail_over(self, clock: int, *, tells_again: bool) -> None:
        """Another node is the master: its clock is another, and its eventd counts from anywhere."""
        self.answer()
        self._clock, self._term, self._number = clock, self._term + 1, self._term * 13 % 50
        if tells_again:
            self._unread = [*self.ended]
        if self.is_watched:
            self.read()

    def _outcome(self, job: Job, wanted: str) -> tuple[str, str | None]:
        """Status and error code."""
        exists = self.instance.exists and job.name == self.instance.name
        if wanted == "canceled":
            return "canceled", None
        if job.opcode == "CREATE" and exists:
            return "error", "already_exists"
        if job.opcode == "CREATE":
            return wanted, "insufficient_resources" if wanted == "error" and job.number % 2 else None
        if not exists:
            return "error", "unknown_entity"
        if job.opcode in ("MIGRATE", "REBOOT") and not self.instance.is_running:
            return "error", "wrong_state"
        return wanted, None

    def _tell(self, job: Job, status: str) -> None:
        if self.is_watched:
            self._put(self._message(job, status), job)

    def _put(self, message: Message, job: Job) -> None:
        self._number += 1
        message["seq"] = [self._term, self._number]
        self.said.append(message)
        if message["status"] in event.FINAL and not (job.opcode == "REMOVE" and message["status"] == "success"):
            self._unanswered.append(message)

    def _message(self, job: Job, status: str, **more: Any) -> Message:
        self._clock += 1
        made = updates.op(job.opcode, status, job=job.number, at=self._clock, instance=job.name, **more)
        return {**made, "job_fields": job.fields, "reason": job.reason}

    def _now(self) -> list[int]:
        self._clock += 1
        return [updates.BEGIN + self._clock, 0]
