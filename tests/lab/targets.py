"""What a load is done to: instances that a tenant owns, and networks.

Instances of Ganeti's hypervisor `fake` without a disk are quick; a real one has QEMU and a disk without a system.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from random import Random
from typing import Any

from ganeti_ext import tags
from ganeti_ext.rapi import Rapi
from lab.ganeti import NETWORK
from tests.lab.load import Call

FAKE: dict[str, Any] = {"hypervisor": "fake", "disk_template": "diskless", "disks": [], "ignore_ipolicy": True}
REAL: dict[str, Any] = {
    "hypervisor": "kvm",
    "disk_template": "ext",
    "disks": [{"size": 4, "provider": "cow"}],
    "hvparams": {"acpi": False},  # else who does not listen is asked again
}
GROUP = "default"


class Instance:
    """`kind` is FAKE or REAL, `project` the id of its owner; nodes by their names."""

    def __init__(self, rapi: Rapi, random: Random, nodes: Sequence[str], project: str, kind: dict[str, Any]) -> None:
        self._rapi, self._random, self._nodes = rapi, random, nodes
        self._project, self._kind = project, kind
        self._name, self._names = "", 0

    def add(self) -> int:
        self._name = f"gx-{uuid.uuid4()}"
        body = {
            "__version__": 1,
            "mode": "create",
            "instance_name": self._name,
            "pnode": self._random.choice(self._nodes),
            "os_type": "ganeti-ext+default",
            "nics": [_NIC],
            "beparams": {"memory": 64, "vcpus": 1},
            "tags": tags.encode({"project": self._project, "user": self._project, "name": "added"}),
            "start": self._random.random() < 0.6,
            "ip_check": False,
            "name_check": False,
            "conflicts_check": False,
            **self._kind,
        }
        return self._rapi.submit("POST", "instances", body)

    def remove(self) -> int:
        return self._rapi.submit("DELETE", self._path(), {"shutdown_timeout": 1})

    def operations(self) -> Sequence[tuple[str, int, Call]]:
        return (
            ("start", 6, lambda: self._put("startup")),
            ("shutdown", 4, self._shut_down),
            ("reboot", 3, lambda: self._rapi.submit("POST", self._path("reboot"), {"shutdown_timeout": 1})),
            ("migrate", 3, lambda: self._put("migrate", {"target_node": self._random.choice(self._nodes)})),
            ("failover", 2, self._fail_over),
            ("modify", 3, lambda: self._put("modify", {"beparams": {"vcpus": self._random.randint(1, 3)}})),
            ("add nic", 2, lambda: self._put("modify", {"nics": [["add", -1, _NIC]]})),
            ("remove nic", 1, lambda: self._put("modify", {"nics": [["remove", -1, {}]]})),
            ("show as", 3, self._show_as),
            ("describe", 1, self._describe),
            ("rename", 2, self._rename),
        )

    def _shut_down(self) -> int:
        return self._put("shutdown", {"timeout": 1})

    def _fail_over(self) -> int:
        return self._put("failover", {"target_node": self._random.choice(self._nodes), "shutdown_timeout": 1})

    def _show_as(self) -> int:
        """Another name for the tenant: of two that tags say, the greater holds."""
        self._names += 1
        (tag,) = tags.encode({"name": f"shown {self._names:04d}"})
        return self._rapi.submit("PUT", self._path("tags"), None, {"tag": tag})

    def _describe(self) -> int:
        """One more item of the server's metadata, or another value of it."""
        (tag,) = tags.encode_metadata({self._random.choice("abc"): self._word()})
        return self._rapi.submit("PUT", self._path("tags"), None, {"tag": tag})

    def _rename(self) -> int:
        """Another name in Ganeti, and back: what is told of it meanwhile bears one of them.

        Ganeti refuses it while the instance runs.
        """
        other = f"{self._name}.lab"
        words = {"ip_check": False, "name_check": False}
        self._shut_down()
        self._put("rename", {"new_name": other, **words})
        return self._rapi.submit("PUT", f"instances/{other}/rename", {"new_name": self._name, **words})

    def _word(self) -> str:
        return f"shown {self._random.randrange(10_000)}"

    def _put(self, verb: str, body: object = None) -> int:
        return self._rapi.submit("PUT", self._path(verb), body)

    def _path(self, verb: str = "") -> str:
        return f"instances/{self._name}" + (f"/{verb}" if verb else "")


class Network:
    """`number` makes it another one than the others, up to 255."""

    def __init__(self, rapi: Rapi, random: Random, number: int) -> None:
        self._rapi, self._random, self._number = rapi, random, number
        self._name, self._added = "", 0

    def add(self) -> int:
        self._added += 1  # that before it may still be there: Ganeti removes none that is connected
        self._name = self._another()
        body = {"network": f"10.100.{self._number}.0/24", "gateway": f"10.100.{self._number}.1", "tags": ["lab"]}
        return self._rapi.submit("POST", "networks", {"network_name": self._name, **body})

    def remove(self) -> int:
        self._disconnect()
        return self._rapi.submit("DELETE", f"networks/{self._name}")

    def operations(self) -> Sequence[tuple[str, int, Call]]:
        return (
            ("connect", 3, self._connect),
            ("disconnect", 1, self._disconnect),
            ("modify network", 2, self._modify),
            ("tag network", 2, lambda: self._tag("PUT")),
            ("untag network", 1, lambda: self._tag("DELETE")),
            ("rename network", 1, self._rename),
        )

    def _connect(self) -> int:
        how = {"group_name": GROUP, "network_mode": "bridged", "network_link": "br0"}
        return self._put("connect", how)

    def _disconnect(self) -> int:
        return self._put("disconnect", {"group_name": GROUP})

    def _modify(self) -> int:
        return self._put("modify", {"gateway": f"10.100.{self._number}.{self._random.randint(1, 9)}"})

    def _tag(self, method: str) -> int:
        tag = f"lab:{self._random.randrange(3)}"
        return self._rapi.submit(method, f"networks/{self._name}/tags", None, {"tag": tag})

    def _rename(self) -> int:
        name = self._another()
        job = self._put("rename", {"new_name": name})
        # A job that comes too late bears a name that is no more.
        self._name = name
        return job

    def _another(self) -> str:
        return f"lab{self._number}n{self._added}-{self._random.randrange(10_000)}"

    def _put(self, verb: str, body: object) -> int:
        return self._rapi.submit("PUT", f"networks/{self._name}/{verb}", body)


_NIC = {"network": NETWORK, "ip": "pool"}
