"""A model of Ganeti for tests of whole ways: what the API submits becomes jobs on instances, and messages of them.

Jobs run in the order of their numbers, as soon as what they depend on has ended as they want; those that were canceled
before, never.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Engine

from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend.conftest import FakeRapi

START = 2_000_000_000
Message = dict[str, Any]
_TOLD = ("tags", "disks", "start", "beparams")


@dataclass
class Disk:
    name: str
    size: int
    uuid: str


@dataclass
class Instance:
    tags: set[str] = field(default_factory=set)
    disks: list[Disk] = field(default_factory=list)
    runs: bool = False
    beparams: dict[str, int] = field(default_factory=dict)


class JobError(Exception):
    """A job fails with these words."""


class Ganeti:
    """`run` does all that was submitted; `fails` are numbers of calls (from 1) whose jobs fail."""

    def __init__(self, rapi: FakeRapi, engine: Engine) -> None:
        self.rapi, self.mirror = rapi, Mirror(engine, "gx-")
        self.instances: dict[str, Instance] = {}
        self.loose: dict[str, Disk] = {}
        self.ended: dict[int, str] = {}
        self.said: list[Message] = []
        self.fails: set[int] = set()
        self._first, self._seen, self._number = rapi.job, 0, 0

    def run(self, shuffled: random.Random | None = None) -> None:
        """Do it and tell of it, in order or shuffled, with some told twice."""
        told: list[Message] = []
        for place, call in enumerate(self.rapi.calls[self._seen :], self._seen + 1):
            told += self._run(self._first + place, place, call)
        self._seen = len(self.rapi.calls)
        self.said += told
        if shuffled is not None:
            told += shuffled.sample(told, len(told) // 3)
            shuffled.shuffle(told)
        for message in told:
            self.mirror.take(event.encode(message))

    def ahead(self) -> dict[str, Instance]:
        """The instances as they are to be, when all is done that was submitted, and nothing fails."""
        other = copy.copy(self)
        other.instances, other.loose, other.ended = copy.deepcopy((self.instances, self.loose, self.ended))
        other.fails = set()
        for place, call in enumerate(self.rapi.calls[self._seen :], self._seen + 1):
            other._run(self._first + place, place, call)
        return other.instances

    def has_run(self, job: int) -> bool:
        return job in self.ended

    def _run(self, job: int, place: int, call: tuple[Any, ...]) -> list[Message]:
        method, path, body, query = call
        body, tags = body or {}, (query or {}).get("tag") or ()
        operation, name = _operation(method, path, body)
        head = {"job": job, "operation": operation, "name": name, "fields": {**body, "tags": body.get("tags") or tags}}
        reason = (query or {}).get("reason", "")
        told = [self._message(head, "queued", reason)]
        if job in self.rapi.canceled:
            self.ended[job] = "canceled"
            return [*told, self._message(head, "canceled", reason)]
        try:
            for number, wanted in body.get("depends") or ():
                if self.ended[number] not in wanted:
                    raise JobError(f"Dependency job {number} finished with status '{self.ended[number]}'")
            if place in self.fails:
                raise JobError("broke")
            _DO[operation](self, name, {**body, "method": method, "tag": tags})
            status, result = "success", None
        except (JobError, KeyError) as err:
            status, result = "error", str(err)
        self.ended[job] = status
        return [*told, self._message(head, status, reason, result)]

    def _message(self, head: Mapping[str, Any], status: str, reason: str, result: str | None = None) -> Message:
        self._number += 1
        message: Message = {
            "type": event.OP_STATUS,
            "version": event.VERSION,
            "event_time": [START + self._number, 0],
            "cluster": "c",
            "jobId": head["job"],
            "op_index": 0,
            "instance": head["name"],
            "operation": head["operation"],
            "status": status,
            "order": [START + self._number, 0, head["job"], 0, event.RANKS[status]],
            "seq": [1, self._number],
            "logmsg": None,
            "result": result,
            "job_fields": {
                name: head["fields"][name] for name in ("tags", "disks", "start", "beparams") if name in head["fields"]
            },
            "reason": [["gnt:user", reason]],
        }
        if status in event.FINAL:
            message["read_at"] = [START + self._number, 0]
            message |= self.reading(head["name"])
        return message

    def reading(self, name: str) -> Message:
        found = self.instances.get(name)
        if found is None:
            return {}
        return {
            "instance_state": {
                "oper_state": found.runs,
                "admin_state": "up" if found.runs else "down",
                "pnode": "n1",
                "tags": sorted(found.tags),
                "beparams": dict(found.beparams),
            },
            "instance_nics": [],
            "instance_disks": [{"name": disk.name, "size": disk.size, "uuid": disk.uuid} for disk in found.disks],
        }

    def create(self, name: str, body: Mapping[str, Any]) -> None:
        if name in self.instances:
            raise JobError("exists")
        disks = [Disk(each["name"], each["size"], f"u-{each['name']}") for each in body["disks"]]
        params = dict(body.get("beparams") or {})
        self.instances[name] = Instance(set(body["tags"]), disks, body.get("start", True), params)

    def modify(self, name: str, body: Mapping[str, Any]) -> None:
        there = self.instances[name].disks
        self.instances[name].beparams.update(body.get("beparams") or {})
        for verb, at, params in body.get("disks") or ():
            if verb == "add":
                there.insert(at, Disk(params["name"], params["size"], f"u-{params['name']}-{params['origin']}"))
            elif verb == "remove":
                there.pop(at)
            elif verb == "attach":
                there.insert(len(there) if at == -1 else at, self.loose.pop(params["name"]))
            elif verb == "detach":
                disk = next((disk for disk in there if disk.name == at), None)
                if disk is None:
                    raise JobError(f"Lookup of disk '{at}' failed")
                there.remove(disk)
                self.loose[disk.name] = disk

    def grow(self, name: str, body: Mapping[str, Any]) -> None:
        self.instances[name].disks[body["at"]].size = body["amount"]

    def remove(self, name: str, _: Mapping[str, Any]) -> None:
        del self.instances[name]

    def set_tags(self, name: str, body: Mapping[str, Any]) -> None:
        if body["method"] == "PUT":
            self.instances[name].tags.update(body["tag"])
        else:
            self.instances[name].tags.difference_update(body["tag"])

    def power(self, name: str, *, runs: bool) -> None:
        self.instances[name].runs = runs


_DO: Mapping[str, Any] = {
    "OP_INSTANCE_CREATE": Ganeti.create,
    "OP_INSTANCE_SET_PARAMS": lambda self, name, body: self.modify(name, body),
    "OP_INSTANCE_GROW_DISK": Ganeti.grow,
    "OP_INSTANCE_REMOVE": Ganeti.remove,
    "OP_TAGS_SET": Ganeti.set_tags,
    "OP_TAGS_DEL": Ganeti.set_tags,
    "OP_INSTANCE_STARTUP": lambda self, name, _: self.power(name, runs=True),
    "OP_INSTANCE_SHUTDOWN": lambda self, name, _: self.power(name, runs=False),
}


def _operation(method: str, path: str, body: dict[str, Any]) -> tuple[str, str]:
    """The opcode of a call, and the instance's name."""
    _, name, *rest = [*path.split("/"), ""]
    if method == "POST" and not name:
        return "OP_INSTANCE_CREATE", body["instance_name"]
    if rest[0] == "disk":
        body["at"] = int(rest[1])
        return "OP_INSTANCE_GROW_DISK", name
    known = {"modify": "SET_PARAMS", "startup": "STARTUP", "shutdown": "SHUTDOWN", "": "REMOVE"}
    if rest[0] == "tags":
        return ("OP_TAGS_SET" if method == "PUT" else "OP_TAGS_DEL"), name
    return f"OP_INSTANCE_{known[rest[0]]}", name
