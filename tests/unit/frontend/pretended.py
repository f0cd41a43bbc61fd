"""A Ganeti in this process, with networks, their pools, and instances with NICs: it does at once what a job asks.

What it does not do is refused as Ganeti refuses it (cmdlib/network.py, cmdlib/instance_set_params.py); the front is
told of each job's end by a message, as the consumer would be. Disks are names and sizes.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Engine

from frontend.update.mirror import Mirror
from ganeti_ext import event
from ganeti_ext.errors import RapiError
from ganeti_ext.rapi import Query

_TAG = re.compile(r"[A-Za-z0-9_.+*/:@-]{1,128}")
_EPOCH = 1_700_000_000


class JobError(Exception):
    """A job fails with these words."""


@dataclass
class Network:
    subnet: ipaddress.IPv4Network
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    gateway: str | None = None
    subnet6: str | None = None
    gateway6: str | None = None
    mac_prefix: str | None = None
    tags: set[str] = field(default_factory=set)
    apart: set[str] = field(default_factory=set)
    """Addresses that are reserved for nobody: the network's own, its gateway, and those that were named."""
    groups: list[list[str]] = field(default_factory=list)


@dataclass
class Instance:
    tags: set[str]
    nics: list[dict[str, Any]] = field(default_factory=list)
    disks: list[dict[str, Any]] = field(default_factory=list)
    size: dict[str, int] = field(default_factory=dict)
    runs: bool = True


