"""Which volumes Ganeti's disks are, as far as this node can know.

The configuration is a file on the master and on master candidates alone; of an instance that runs on this node its
hypervisor's runtime file tells too.
"""

from __future__ import annotations

import glob
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = "/var/lib/ganeti"
RUN = "/run/ganeti/kvm-hypervisor"
EXT = "ext"
# Jobs that make volumes: of instances, of their disks, of exports and imports.
MAKERS = ("OP_INSTANCE_", "OP_BACKUP_")
WORKING = ("waiting", "running", "canceling")


class Disk(NamedTuple):
    """A disk of template `ext`; one that is attached to no instance has an empty `instance`."""

    uuid: str
    provider: str
    volume: str
    pool: str
    size: int  # MiB
    instance: str
    number: int  # of the instance's disks
    node: str  # the primary one's name
    state: str  # of its instance: up, down or offline
    name: str
    mode: str
    params: dict[str, str]


class Configuration(NamedTuple):
    """Ganeti's configuration, reduced to disks of template `ext`; `templates` are those of each instance's disks."""

    disks: tuple[Disk, ...]
    templates: dict[str, tuple[str, ...]]
    states: dict[str, str]

    def of(self, instance: str) -> tuple[Disk, ...]:
        """An instance's disks in their order; ExtError for one that is not there or has disks of other templates."""
        if instance not in self.templates:
            raise ExtError(f"instance {instance!r} is not in Ganeti's configuration; say its whole name")
        others = sorted(set(self.templates[instance]) - {EXT})
        if others:
            raise ExtError(f"instance {instance!r} has disks of the template {', '.join(others)}, which are not ours")
        return tuple(sorted((disk for disk in self.disks if disk.instance == instance), key=lambda disk: disk.number))

    def owner(self, provider: str, pool: str, volume: str) -> Disk | None:
        """The disk that a volume is."""
        wanted = (provider, pool, volume)
        return next((disk for disk in self.disks if (disk.provider, disk.pool, disk.volume) == wanted), None)


def parse(config: dict[str, Any]) -> Configuration:
    """What config.data says."""
    nodes = {uuid: node["name"] for uuid, node in config["nodes"].items()}
    owners: dict[str, tuple[int, dict[str, Any]]] = {}
    templates, states = {}, {}
    for instance in config["instances"].values():
        templates[instance["name"]] = tuple(config["disks"][uuid]["dev_type"] for uuid in instance["disks"])
        states[instance["name"]] = instance["admin_state"]
        owners |= {uuid: (index, instance) for index, uuid in enumerate(instance["disks"])}
    disks = []
    for uuid, disk in config["disks"].items():
        if disk["dev_type"] == EXT:
            index, owner = owners.get(uuid, (0, {}))
            node = nodes.get(owner.get("primary_node", ""), "")
            disks.append(_disk(disk, owner.get("name", ""), index, node, owner.get("admin_state", "")))
    return Configuration(tuple(disks), templates, states)


def runtime(text: str, instance: str, node: str) -> tuple[Disk, ...]:
    """The disks that the runtime file of a running instance names, those of other templates included as an error."""
    found = []
    for index, (disk, *_) in enumerate(json.loads(text)[3]):
        if disk["dev_type"] != EXT:
            raise ExtError(f"instance {instance!r} has a disk of the template {disk['dev_type']}, which is not ours")
        found.append(_disk(disk, instance, index, node, "up"))
    return tuple(found)


class Ganeti(NamedTuple):
    """Ganeti's files on this node."""

    data: str = DATA
    run: str = RUN

    def configuration(self) -> Configuration | None:
        """None on a node that is no master candidate."""
        try:
            with open(f"{self.data}/config.data", encoding="utf-8") as file:
                return parse(json.load(file))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as err:
            raise ExtError(f"{self.data}/config.data is not Ganeti's configuration: {err!r}") from err

    def busy_since(self) -> float | None:
        """When the oldest job began that is at work on disks: what it has made may be in no configuration yet.

        The queue is on the master and on master candidates.
        """
        begun = []
        for _, ops in self._jobs():
            works = [op for op in ops if op["status"] in WORKING and op["input"]["OP_ID"].startswith(MAKERS)]
            begun += [float((op["exec_timestamp"] or op["start_timestamp"] or (0, 0))[0]) for op in works]
        return min(begun, default=None)

    def jobs(self, instance: str) -> list[int]:
        """Numbers of the jobs on an instance that are not at their end, the oldest first."""
        waited = ("queued", *WORKING)
        return sorted(
            number
            for number, ops in self._jobs()
            if any(op["status"] in waited and op["input"].get("instance_name") == instance for op in ops)
        )

    def master(self) -> str:
        """The master node's name, or an empty text on a machine that is no node."""
        return next(self._words("ssconf_master_node"), "")

    def disks(self, instance: str, node: str) -> tuple[Disk, ...] | None:
        """The disks of an instance that runs on this node, or None when it does not run here."""
        try:
            with open(f"{self.run}/conf/{instance}.runtime", encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        try:
            return runtime(text, instance, node)
        except (ValueError, KeyError, TypeError, IndexError) as err:
            raise ExtError(f"{self.run}/conf/{instance}.runtime is not Ganeti's: {err!r}") from err

    def socket(self, instance: str, what: str) -> str:
        """The path of one of the instance's control sockets: `qmp` is QEMU's, `qga` its agent's."""
        return os.path.join(self.run, "ctrl", f"{instance}.{what}")

    def _jobs(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """The queue's jobs, each with its ops."""
        for path in glob.iglob(f"{glob.escape(self.data)}/queue/job-*"):
            number = path.rpartition("-")[2]
            if not number.isdigit():  # a draft
                continue
            try:
                with open(path, encoding="utf-8") as file:
                    ops = json.load(file)["ops"]
                found = int(number), [op for op in ops if op["status"] and op["input"]["OP_ID"]]
            except FileNotFoundError:  # archived meanwhile
                continue
            except (ValueError, KeyError, TypeError) as err:
                raise ExtError(f"{path} is no job of Ganeti's: {err!r}") from err
            yield found

    def _words(self, name: str) -> Iterator[str]:
        try:
            with open(os.path.join(self.data, name), encoding="ascii") as file:
                yield from file.read().split()
        except FileNotFoundError:
            return


def _disk(disk: dict[str, Any], instance: str, index: int, node: str, state: str) -> Disk:
    provider, volume = disk["logical_id"]
    params = {str(key): str(value) for key, value in (disk.get("params") or {}).items()}
    return Disk(
        uuid=disk.get("uuid", ""),
        provider=provider,
        volume=volume,
        pool=params.get("pool", ""),
        size=disk["size"],
        instance=instance,
        number=index,
        node=node,
        state=state,
        name=disk.get("name") or "",
        mode=disk.get("mode", "rw"),
        params=params,
    )
