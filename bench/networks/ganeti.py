"""Ganeti's remote API as far as ports need it: does at once what a job asks, and tells the front so before it answers.

    python3 -m bench.networks.ganeti CERTIFICATE PORT

The message of a job's end is what eventd would send, and is applied by what applies it in the consumer.
"""

from __future__ import annotations

import ipaddress
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from bench.api.ganeti import Said, serve
from bench.networks import population
from bench.remote import answer
from frontend import settings
from frontend.database import db
from frontend.update.mirror import Mirror
from ganeti_ext import event

_EPOCH = 1_760_000_000


class Site(NamedTuple):
    """The networks, by their names, and the NICs of instances of one front."""

    mirror: Mirror
    networks: dict[str, dict[str, Any]]
    instances: dict[str, list[dict[str, Any]]]


def site(conf: str, networks: int, ports: int) -> Site:
    """As the database of this front was filled."""
    nets = population.nets(networks)
    rows = (row for row, _ in population.networks(nets))
    found = {row["name"]: {**row, "tags": set(row["tags"]), "apart": set()} for row in rows}
    known = {net.id: net.known_as for net in nets}
    for row in population.made(nets, ports):
        found[known[row["network"]]]["apart"].add(row["address"])
    instances = {row["instance"]: row["nics"] for row in population.servers(nets, ports)}
    return Site(Mirror(db.open_writer(settings.read(conf).front.database), "gx-"), found, instances)


class Cluster:
    """Of the front whose turn it is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._job, self._macs = 2_000_000, 0
        self._sites: dict[str, Site] = {}
        self._now: Site

    def begin(self, conf: str, networks: int, ports: int) -> None:
        """Whose turn it is; what it was told before stays."""
        if conf not in self._sites:
            self._sites[conf] = site(conf, networks, ports)
        self._now = self._sites[conf]

    def calls(self) -> dict[str, int]:
        """How often each kind of call came until now."""
        with self._lock:
            return dict(self._calls)

    def answer(self, method: str, path: str, body: Any) -> Said:
        where, query = urlsplit(path).path, parse_qs(urlsplit(path).query)
        _, kind, name, verb, *_ = [*where.strip("/").split("/"), "", ""]
        with self._lock:
            self._calls[f"{method} {where}"] += 1
            if method == "GET":
                return self._told(kind, name, verb)
            self._job += 1
            done = {**(body or {}), **query}
            if kind == "networks":
                self._change(method, name, verb, done)
            else:
                self._plug(name, done)
            return 200, self._job

    def _told(self, kind: str, name: str, verb: str) -> Said:
        if kind == "info":
            return 200, {"mac_prefix": "aa:00:00", "name": "bench", "uuid": "bench"}
        if kind == "query":
            ids = {name: row["id"] for name, row in self._now.networks.items()}
            all_ = [
                ([ids[nic["network"]] for nic in nics], [nic["ip"] for nic in nics])
                for nics in self._now.instances.values()
            ]
            return 200, {"data": [[[0, networks], [0, ips]] for networks, ips in all_]}
        found = self._now.networks.get(name)
        if kind != "networks" or found is None:
            return 404, {"code": 404, "explain": "nothing"}
        return 200, sorted(found["tags"]) if verb == "tags" else self._shown(name, found)

    def _shown(self, name: str, found: Mapping[str, Any]) -> dict[str, Any]:
        users = [one for one, nics in self._now.instances.items() if any(nic["network"] == name for nic in nics)]
        used = {nic["ip"] for one in users for nic in self._now.instances[one]} | found["apart"]
        subnet = ipaddress.IPv4Network(found["subnet"])
        ends = {str(subnet[0]), str(subnet[1]), str(subnet[-1])}
        marks = "".join("X" if str(each) in used | ends else "." for each in subnet)
        prefix = population.mac(name.rpartition(".")[2])
        told = {"name": name, "network": found["subnet"], "map": marks, "mac_prefix": prefix}
        return {**told, "tags": sorted(found["tags"]), "inst_list": users}

    def _change(self, method: str, name: str, verb: str, said: Mapping[str, Any]) -> None:
        found = self._now.networks[name]
        if verb == "tags":
            found["tags"] = found["tags"] | set(said["tag"]) if method == "PUT" else found["tags"] - set(said["tag"])
        else:
            found["apart"] |= set(said.get("add_reserved_ips", ()))
            found["apart"] -= set(said.get("remove_reserved_ips", ()))
        columns = {key: found.get(key) for key in ("subnet", "gateway", "subnet6", "gateway6", "mac_prefix", "groups")}
        data = {"name": name, "uuid": found["id"], "tags": sorted(found["tags"]), **columns}
        operation = f"OP_TAGS_{'SET' if method == 'PUT' else 'DEL'}" if verb == "tags" else "OP_NETWORK_SET_PARAMS"
        self._tell(event.NETWORK_STATUS, operation, said, {"network": name, "network_data": data})

    def _plug(self, name: str, said: Mapping[str, Any]) -> None:
        """NICs more; all of them get the same address, as nobody looks."""
        nics = self._now.instances[name]
        for _, _, params in said["nics"]:
            self._macs += 1
            network = next(each for each, row in self._now.networks.items() if params["network"] in (each, row["id"]))
            low = f"{self._macs >> 16 & 255:02x}:{self._macs >> 8 & 255:02x}:{self._macs & 255:02x}"
            subnet = ipaddress.IPv4Network(self._now.networks[network]["subnet"])
            nic = {"network": network, "ip": str(subnet[subnet.num_addresses // 2]), "mac": f"aa:00:01:{low}"}
            how = {"name": params["name"], "mode": "bridged", "link": population.LINK}
            nics = [*nics, {**nic, **how, "uuid": str(uuid.uuid4())}]
        self._now.instances[name] = nics
        state = {"oper_state": True, "admin_state": "up", "pnode": "node1.example.org"}
        reading = {"instance_nics": nics, "instance_state": state}
        self._tell(event.OP_STATUS, "OP_INSTANCE_SET_PARAMS", said, {"instance": name, **reading})

    def _tell(self, kind: str, operation: str, said: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        at, job = [_EPOCH + self._job, 0], self._job
        message = {
            "type": kind,
            "version": event.VERSION,
            "event_time": at,
            "read_at": at,
            "cluster": "bench",
            "jobId": job,
            "op_index": 0,
            "operation": operation,
            "status": "success",
            "logmsg": None,
            "order": [*at, job, 0, event.RANKS["success"]],
            "seq": [1, job],
            "result": None,
            "job_fields": {},
            "reason": [["gnt:user", reason] for reason in said.get("reason", ())],
        }
        self._now.mirror.take(event.encode({**message, **about}))


def main() -> None:
    cluster = Cluster()
    serve(sys.argv[1], int(sys.argv[2]), cluster.answer)
    answer(cluster.calls, cluster.begin)


if __name__ == "__main__":
    main()
