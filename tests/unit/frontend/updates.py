"""Messages of the update path and rows, as the tests of the consumer need them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from frontend.update import reading
from ganeti_ext import event, tags

IDENT = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11"
NAME = f"gx-{IDENT}"
MAC = "aa:00:00:12:34:56"
PROJECT, USER = "3c0f5b1e7a6d4c0f8d1e2f3a4b5c6d71", "3c0f5b1e7a6d4c0f8d1e2f3a4b5c6d72"
FACTS = {"project": PROJECT, "user": USER, "name": "Größe 1", "flavor": "f1", "image": "i1"}
NIC = {"network": "blue", "ip": "10.0.0.2", "mac": MAC, "uuid": "n1", "name": None, "mode": "bridged", "link": "br0"}
SHOWN_NIC = {"network": "blue", "ip": "10.0.0.2", "ip6": None, "mac": MAC, "uuid": "n1"}
BEGIN = 1_700_000_000


def op(opcode: str, status: str, job: int = 10, at: int = 0, **more: Any) -> dict[str, Any]:
    """An OP_STATUS message; `at` is seconds since BEGIN, `opcode` without its OP_INSTANCE_."""
    return {
        "type": event.OP_STATUS,
        "version": event.VERSION,
        "event_time": [BEGIN + at, 0],
        "cluster": "c",
        "jobId": job,
        "op_index": 0,
        "instance": NAME,
        "operation": opcode if opcode.startswith("OP_") else f"OP_INSTANCE_{opcode}",
        "status": status,
        "order": [BEGIN + at, 0, job, 0, event.RANKS[status]],
        "logmsg": None,
        "result": None,
        "job_fields": {},
        **more,
    }


def read(running: bool | None, at: int, host: str = "n1", **state: Any) -> dict[str, Any]:
    """What eventd adds when it asked Ganeti `at` seconds after BEGIN."""
    return {
        "instance_state": {"oper_state": running, "admin_state": "up", "pnode": host, "tags": [], **state},
        "instance_nics": [NIC],
        "instance_disks": [],
        "read_at": [BEGIN + at, 500_000],
    }


def create(status: str, at: int = 0, **more: Any) -> dict[str, Any]:
    fields = {
        "tags": tags.encode(FACTS),
        "beparams": {"vcpus": 2, "minmem": 512, "maxmem": 512},
        "disks": [{"size": 3072}],
    }
    return op("CREATE", status, at=at, **{"job_fields": fields, **more})


def network(opcode: str, status: str, at: int, **more: Any) -> dict[str, Any]:
    message = op(f"OP_NETWORK_{opcode}", status, at=at, type=event.NETWORK_STATUS, network="blue", **more)
    del message["instance"]
    return message


def network_data(at: int, **data: Any) -> dict[str, Any]:
    known = {"name": "blue", "uuid": "u-blue", "subnet": "10.0.0.0/24", "gateway": "10.0.0.1", "subnet6": None,
             "gateway6": None, "mac_prefix": None, "tags": ["nfdhcpd"]}  # fmt: skip
    return {"network_data": {**known, **data}, "read_at": [BEGIN + at, 0]}


def note(node: str, primary: str, at: int) -> dict[str, Any]:
    return {
        "type": event.NET_STATUS,
        "version": event.VERSION,
        "event_time": [BEGIN + at, 0],
        "cluster": "c",
        "instance": NAME,
        "operation": "OP_INSTANCE_STARTUP",
        "node": node,
        "primary": primary,
        "nics": [],
    }


def row(**columns: Any) -> dict[str, Any]:
    """A row as the API makes it when Ganeti accepted the create as job 10."""
    made = reading.new_row(IDENT, NAME, FACTS, {"vcpus": 1, "ram": 256, "disk": 1}, BEGIN)
    return {**made, "task": "spawning", "job": 10, **columns}


def instance(name: str = NAME, running: bool | None = True, **fields: Any) -> dict[str, Any]:
    """An entry of GET /2/query/instance."""
    nic: Mapping[str, list[Any]] = {
        "nic.networks": ["u-blue"],
        "nic.networks.names": ["blue"],
        "nic.ips": ["10.0.0.2"],
        "nic.macs": [MAC],
        "nic.uuids": ["n1"],
        "nic.names": [None],
    }
    return {
        "name": name,
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        "admin_state": "down" if running is False else "up",
        "status": {True: "running", False: "ADMIN_down", None: "ERROR_nodedown"}[running],
        "oper_state": running,
        "pnode": "n1",
        "tags": tags.encode(FACTS),
        "disk.names": [None],
        "disk.uuids": ["d1"],
        "disk.sizes": [3072],
        "beparams": {"vcpus": 2, "minmem": 512, "maxmem": 512, "memory": 512},
        "ctime": BEGIN - 1000.0,
        **nic,
        **fields,
    }