class Pretended:
    """The remote API of one; `engine` is the front's database, set before the first job."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.networks: dict[str, Network] = {}
        self.instances: dict[str, Instance] = {}
        self.tags: set[str] = set()
        """The cluster's."""
        self.loose: dict[str, dict[str, Any]] = {}
        """Disks that no instance has, by their names."""
        self.calls: list[tuple[str, str, Any, Any]] = []
        self.fails: Callable[[str, str], str | None] = lambda _operation, _name: None
        """The words with which a job on an object fails, if it is to."""
        self._ended: dict[int, str] = {}
        self._lock = threading.RLock()
        self._job, self._macs = 100, 0

    def network(self, name: str, subnet: str, *tags: str, link: str = "br0") -> Network:
        """One that an administrator has made and connected, with the first address as its gateway."""
        body = {"network_name": name, "network": subnet, "gateway": str(ipaddress.ip_network(subnet)[1])}
        self.submit("POST", "networks", {**body, "tags": list(tags)})
        where = {"group_name": "default", "network_mode": "bridged", "network_link": link}
        self.submit("PUT", f"networks/{name}/connect", where)
        return self.networks[name]

    def get(self, path: str, query: Query | None = None) -> Any:
        assert query is None or path == "networks"
        kind, name, *rest = [*path.split("/"), "", ""]
        if kind == "info":
            return {"mac_prefix": "aa:00:00", "name": "cluster.lab", "uuid": "c", "tags": sorted(self.tags)}
        if kind == "tags":
            return sorted(self.tags)
        if kind == "networks" and not name:
            return [self._shown(each) for each in self.networks]
        known: Mapping[str, Any] = self.networks if kind == "networks" else self.instances
        if name not in known:
            raise RapiError(f"RAPI GET /2/{path}: no such thing", 404)
        if rest[0] == "tags":
            return sorted(known[name].tags)
        return self._shown(name) if kind == "networks" else {"name": name, "pnode": "node1", "offline": False}

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        if what != "instance":
            return []
        assert set(fields) == {"nic.networks", "nic.ips"}
        assert wanted is None
        uuids = {name: found.uuid for name, found in self.networks.items()}
        return [
            {"nic.networks": [uuids[nic["network"]] for nic in each.nics], "nic.ips": [nic["ip"] for nic in each.nics]}
            for each in self.instances.values()
        ]

    def cancel(self, job: int) -> bool:
        return job not in self._ended

    def submit(self, method: str, path: str, body: object = None, query: Query | None = None) -> int:
        with self._lock:
            self._job += 1
            self.calls.append((method, path, body, query))
            said: dict[str, Any] = {**(body if isinstance(body, dict) else {}), **(query or {})}
            if path == "tags":
                return self._retag(method, said)
            kind, name, *rest = [*path.split("/"), "", ""]
            operation, name = _operation(method, kind, name, rest, said)
            self._do(kind, operation, name, said)
            return self._job

    def _retag(self, method: str, said: Mapping[str, Any]) -> int:
        """Tags of the cluster, of which nobody but nodes hears."""
        good = all(map(_TAG.fullmatch, said["tag"])) and (method == "PUT" or set(said["tag"]) <= self.tags)
        if good:
            self.tags = self.tags | set(said["tag"]) if method == "PUT" else self.tags - set(said["tag"])
        self._ended[self._job] = "success" if good else "error"
        return self._job

    def _do(self, kind: str, operation: str, name: str, said: dict[str, Any]) -> None:
        now, words = name, self.fails(operation, name)
        try:
            if words:
                raise JobError(words)
            for job, wanted in said.get("depends") or ():
                if self._ended.get(job) not in wanted:
                    raise JobError(f"Dependency job {job} finished with status '{self._ended.get(job)}'")
            known: Mapping[str, Any] = self.networks if kind == "networks" else self.instances
            if name not in known and operation not in ("OP_NETWORK_ADD", "OP_INSTANCE_CREATE"):
                raise JobError(f"{kind} '{name}' not found (unknown_entity)")
            now = _DO[operation](self, name, said) or name
            self._ended[self._job] = "success"
        except JobError as err:
            self._ended[self._job], words = "error", str(err)
        self._tell(kind, operation, name, now, said, words)

    def _tell(self, kind: str, operation: str, name: str, now: str, said: Mapping[str, Any], words: str | None) -> None:
        at, job, status = _EPOCH + self._job, self._job, self._ended[self._job]
        key = "network" if kind == "networks" else "instance"
        message: dict[str, Any] = {
            "type": event.NETWORK_STATUS if kind == "networks" else event.OP_STATUS,
            "version": event.VERSION,
            "event_time": [at, 0],
            "read_at": [at, 0],
            "cluster": "c",
            "jobId": job,
            "op_index": 0,
            key: name,
            "operation": operation,
            "status": status,
            "logmsg": None,
            "order": [at, 0, job, 0, event.RANKS[status]],
            "seq": [1, job],
            "result": words or (now if operation == "OP_NETWORK_RENAME" else None),
            "job_fields": {word: said[word] for word in ("tags", "disks", "nics", "beparams") if word in said},
            "reason": [["gnt:user", said.get("reason", "")]],
        }
        if kind == "networks" and now in self.networks:
            message["network_data"] = self._data(now)
        elif name in self.instances:
            message |= self._reading(self.instances[name])
        self.say(message)

    def say(self, message: dict[str, Any]) -> None:
        """To the front."""
        assert self.engine is not None
        Mirror(self.engine, "gx-").take(event.encode(message))

    def _data(self, name: str) -> dict[str, Any]:
        found = self.networks[name]
        columns = {key: getattr(found, key) for key in ("uuid", "gateway", "subnet6", "gateway6", "mac_prefix")}
        return {
            "name": name,
            "subnet": str(found.subnet),
            **columns,
            "tags": sorted(found.tags),
            "groups": found.groups,
        }

    def _shown(self, name: str) -> dict[str, Any]:
        found, used = self.networks[name], self._used(name)
        marks = ("X" if str(each) in found.apart | used else "." for each in found.subnet)
        return {
            "name": name,
            "uuid": found.uuid,
            "network": str(found.subnet),
            "map": "".join(marks),
            "mac_prefix": found.mac_prefix,
            "tags": sorted(found.tags),
            "group_list": found.groups,
            "external_reservations": ", ".join(sorted(found.apart)),
            "inst_list": [each for each, one in self.instances.items() if any(n["network"] == name for n in one.nics)],
        }

    def _reading(self, found: Instance) -> dict[str, Any]:
        state = {"oper_state": found.runs, "admin_state": "up" if found.runs else "down", "pnode": "node1"}
        return {
            "instance_state": {**state, "tags": sorted(found.tags), "beparams": found.size, "ctime": time.time()},
            "instance_nics": found.nics,
            "instance_disks": found.disks,
        }

    def _used(self, name: str) -> set[str]:
        return {nic["ip"] for each in self.instances.values() for nic in each.nics if nic["network"] == name}

    def add_network(self, name: str, said: Mapping[str, Any]) -> None:
        if name in self.networks:
            raise JobError(f"Network '{name}' already exists (already_exists)")
        subnet = ipaddress.IPv4Network(said["network"])
        found = Network(subnet, mac_prefix=said.get("mac_prefix"), tags=set(said.get("tags", ())))
        found.gateway, found.subnet6, found.gateway6 = (said.get(k) for k in ("gateway", "network6", "gateway6"))
        own = {str(subnet[0]), str(subnet[-1]), *([found.gateway] if found.gateway else [])}
        found.apart = own | set(said.get("add_reserved_ips", ()))
        self.networks[name] = found

    def remove_network(self, name: str, _: Mapping[str, Any]) -> None:
        if self.networks[name].groups:
            raise JobError(f"Network '{name}' is connected to a node group (wrong_state)")
        del self.networks[name]

    def rename_network(self, name: str, said: Mapping[str, Any]) -> str:
        new = str(said["new_name"])
        self.networks[new] = self.networks.pop(name)
        for each in self.instances.values():
            each.nics = [{**nic, "network": new} if nic["network"] == name else nic for nic in each.nics]
        return new

    def connect(self, name: str, said: Mapping[str, Any]) -> None:
        found = self.networks[name]
        if any(group == said["group_name"] for group, *_ in found.groups):
            return
        found.groups.append([said["group_name"], said["network_mode"], said["network_link"], ""])

    def disconnect(self, name: str, said: Mapping[str, Any]) -> None:
        if any(nic["network"] == name for each in self.instances.values() for nic in each.nics):
            raise JobError(f"Network '{name}' is in use (wrong_state)")
        found = self.networks[name]
        found.groups = [each for each in found.groups if each[0] != said["group_name"]]

    def modify_network(self, name: str, said: Mapping[str, Any]) -> None:
        found = self.networks[name]
        more, less = set(said.get("add_reserved_ips", ())), set(said.get("remove_reserved_ips", ()))
        gateway = said.get("gateway")
        if "none" in said.values() or (gateway and (more or less)):
            raise JobError("invalid parameters (wrong_input)")
        if (more | {gateway}) & found.apart:
            raise JobError("already externally reserved (wrong_state)")
        if not less <= found.apart:
            raise JobError("not externally reserved (wrong_state)")
        found.apart = (found.apart | more) - less
        if gateway:
            found.apart = (found.apart - {found.gateway or ""}) | {gateway}
            found.gateway = gateway
        for key, column in (("network6", "subnet6"), ("gateway6", "gateway6")):
            if said.get(key):
                setattr(found, column, said[key])

    def set_tags(self, name: str, said: Mapping[str, Any]) -> None:
        found: Network | Instance = (self.networks if name in self.networks else self.instances)[name]
        if not all(map(_TAG.fullmatch, said["tag"])):
            raise JobError(f"Invalid tag in {said['tag']} (wrong_input)")
        found.tags |= set(said["tag"])

    def remove_tags(self, name: str, said: Mapping[str, Any]) -> None:
        found: Network | Instance = (self.networks if name in self.networks else self.instances)[name]
        if not set(said["tag"]) <= found.tags:
            raise JobError("Tag(s) not found (wrong_state)")
        found.tags -= set(said["tag"])

    def create(self, name: str, said: Mapping[str, Any]) -> None:
        if name in self.instances:
            raise JobError(f"Instance {name} already in cluster (already_exists)")
        disks = [{"name": each.get("name"), "size": each["size"], "uuid": str(uuid.uuid4())} for each in said["disks"]]
        size = {"vcpus": said["beparams"]["vcpus"], "maxmem": said["beparams"]["maxmem"]}
        made = Instance(set(said["tags"]), disks=disks, size=size)
        made.nics = [self._nic(wish, check=said.get("conflicts_check", True)) for wish in said["nics"]]
        self.instances[name] = made

    def modify(self, name: str, said: Mapping[str, Any]) -> None:
        found = self.instances[name]
        found.size |= {key: value for key, value in said.get("beparams", {}).items() if key in ("vcpus", "maxmem")}
        for verb, where, params in said.get("nics", ()):
            if verb == "add":
                found.nics.append(self._nic(params, check=said.get("conflicts_check", True)))
            else:
                found.nics = [nic for nic in found.nics if where not in (nic["uuid"], nic["name"])]
        for verb, where, params in said.get("disks", ()):
            if verb == "add":
                found.disks.insert(where, {"name": params["name"], "size": params["size"], "uuid": str(uuid.uuid4())})
            elif verb == "remove":
                found.disks.pop(where)
            elif verb == "detach":
                self.loose[where] = next(each for each in found.disks if each["name"] == where)
                found.disks = [each for each in found.disks if each["name"] != where]
            elif verb == "attach":
                found.disks.insert(where if where >= 0 else len(found.disks), self.loose.pop(params["name"]))

    def _nic(self, wish: Mapping[str, Any], *, check: bool) -> dict[str, Any]:
        name = next((name for name, each in self.networks.items() if wish["network"] in (name, each.uuid)), None)
        if name is None:
            raise JobError(f"Network '{wish['network']}' not found (unknown_entity)")
        found, used, ip = self.networks[name], self._used(name), wish.get("ip")
        if ip == "pool":
            ip = next((str(each) for each in found.subnet if str(each) not in found.apart | used), None)
            if ip is None:
                raise JobError("Unable to get a free IP from the address pool (wrong_state)")
        elif ip and (ip in used or (check and ip in found.apart)):
            raise JobError(f"IP address {ip} already in use or not available in network {name} (not_unique)")
        self._macs += 1
        made = f"{found.mac_prefix or 'aa:00:00'}:00:{self._macs >> 8:02x}:{self._macs & 255:02x}"
        return {"network": name, "ip": ip, "mac": wish.get("mac") or made, "uuid": str(uuid.uuid4()),
                "name": wish.get("name"), "mode": "bridged", "link": "br0"}  # fmt: skip

    def power(self, name: str, *, runs: bool) -> None:
        self.instances[name].runs = runs

    def remove(self, name: str, _: Mapping[str, Any]) -> None:
        del self.instances[name]


