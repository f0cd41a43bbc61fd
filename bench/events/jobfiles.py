"""Job files as Ganeti writes them (jqueue, _QueuedJob.Serialize), of jobs that each act on one of some servers.

Jobs are numbered from 1, and job N acts on server N mod SERVERS, so that no two at a time meet at one server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ganeti_ext.event import RANKS

SERVERS = 50
STATUSES = ("queued", "waiting", "running", "success")
FINAL = RANKS[STATUSES[-1]]
_OWNER = "0b6c1c2e-9a53-4f57-8a55-00000000000"
NODE = "node1.example.org"
CLUSTER = "cluster.example.org"
CREATE = "OP_INSTANCE_CREATE"
# In turn on each server: what a tenant does with it. Of a migration eventd tells 0.3 s after its end, on purpose.
_LIFE: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("OP_INSTANCE_SHUTDOWN", {"timeout": 120, "admin_state_source": None, "no_remember": False, "force": False}),
    ("OP_INSTANCE_STARTUP", {"force": False, "hvparams": {}, "beparams": {}, "startup_paused": False}),
    ("OP_INSTANCE_REBOOT", {"reboot_type": "hard", "ignore_secondaries": False, "shutdown_timeout": 120}),
)
# What Ganeti adds when it takes a job from its queue.
_ADDED = {"dry_run": None, "debug_level": None, "depends": None, "comment": None}


def server(job: int) -> int:
    """The number of the server that a job acts on."""
    return job % SERVERS


def instance(number: int) -> str:
    """The name in Ganeti of a server with this number."""
    return f"gx-7a1f0a52-52b4-4f0d-9d39-{number:012x}"


def tags(number: int) -> list[str]:
    """What the front notes on a server."""
    owners = {kind: f"{_OWNER}{digit}" for digit, kind in enumerate(("project", "user", "flavor", "image"))}
    return [f"ganeti-ext:{key}:{value}" for key, value in {**owners, "name": f"server-{number}"}.items()]


def opcode(job: int) -> str:
    """What a job does; the first of each server creates it."""
    return CREATE if job <= SERVERS else _life(job)[0]


def runs(job: int) -> bool:
    """Whether the server runs once that job is done."""
    return opcode(job) != "OP_INSTANCE_SHUTDOWN"


def text(job: int, times: Sequence[float]) -> str:
    """The file of a job that reached the first so many statuses at these times, in seconds since the epoch."""
    stamps = [[int(time), int(time % 1 * 1e6)] for time in times]
    began, worked, ended = ([*stamps[1:], None, None, None])[:3]
    name, reached = opcode(job), STATUSES[len(times) - 1]
    op = {
        "input": {
            **_input(job),
            **(_ADDED if began else {}),
            "priority": 0,
            "reason": _reason(job, name, times[0]),
            "OP_ID": name,
        },
        "status": reached,
        "result": [NODE] if name == CREATE and ended else None,
        "log": [],
        "start_timestamp": began,
        "exec_timestamp": worked,
        "end_timestamp": ended,
        "priority": 0,
    }
    whole = {
        "id": job,
        "ops": [op],
        "start_timestamp": began,
        "end_timestamp": ended,
        "received_timestamp": stamps[0],
    }
    at_work = {"livelock": f"/run/ganeti/livelocks/job_{job:06}_{stamps[0][0]}", "process_id": 4711}
    return json.dumps({**whole, **at_work} if began else whole)


def _input(job: int) -> dict[str, Any]:
    about = {"instance_name": instance(server(job))}
    if opcode(job) != CREATE:
        return {**about, "instance_uuid": None, "ignore_offline_nodes": False, **_life(job)[1]}
    return {
        **about,
        "beparams": {"vcpus": 1, "minmem": 512, "maxmem": 512},
        "disks": [{"size": 1024, "provider": "cow", "origin": "image:debian-13"}],
        "disk_template": "ext",
        "mode": "create",
        "nics": [{"network": "blue", "ip": "pool"}],
        "osparams": {},
        "os_type": "ganeti-ext",
        "start": True,
        "tags": tags(server(job)),
    }


def _life(job: int) -> tuple[str, Mapping[str, Any]]:
    return _LIFE[((job - 1) // SERVERS - 1) % len(_LIFE)]


def _reason(job: int, name: str, time: float) -> list[list[object]]:
    return [
        ["gnt:client:gnt-instance", "", int(time * 1e9)],
        [f"gnt:opcode:{name.lower()}", f"job={job};index=0", int(time * 1e9)],
    ]
