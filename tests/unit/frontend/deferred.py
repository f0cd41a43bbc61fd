"""The pretended Ganeti whose jobs wait until a test lets them run, and whose messages come as the test says.

It may be away, lose the answer to a call, or have something else happen meanwhile; and it can be compared with the
database, as the reconciler asks for it.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from frontend.effect import purpose
from frontend.update.mirror import Mirror
from ganeti_ext import event
from ganeti_ext.errors import RapiError, RapiLost, RapiUnavailable
from ganeti_ext.rapi import Query
from tests.unit.frontend import remote
from tests.unit.frontend.pretended import Pretended, _operation

Fate = tuple[str, int] | None


class Deferred(Pretended):
    """`fate` is what befalls the next calls: ("away", 2) is a Ganeti that takes one and then is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[int, str, str, str, dict[str, Any]]] = []
        self.known: dict[int, dict[str, Any]] = {}
        """What each job is, as luxid tells of its opcode."""
        self.at_once = False
        """Whether jobs wait for nobody."""
        self.canceled: set[int] = set()
        self.kept_back: set[str] = set()
        """Addresses that were to be given back by jobs that failed: they stay reserved, of no project."""
        self.fate: Fate = None
        self.deaf = False
        self.step: Callable[[], None] = lambda: None
        self.meanwhile: Callable[[], None] | None = None
        """Called once, before the call that `after` counts, whether that changes something or not."""
        self.after = 0
        self.told: list[dict[str, Any]] = []
        self._mirror: Mirror | None = None

    # What the front asks.

    def submit(self, method: str, path: str, body: object = None, query: Query | None = None) -> int:
        self._interrupted()
        self.step()
        kind, left = self.fate or ("", 0)
        self.fate = (kind, left - 1) if self.fate else None
        if (kind, left) == ("away", 1):
            self.deaf = True
        if self.deaf:
            raise RapiUnavailable("RAPI: connection refused")
        self._job += 1
        self.calls.append((method, path, body, query))
        said: dict[str, Any] = {**(body if isinstance(body, dict) else {}), **(query or {})}
        thing, name, *rest = [*path.split("/"), "", ""]
        if thing == "tags":
            operation, name = ("OP_TAGS_SET" if method == "PUT" else "OP_TAGS_DEL"), "cluster"
        else:
            operation, name = _operation(method, thing, name, rest, said)
        key = {"networks": "network_name", "instances": "instance_name"}.get(thing, "name")
        told = {"OP_ID": operation, key: name, "reason": [[purpose._SOURCE, said.get("reason", ""), 1]]}
        self.known[self._job] = {**told, "depends": said.get("depends")}
        self.waiting.append((self._job, thing, operation, name, said))
        if self.at_once:
            self.run()
        if (kind, left) == ("lost", 1):
            self.deaf = True
            raise RapiLost("RAPI: no answer")
        self.step()
        return self._job

    def get(self, path: str, query: Query | None = None) -> Any:
        self._interrupted()
        self.step()
        if self.deaf:
            raise RapiUnavailable("RAPI: connection refused")
        kind, _, number = path.partition("/")
        if kind == "jobs":
            if int(number) not in self.known:
                raise RapiError(f"RAPI GET /2/{path}: no such job", 404)
            return {"id": int(number), "status": self._ended.get(int(number), "queued")}
        return super().get(path, query)

    def _interrupted(self) -> None:
        """Before the call that was said, somebody else's request comes and goes."""
        if self.meanwhile is None:
            return
        self.after -= 1
        if self.after <= 0:
            call, self.meanwhile = self.meanwhile, None
            call()

    def cancel(self, job: int) -> bool:
        if self.deaf:
            raise RapiUnavailable("RAPI: connection refused")
        if job in self._ended:
            return False
        self.canceled.add(job)
        return True

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        if self.deaf:
            raise RapiUnavailable("RAPI: connection refused")
        jobs: list[dict[str, Any]] = [{"id": job, "ops": [op]} for job, op in self.known.items()]
        if what == "job" and wanted and wanted[0] == ">":
            return [job for job in jobs if job["id"] > wanted[2]]
        if what == "job" and wanted and wanted[0] == "&":
            name = str(wanted[2][2]).partition("(")[2][:-1]
            made = ("OP_INSTANCE_CREATE", name)
            found = [job for job in jobs if (job["ops"][0]["OP_ID"], job["ops"][0].get("instance_name")) == made]
            return [job for job in found if job["id"] > wanted[1][2]]
        answer = remote.table(self._lists(), f"query/{what}", fields, wanted)
        return [dict(zip(fields, (value for _, value in line), strict=True)) for line in answer["data"]]

    def _lists(self) -> Mapping[str, Any]:
        networks = [{**self._shown(name), **self._columns(name)} for name in self.networks]
        jobs = [self._entry(number) for number in self.known]
        groups = [{"name": "default", "node_cnt": 1}]
        return {"networks": networks, "instances": list(map(self._listed, self.instances)), "groups": groups,
                "nodes": [], "jobs": jobs}  # fmt: skip

    def _columns(self, name: str) -> dict[str, Any]:
        found = self.networks[name]
        return {"gateway": found.gateway, "network6": found.subnet6, "gateway6": found.gateway6}

    def _entry(self, number: int) -> dict[str, Any]:
        op, status = self.known[number], self._ended.get(number, "queued")
        name = op.get("instance_name") or op.get("network_name") or op.get("name")
        ended = [1_700_000_000 + number, 0] if status in event.FINAL else None
        return {"id": number, "status": status, "summary": [f"{op['OP_ID'].removeprefix('OP_')}({name})"],
                "opstatus": [status], "opresult": [None], "opend": [ended]}  # fmt: skip

    def _listed(self, name: str) -> dict[str, Any]:
        found = self.instances[name]
        uuids = {each: network.uuid for each, network in self.networks.items()}
        nics: Mapping[str, list[Any]] = {
            "nic.networks": [uuids.get(nic["network"]) for nic in found.nics],
            "nic.networks.names": [nic["network"] for nic in found.nics],
            **{f"nic.{key}s": [nic[key] for nic in found.nics] for key in ("ip", "mac", "uuid", "name")},
        }
        disks = {f"disk.{key}s": [disk[key] for disk in found.disks] for key in ("name", "uuid", "size")}
        return {
            "name": name,
            "uuid": name[-36:],
            "ctime": 1.0,
            "pnode": "node1",
            "tags": sorted(found.tags),
            "admin_state": "up" if found.runs else "down",
            "oper_state": found.runs,
            "status": "running" if found.runs else "ADMIN_down",
            "beparams": found.size,
            **nics,
            **disks,
        }

    # What it does.

    def run(self, failing: set[int] | None = None, shuffled: random.Random | None = None) -> None:
        """All that waits, and tell of it: in order or shuffled, with some told twice. `failing`: by place, from 1."""
        waiting, self.waiting = self.waiting, []
        last = self._job
        changes = [(job, said) for job, _, operation, _, said in waiting if operation == "OP_NETWORK_SET_PARAMS"]
        for place, (job, kind, operation, name, said) in enumerate(waiting, 1):
            self._job = job
            self.fails = _breaks if place in (failing or ()) else _works
            self._one(kind, operation, name, said)
        self._job, self.fails = last, _works
        for job, said in changes:
            less = set(said.get("remove_reserved_ips", ()))
            self.kept_back = self.kept_back - less if self._ended[job] == "success" else self.kept_back | less
        told, self.told = self.told, []
        if shuffled is not None:
            told += shuffled.sample(told, len(told) // 3)
            shuffled.shuffle(told)
        for message in told:
            self._take(message)

    def _one(self, kind: str, operation: str, name: str, said: dict[str, Any]) -> None:
        if kind != "tags":
            self._do(kind, operation, name, said)
        elif self._job in self.canceled:
            self._ended[self._job] = "canceled"
        else:
            depends = [self._ended[job] in wanted for job, wanted in said.get("depends") or ()]
            if self.fails(operation, name) or not all(depends):
                self._ended[self._job] = "error"
            else:
                self._retag("PUT" if operation == "OP_TAGS_SET" else "DELETE", said)

    def _do(self, kind: str, operation: str, name: str, said: dict[str, Any]) -> None:
        if self._job not in self.canceled:
            super()._do(kind, operation, name, said)
            return
        self._ended[self._job] = "canceled"
        self._tell(kind, operation, name, name, said, None)

    def say(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    def _take(self, message: dict[str, Any]) -> None:
        assert self.engine is not None
        self._mirror = self._mirror or Mirror(self.engine, "gx-")
        self._mirror.take(event.encode(message))

    def ahead(self) -> Deferred:
        """As it is to be when all is done that was submitted, and nothing fails; nobody is told."""
        other = copy.copy(self)
        kept = ("networks", "instances", "tags", "loose", "_ended", "told", "waiting")
        for name in kept:
            setattr(other, name, copy.deepcopy(getattr(self, name)))
        other._take = _nobody  # type: ignore[method-assign, assignment]
        other.run()
        return other


def _nobody(_message: dict[str, Any]) -> None:
    """Is told."""


def _works(_operation: str, _name: str) -> str | None:
    return None


def _breaks(_operation: str, _name: str) -> str | None:
    return "broke"
