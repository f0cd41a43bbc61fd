"""GET /servers/ID/diagnostics: what a server uses, of what its node measured last.

The keys are those of Nova's libvirt driver below microversion 2.48 (nova/virt/libvirt/driver.py, get_diagnostics), as
far as a node can tell them without asking QEMU: of processors and disks the sum of all. There they may be any, and
openstacksdk reads none but those of 2.48, whatever it asks for: so these are among them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.compute import servers
from frontend.database import db
from frontend.effect import translate
from frontend.web import context, view, when
from frontend.web.fault import Conflict

Row = Mapping[str, Any]

MOST = 1440
"""Samples of one answer: a day's, one a minute."""
FRESH = 600.0
"""Seconds that a sample tells how a server is now: twice as long as a node may pause between two."""
_COUNTED = tuple(f"{way}_{what}" for way in ("rx", "tx") for what in ("octets", "packets", "errors", "drop"))


def show(server_id: str) -> Response:
    """GET /servers/ID/diagnostics; `since`: with the samples from that time on, also of a server that is stopped."""
    server = servers.need(server_id, of_all=context.is_admin())
    since = when.seconds("since", request.args["since"]) if "since" in request.args else None
    with context.database() as connection:
        newest = _newest(connection, server_id) if _runs(server) else None
        found = [] if since is None else _samples(connection, server_id, since)
    if newest is None and not found:
        raise Conflict(f"Cannot 'get_diagnostics' instance {server_id}: {_why(server)}")
    shown = {} if newest is None else _now(server, newest)
    return jsonify(shown if since is None else {**shown, "samples": [_shown(sample) for sample in found]})


def _runs(server: Row) -> bool:
    """Whether its guest does, whatever is said of the server."""
    return "ACTIVE" in (server["status"], server["power"])


def _why(server: Row) -> str:
    if not _runs(server):
        return f"it does not run (vm_state {translate.vm_state(server)}, status {server['status']})"
    return "it runs, and nothing was measured of it within the last minutes; try again in a minute"


def _newest(connection: Connection, server_id: str) -> Row | None:
    column = db.sample.c
    query = select(db.sample).where(column.server_id == server_id, column.at >= time.time() - FRESH)
    return db.row(connection, query.order_by(column.at.desc()).limit(1))


def _samples(connection: Connection, server_id: str, since: float) -> list[dict[str, Any]]:
    """The oldest first; of too many the newest."""
    column = db.sample.c
    query = select(db.sample).where(column.server_id == server_id, column.at >= since)
    return db.rows(connection, query.order_by(column.at.desc()).limit(MOST))[::-1]


def _now(server: Row, sample: Row) -> dict[str, Any]:
    """As libvirt has them: nanoseconds, KiB, octets; what a NIC received is what its guest did."""
    nics: dict[str, int] = {}
    for tap, counted in _nics(sample):
        nics |= {f"{tap}_{name.removesuffix('_octets')}": number for name, number in counted.items()}
    return {
        **_standard(server, sample),
        "cpu0_time": sample["cpu_ns"],
        "memory": server["ram"] << 10,
        "memory-rss": sample["memory_kib"],
        "vda_read": sample["read"],
        "vda_write": sample["written"],
        **nics,
    }


def _standard(server: Row, sample: Row) -> dict[str, Any]:
    """As Nova's 2.48 has them: nanoseconds, MiB, octets."""
    nics = [counted for _, counted in _nics(sample)]
    return {
        "state": "running",
        "driver": "ganeti",
        "hypervisor": "kvm",
        "num_cpus": server["vcpus"],
        "num_disks": len(server["disks"] or [None]),
        "num_nics": len(nics),
        "cpu_details": [{"id": 0, "time": sample["cpu_ns"]}],
        "memory_details": {"maximum": server["ram"], "used": sample["memory_kib"] >> 10},
        "disk_details": [{"read_bytes": sample["read"], "write_bytes": sample["written"]}],
        "nic_details": nics,
    }


def _nics(sample: Row) -> list[tuple[str, dict[str, int]]]:
    """Each tap, with what its guest received and sent."""
    return [(tap, dict(zip(_COUNTED, numbers, strict=True))) for tap, *numbers in sample["nics"]]


def _shown(sample: Row) -> dict[str, Any]:
    """Counters as they were measured: they go on from one sample to the next while `began` is the same."""
    nics = _nics(sample)
    return {
        "at": view.stamp(sample["at"]),
        "cpu_ns": sample["cpu_ns"],
        "memory_kib": sample["memory_kib"],
        "received": sum(counted["rx_octets"] for _, counted in nics),
        "sent": sum(counted["tx_octets"] for _, counted in nics),
        "read": sample["read"],
        "written": sample["written"],
        "began": sample["began"],
    }