def _operation(method: str, kind: str, name: str, rest: Sequence[str], said: dict[str, Any]) -> tuple[str, str]:
    """The opcode of a call, and the name of what it is about."""
    if rest[0] == "tags":
        said["tags"] = said["tag"]
        return ("OP_TAGS_SET" if method == "PUT" else "OP_TAGS_DEL"), name
    if kind == "networks":
        verbs = {"modify": "SET_PARAMS", "": "REMOVE"}
        return f"OP_NETWORK_{verbs.get(rest[0], rest[0].upper())}" if name else "OP_NETWORK_ADD", (
            name or said["network_name"]
        )
    verbs = {"modify": "SET_PARAMS", "": "REMOVE"}
    return f"OP_INSTANCE_{verbs.get(rest[0], rest[0].upper())}" if name else "OP_INSTANCE_CREATE", (
        name or said["instance_name"]
    )


_DO: Mapping[str, Callable[[Pretended, str, Mapping[str, Any]], str | None]] = {
    "OP_NETWORK_ADD": Pretended.add_network,
    "OP_NETWORK_REMOVE": Pretended.remove_network,
    "OP_NETWORK_RENAME": Pretended.rename_network,
    "OP_NETWORK_CONNECT": Pretended.connect,
    "OP_NETWORK_DISCONNECT": Pretended.disconnect,
    "OP_NETWORK_SET_PARAMS": Pretended.modify_network,
    "OP_TAGS_SET": Pretended.set_tags,
    "OP_TAGS_DEL": Pretended.remove_tags,
    "OP_INSTANCE_CREATE": Pretended.create,
    "OP_INSTANCE_SET_PARAMS": Pretended.modify,
    "OP_INSTANCE_REMOVE": Pretended.remove,
    "OP_INSTANCE_REINSTALL": lambda *_: None,
    "OP_INSTANCE_REBOOT": lambda self, name, _: self.power(name, runs=True),
    "OP_INSTANCE_STARTUP": lambda self, name, _: self.power(name, runs=True),
    "OP_INSTANCE_SHUTDOWN": lambda self, name, _: self.power(name, runs=False),
}
