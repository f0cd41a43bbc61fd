"""gnt-instance as far as moves of disks need it: Ganeti 3.1's config.data, and the verbs that its jobs call.

    python3 -SEI gnt_instance.py DIRECTORY modify|activate-disks ...

A move has a dozen jobs, each a start of this: it loads no more than a verb's executable does, and JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.realpath(f"{__file__}/../../../.."))

from extstorage import provider
from ganeti_ext.errors import ExtError
from ganeti_ext.files import remove, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class Job:
    """One call. DIRECTORY has `etc`, `data` and, below `run`, what Ganeti has below /run/ganeti."""

    def __init__(self, place: Path | str) -> None:
        self.place = str(place)
        self.path = f"{place}/data/config.data"
        self.config: dict[str, Any] = json.loads(_text(self.path))
        (self.owner,) = self.config["instances"].values()
        self.disks: list[str] = self.owner["disks"]

    def save(self) -> None:
        replace(self.path, json.dumps(self.config))

    def verb(self, disk: str, verb: str, **env: str) -> str:
        facts = self.config["disks"][disk]
        name, volume = facts["logical_id"]
        params = {f"EXTP_{key.upper()}": value for key, value in facts["params"].items()}
        words = {"GANETI_EXT_CONFIG_DIR": f"{self.place}/etc", "VOL_NAME": volume, "VOL_SIZE": str(facts["size"])}
        verbs = importlib.import_module(f"extstorage.{name}")
        return provider.main(verbs)(verb, {**words, **params, **env}) or ""

    def assemble(self, disk: str, number: int) -> None:
        """BlockdevAssemble on the primary node."""
        device = self.verb(disk, "attach").split("\n")[0]
        self.verb(disk, "open", VOL_OPEN_EXCLUSIVE="True")
        if device:
            link = f"{self.place}/run/instance-disks/web:{number}"
            remove(link)
            os.symlink(device, link)

    def add(self, number: int, params: dict[str, str]) -> None:
        name, size = params.pop("name", None), int(params.pop("size").removesuffix("m"))
        new, owner, mode = _uuid(), params.pop("provider"), params.pop("mode")
        facts = {"dev_type": "ext", "logical_id": [owner, f"{_uuid()}.ext.disk{number}"], "size": size}
        self.config["disks"][new] = {"uuid": new, "name": name, "params": params, "mode": mode, **facts}
        self.verb(new, "create")
        self.verb(new, "open", VOL_OPEN_EXCLUSIVE="True")
        self.disks.insert(number, new)

    def attach(self, number: int, params: dict[str, str]) -> None:
        self.disks.insert(number, params["uuid"])
        self.save()
        try:
            self.assemble(params["uuid"], 0)  # as AssembleInstanceDisks counts
        except ExtError as err:
            sys.stdout.write(f"could not assemble: {err}\n")
            self.owner["disks_active"] = False
        if not self.owner["disks_active"] and self.owner["admin_state"] != "up":
            self.verb(params["uuid"], "detach")

    def detach(self, number: int, _: dict[str, str]) -> None:
        disk = self.disks.pop(number)
        self.verb(disk, "detach")

    def remove(self, number: int, _: dict[str, str], *, hotplug: bool) -> None:
        disk = self.disks[number]
        up = self.owner["admin_state"] == "up"
        if up and not (hotplug and self.runs()):
            raise ExtError("can't remove volume from a running instance without using hotplug")
        runtime = f"{self.place}/run/kvm/conf/web.runtime"
        if up and any(one["uuid"] == disk for one, *_ in json.loads(_text(runtime))[3]):
            raise ExtError("this would take a disk out of the guest")
        try:
            self.verb(disk, "detach")
            self.verb(disk, "remove")
        except ExtError:
            pass  # RemoveDisks only warns
        self.disks.remove(disk)
        del self.config["disks"][disk]

    def modify(self, number: int, params: dict[str, str]) -> None:
        name = params["name"]
        self.config["disks"][self.disks[number]]["name"] = None if name == "none" else name

    def state(self, option: str) -> None:
        self.owner["admin_state"] = {"--offline": "offline", "--online": "down"}[option]

    def activate(self) -> None:
        for number, disk in enumerate(self.disks):
            self.assemble(disk, number)
        self.owner["disks_active"] = True

    def runs(self) -> bool:
        return os.path.exists(f"{self.place}/run/kvm/ctrl/web.pid")


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def _uuid() -> str:
    return _text("/proc/sys/kernel/random/uuid").strip()


def main(place: str, what: str, *words: str) -> None:
    job = Job(place)
    with open(f"{place}/jobs", "a", encoding="utf-8") as file:
        file.write(f"{' '.join([what, *words])}\n")
    options = [word for word in words if word.startswith("--")]
    if what == "activate-disks":
        job.activate()
    for option in options:
        if option in ("--offline", "--online"):
            job.state(option)
        if option.startswith("--disk="):
            number, _, rest = option.removeprefix("--disk=").partition(":")
            verb, *pairs = rest.split(",")
            more = {"hotplug": "--no-hotplug" not in options} if verb == "remove" else {}
            getattr(job, verb)(int(number), dict(pair.split("=", 1) for pair in pairs), **more)
    job.save()


if __name__ == "__main__":
    os.umask(0o022)
    try:
        main(*sys.argv[1:])
    except ExtError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
