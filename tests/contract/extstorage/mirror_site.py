"""A node, which is the master too, with an instance `web` in a real QEMU, started as Ganeti 3.1 does, that writes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganeti_ext import qemusocket
from ganeti_ext.errors import ExtError
from ganeti_ext.qemusocket import Monitor
from lab.step import until
from tests.contract.extstorage.choice import ALL
from tests.contract.extstorage.gnt_instance import Job
from tests.contract.extstorage.harness import MIB, ROOT

UUIDS = [f"{number}11df160-7a22-4067-a566-7e0ca838613{number}" for number in range(4)]
BLOCK = 4096
PAUSE = 0.0 if ALL else 0.003  # seconds between two writes of a guest, who would have a processor for himself
# Firmware for a guest that halts at once, with interrupts off: nobody needs what it does, and a BIOS's search for
# something to boot is what an emulated machine takes longest for.
HALT = (b"\xfa\xf4\xeb\xfd").ljust(16, b"\xf4").rjust(65536, b"\xf4")  # cli; hlt; jmp; at the reset vector
HVPARAMS = {"disk_aio": "threads", "disk_discard": "ignore", "disk_type": "paravirtual"}


def identity(uuid: str) -> str:
    """_GenerateDeviceKVMId."""
    return "disk-" + uuid.rsplit("-", 2)[0]


class Site:
    """`place` has `etc` and `data`; `run` is where the node, and QEMU as `inside`, have Ganeti's run directory."""

    def __init__(self, place: Path, run: Path, enter: Sequence[str], inside: str, sizes: Sequence[int]) -> None:
        self.place, self._run, self._enter, self._inside = place, run, list(enter), inside
        self.process: subprocess.Popen[bytes] | None = None
        for name in ("kvm/conf", "kvm/ctrl", "instance-disks"):
            (run / name).mkdir(parents=True)
        (place / "run").symlink_to(run)
        (place / "bin").mkdir()
        (place / "bin/gnt-instance").write_text(
            f'#!/bin/sh\nexec /usr/bin/python3 -SEI {Path(__file__).with_name("gnt_instance.py")} {place} "$@"\n'
        )
        (place / "bin/gnt-instance").chmod(0o755)
        (place / "data/ssconf_master_node").write_text("one\n")
        disks: dict[str, dict[str, Any]] = {
            UUIDS[number]: {
                "uuid": UUIDS[number],
                "dev_type": "ext",
                "logical_id": ["cow", f"v{number}"],
                "size": size,
                "params": {},
                "mode": "rw",
                "name": f"name{number}" if number else None,
            }
            for number, size in enumerate(sizes)
        }
        owner = {"name": "web", "primary_node": "n", "admin_state": "up", "disks_active": True, "disks": [*disks]}
        config = {"nodes": {"n": {"name": "one"}}, "instances": {"i": owner}, "disks": disks}
        (place / "data/config.data").write_text(json.dumps(config))
        self.models = [bytearray(size * MIB) for size in sizes]
        for disk in disks:
            Job(place).verb(disk, "create")

    def job(self) -> Job:
        return Job(self.place)

    def start(self) -> None:
        """gnt-instance startup: QEMU with the disks of the configuration."""
        job = self.job()
        job.activate()
        entries = []
        for number, uuid in enumerate(job.disks):
            facts = job.config["disks"][uuid]
            hvinfo = {"driver": "virtio-blk-pci", "id": identity(uuid), "bus": "pci.0", "addr": hex(number + 8)}
            link = f"{self._run}/instance-disks/web:{number}"
            facts = {**facts, "params": {"access": "kernelspace", **facts["params"]}, "hvinfo": hvinfo}
            entries.append([facts, link, None])
        self.runtime.write_text(json.dumps([["kvm"], [], HVPARAMS, entries]))
        self.process = self._launch()
        self.pid_file.touch()
        until("QEMU listens", lambda: self.status() == "running", 20)

    def migrate(self) -> None:
        """Live migration to a second QEMU, started as the runtime file says, that takes the first one's place."""
        assert self.process
        with self.qmp() as source:
            (self._run / "kvm/ctrl/web.qmp").unlink()  # the source would let a second client wait
            target = self._launch("-incoming", f"unix:{self._inside}/kvm/ctrl/incoming")
            source_process, self.process = self.process, target
            try:
                until("it waits", lambda: self.status() == "inmigrate", 20)
                source.ask("migrate", None, {"uri": f"unix:{self._inside}/kvm/ctrl/incoming"})
                until("it is there", lambda: source.ask("query-migrate")["status"] == "completed", 60)
            finally:
                source_process.kill()
                source_process.wait()
        until("it runs", lambda: self.status() == "running", 20)

    def _launch(self, *more: str) -> subprocess.Popen[bytes]:
        """QEMU with the disks of the runtime file (_GenerateKVMBlockDevicesOptions)."""
        words = list(more)
        for facts, link, _ in json.loads(self.runtime.read_text())[3]:
            device = ",".join(
                [facts["hvinfo"]["driver"], *(f"{key}={facts['hvinfo'][key]}" for key in ("id", "bus", "addr"))]
            )
            name = facts["hvinfo"]["id"]
            words += ["-device", f"{device},drive={name},write-cache=on"]
            cache = "discard=ignore,cache.direct=on,cache.no-flush=off,auto-read-only=off"
            file = f"file.driver=host_device,file.filename={os.readlink(link)},file.aio=threads"
            words += ["-blockdev", f"driver=raw,node-name={name},{cache},{file}"]
        (self._run / "halt.rom").write_bytes(HALT)
        kvm = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-m", "32", "-nic", "none"]
        kvm += ["-bios", f"{self._inside}/halt.rom"]
        for name in ("qmp", "kvmd"):
            kvm += ["-qmp", f"unix:{self._inside}/kvm/ctrl/web.{name},server,nowait"]
        lines = ["stdbuf", "-oL"]  # what qemu-io says is for QEMU's stdout
        return subprocess.Popen([*self._enter, *lines, *kvm, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)

    def stop(self) -> None:
        """QEMU is killed."""
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None
        self.pid_file.unlink(missing_ok=True)

    def shut(self) -> None:
        """gnt-instance shutdown."""
        self.stop()
        job = self.job()
        for disk in job.disks:
            with contextlib.suppress(ExtError):
                job.verb(disk, "detach")
        job.owner |= {"admin_state": "down", "disks_active": False}
        job.save()
        self.runtime.unlink()

    @property
    def runtime(self) -> Path:
        return self._run / "kvm/conf/web.runtime"

    @property
    def pid_file(self) -> Path:
        return self._run / "kvm/ctrl/web.pid"

    def qmp(self, name: str = "qmp") -> Monitor:
        return qemusocket.monitor(f"{self._run}/kvm/ctrl/web.{name}", 20)

    def status(self) -> str:
        with contextlib.suppress(ExtError), self.qmp() as qmp:
            return str(qmp.ask("query-status")["status"])
        return ""

    def nodes(self) -> list[str]:
        """The block nodes by name that QEMU has, and its jobs."""
        with self.qmp() as qmp:
            found = [str(node["node-name"]) for node in qmp.ask("query-named-block-nodes")]
            jobs = [str(job["id"]) for job in qmp.ask("query-jobs")]
        return sorted(name for name in found if not name.startswith("#")) + jobs

    def argv(self, *words: str) -> list[str]:
        return [
            *words,
            f"--config={self.place}/etc",
            f"--ganeti-data={self.place}/data",
            f"--ganeti-run={self._run}/kvm",
        ]

    def env(self) -> dict[str, str]:
        return {"PATH": f"{self.place}/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def call(self, *argv: str, killed: tuple[int, str] | None = None) -> subprocess.CompletedProcess[str]:
        start = [str(ROOT / "extstorage/ganeti-ext-storage")]
        if killed:
            start = [sys.executable, "-m", "tests.contract.extstorage.mirror_killed", str(killed[0]), killed[1]]
        return subprocess.run(
            [*start, *self.argv(*argv)],
            env=self.env(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def rows(self) -> list[tuple[str, str, str]]:
        """Provider, pool and name of each of the instance's disks."""
        job = self.job()
        disks = [job.config["disks"][uuid] for uuid in job.disks]
        return [(one["logical_id"][0], one["params"].get("pool", ""), one["name"] or "") for one in disks]


class Writer:
    """Writes through the guest's device, one block after the other, and keeps in the models what was acknowledged."""

    def __init__(self, site: Site, device: Sequence[str]) -> None:
        self._site, self._devices = site, device
        self._end = threading.Event()
        self.count = 0
        self.last: tuple[int, int, int] | None = None
        self.wrong = ""
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        until("the guest writes", lambda: self.count > 5, 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _heard(self) -> str:
        assert self._site.process
        assert self._site.process.stdout
        told = self._site.process.stdout.readline().decode()
        if told.startswith("wrote"):
            self._site.process.stdout.readline()  # how long it took
        return told

    def _write(self) -> None:
        some = random.Random(1)
        with contextlib.suppress(ExtError), self._site.qmp("kvmd") as qmp:
            while not self._end.is_set():
                number = some.randrange(len(self._devices))
                model = self._site.models[number]
                offset, byte = some.randrange(len(model) // BLOCK) * BLOCK, some.randrange(1, 256)
                self.last = (number, offset, byte)
                words = f"write -P {byte} {offset} {BLOCK}"
                line = {
                    "command-line": f'qemu-io -d /machine/peripheral/{self._devices[number]}/virtio-backend "{words}"'
                }
                qmp.ask("human-monitor-command", None, line)
                told = self._heard()
                if not told.startswith("wrote 4096/4096"):
                    self.wrong = told
                    return
                model[offset : offset + BLOCK] = bytes([byte]) * BLOCK
                self.last = None
                self.count += 1
                self._end.wait(PAUSE)


def same(found: bytes, model: bytes, maybe: tuple[int, int] | None) -> bool:
    """Whether a disk has what was acknowledged; what was not may be there or not."""
    if maybe is None:
        return found == model
    offset, byte = maybe
    other = model[:offset] + bytes([byte]) * BLOCK + model[offset + BLOCK :]
    return found in (bytes(model), bytes(other))


def ids(site: Site) -> list[str]:
    """The ids of the guest's devices."""
    with site.qmp() as qmp:
        found: list[dict[str, Any]] = qmp.ask("query-block")
    return [one["qdev"].split("/")[3] for one in found if "/peripheral/" in one.get("qdev", "")]
