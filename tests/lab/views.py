"""How all servers and networks stand: as Ganeti says, and as the front's database says. The same columns of both.

Keys of a view are those of jobfiles.key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ganeti_ext import tags
from ganeti_ext.rapi import Rapi
from lab.node import Node
from tests.lab.jobfiles import key

View = dict[str, dict[str, Any]]
DATABASE = "ganeti-ext"

_POWER = {True: "ACTIVE", False: "SHUTOFF", None: "UNKNOWN"}
_NIC = ("network", "ip", "mac", "uuid")
_SHOWN = (
    "select coalesce(json_agg(to_jsonb(server)), '[]') from server where deleted is null",
    "select coalesce(json_agg(to_jsonb(network)), '[]') from network",
)


def of_ganeti(rapi: Rapi, projects: Mapping[str, str] | None = None) -> View:
    """RapiUnavailable or RapiError when the remote API does not answer. `projects` has ids by names."""
    bulk = {"bulk": 1}
    servers = [_instance(each, projects or {}) for each in rapi.get("instances", bulk)]
    view = {key(each["instance"]): each for each in servers if each["project"]}
    return view | {key(each["name"]): _network(each) for each in rapi.get("networks", bulk)}


def of_front(front: Node) -> View:
    """CommandError when the database does not answer."""
    tables = [json.loads(line) for line in sql(front, *_SHOWN).splitlines()]
    return dict(shown(row) for rows in tables for row in rows)


def shown(row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The key of a row of the tables server and network, and its columns in a view."""
    if "instance" in row:
        same = {
            name: row[name]
            for name in ("instance", "status", "task", "host", "vcpus", "ram", "name", "metadata", "disk")
        }
        nics = [{name: nic.get(name) for name in _NIC} for nic in row["nics"]]
        return key(row["instance"]), {**same, "project": row["project_id"], "nics": nics}
    same = {name: row[name] for name in ("name", "subnet", "gateway", "subnet6", "gateway6")}
    return key(row["name"]), {**same, "uuid": row["id"], "tags": sorted(row["tags"])}


def agree(ganeti: Mapping[str, Any] | None, front: Mapping[str, Any] | None) -> bool:
    """Whether the front shows what Ganeti has of an object; None: there is none.

    A server whose create failed is shown in error until its user deletes it, whatever Ganeti has of it.
    """
    if front is None or front.get("status") != "ERROR":
        return ganeti == front
    return front["task"] is None and (ganeti is None or {**ganeti, "status": "ERROR"} == front)


def rows(front: Node, query: str) -> list[dict[str, Any]]:
    """The rows that a query gives as one JSON array, or null."""
    return json.loads(sql(front, query) or "null") or []


def sql(front: Node, *commands: str, database: str = DATABASE) -> str:
    """What psql prints of these commands, run by the database's administrator."""
    words = [word for command in commands for word in ("-c", command)]
    psql = ["psql", "--quiet", "--no-align", "--tuples-only", "-v", "ON_ERROR_STOP=1", f"--dbname={database}", *words]
    return front.run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *psql)


def _instance(entry: Mapping[str, Any], projects: Mapping[str, str]) -> dict[str, Any]:
    columns = (entry[f"nic.{column}"] for column in ("networks.names", "ips", "macs", "uuids"))
    facts = tags.decode(entry["tags"])
    return {
        "instance": entry["name"],
        "status": _POWER[entry["oper_state"]],
        "task": None,
        "host": entry["pnode"],
        "vcpus": entry["beparams"]["vcpus"],
        "ram": entry["beparams"]["maxmem"],
        "name": facts.get("name", entry["name"]),
        "project": projects.get(facts.get("project", ""), facts.get("project")),
        "metadata": tags.metadata(entry["tags"]),
        "disk": sum(entry["disk.sizes"]) // 1024,
        "nics": [dict(zip(_NIC, nic, strict=True)) for nic in zip(*columns, strict=True)],
    }


def _network(entry: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: entry[name] for name in ("name", "uuid", "gateway", "gateway6")}
    return {**same, "subnet": entry["network"], "subnet6": entry["network6"], "tags": sorted(entry["tags"])}
