"""ganeti-ext-storage itself, on directories with reflinks and with subvolumes, real loop devices and a real QEMU."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext import qemusocket
from ganeti_ext.errors import ExtError
from lab import BASES, base, layer
from lab.step import until
from tests.contract.extstorage.choice import on
from tests.contract.extstorage.forks import here
from tests.contract.extstorage.harness import MIB, ROOT, Node, add_node, complaints, empty, image, loops, sh

SHARING = ("xfs", "btrfs")  # what has reflinks, each in a way of its own
COMMAND = ROOT / "extstorage/ganeti-ext-storage"
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
]


class Admin:
    """An administrator on a node."""

    def __init__(self, node: Node, run: Path | None = None) -> None:
        self.node = node
        self.data = node.etc.parent / "data"
        self._run = run or node.etc / "kvm"

    def call(self, *argv: str) -> subprocess.CompletedProcess[str]:
        where = [f"--config={self.node.etc}", f"--ganeti-data={self.data}", f"--ganeti-run={self._run}"]
        forks = here()
        if forks:
            return forks.call(COMMAND.name, {}, *argv, *where)
        return subprocess.run(
            [COMMAND, *argv, *where],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ok(self, *argv: str) -> list[dict[str, Any]]:
        done = self.call(*argv, "--json")
        assert (done.returncode, complaints(done.stderr)) == (0, [])
        return [json.loads(line) for line in done.stdout.splitlines()]

    def fails(self, *argv: str) -> str:
        done = self.call(*argv)
        assert (done.returncode, done.stdout) == (1, ""), done
        return done.stderr

    def wrong(self) -> list[tuple[str, str]]:
        """What verify finds, with the exit code that says so."""
        done = self.call("verify", "--json", "--age=-60")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == (4 if found else 0), done.stderr
        return sorted((one["kind"], one["volume"]) for one in found)

    def configure(self, *volumes: str) -> None:
        """Let Ganeti have an instance `web` on the first node with these volumes of 8 MiB."""
        disks = {name: {"uuid": name, "logical_id": ["cow", name], "dev_type": "ext", "size": 8} for name in volumes}
        owner = {"name": "web", "primary_node": "n", "admin_state": "down", "disks": list(disks)}
        config = {"nodes": {"n": {"name": self.node.etc.name}}, "instances": {"i": owner}, "disks": disks}
        (self.data / "config.data").write_text(json.dumps(config))


@pytest.fixture(params=SHARING)
def admin(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Admin]:
    share = request.getfixturevalue(f"{request.param}_share")
    yield Admin(add_node(share, tmp_path / "one"))
    empty(share)


def fill(node: Node, name: str, byte: int, size: int = 4 * MIB) -> None:
    with open(node.ok("attach", name), "r+b") as disk:
        disk.write(bytes([byte]) * size)
        disk.flush()
        os.fsync(disk.fileno())
    node.ok("detach", name)


@pytest.mark.parametrize("admin", on("btrfs", of=SHARING), indirect=True)
def test_from_an_image_to_a_server_and_back(admin: Admin) -> None:
    node = admin.node
    image(node)
    admin.ok("clone", "image:debian", "v", "--size=8M")
    fill(node, "v", 1)
    admin.ok("snapshot", "v", "s")
    fill(node, "v", 2, MIB)
    admin.ok("clone", "snapshot:s", "w")
    rows = admin.ok("tree")
    assert [(row["depth"], row["kind"], row["name"]) for row in rows] == [
        (0, "image", "debian"),
        (1, "volume", "v"),
        (2, "snapshot", "s"),
        (3, "volume", "w"),
    ]
    (room,) = admin.ok("df")
    assert (room["volumes"], room["snapshots"], room["images"]) == (2, 1, 1)
    assert room["shared"] >= 9 * MIB  # s and w share all, v three of its four
    assert room["exclusive"] <= 6 * MIB
    admin.ok("rollback", "v", "s")
    assert node.file("v").read_bytes() == bytes([1]) * 4 * MIB + bytes(4 * MIB)
    admin.ok("flatten", "v")
    by_name = {row["name"]: row for row in admin.ok("list")}
    assert (by_name["v"]["origin"], by_name["v"]["exclusive"]) == (None, 4 * MIB)
    for name in ("s", "v", "w"):
        admin.ok("remove", name)
    assert (node.volumes(), loops(node.share)) == ([], [])


@pytest.mark.parametrize("admin", on("xfs", of=SHARING), indirect=True)
def test_what_a_running_server_has_open_stays(admin: Admin) -> None:
    node = admin.node
    admin.ok("create", "v", "8M")
    admin.ok("snapshot", "v", "s")
    device = node.ok("attach")
    node.ok("open", VOL_OPEN_EXCLUSIVE="True")
    for verb in (["remove", "v"], ["rollback", "v", "s"], ["flatten", "v"]):
        assert "volume 'v' is open on one" in admin.fails(*verb)
    admin.ok("snapshot", "v", "t")
    admin.ok("grow", "v", "12M")
    assert int(sh("blockdev", "--getsize64", device)) == 12 * MIB
    assert "would destroy the disk" in admin.fails("unlock", "v")
    (row,) = admin.ok("unlock", "v", "one", "--yes")
    assert (row["node"], node.holders()) == ("one", [])


def test_what_is_found_is_mended(admin: Admin, tmp_path: Path) -> None:
    node, other = admin.node, add_node(admin.node.share, tmp_path / "two")
    for name in ("v", "w", "gone"):
        admin.ok("create", name, "8M")
    admin.configure("v", "w")
    assert admin.wrong() == []
    other.ok("open", VOL_OPEN_EXCLUSIVE="True")
    assert admin.wrong() == []
    node.offline("two")
    node.ok("attach", "gone")
    Admin(other).ok("remove", "gone")
    with node.file("w").open("r+b") as file:
        file.truncate(4 * MIB)
    process = node.start("create", "half", VOL_SIZE="8")
    process.kill()
    process.communicate()
    draft = node.share / "volumes/.half.raw.new"
    draft.touch()
    os.utime(draft, (1, 1))
    wrong = [("draft", str(draft)), ("lock", "v two"), ("loop", "gone"), ("size", "w")]
    assert [one for one in admin.wrong() if one[1] != "half"] == wrong
    done = admin.call("repair")
    assert (done.returncode, done.stdout.count(": mended\n")) == (0, 4), done
    assert admin.wrong() == []
    assert (loops(node.share), node.holders(), draft.exists()) == ([], [], False)
    assert node.file("w").stat().st_size == 8 * MIB


@pytest.mark.parametrize("admin", on("btrfs", of=SHARING), indirect=True)
def test_a_share_that_is_gone(admin: Admin) -> None:
    volumes = admin.node.share / "volumes"
    volumes.rename(admin.node.share / "elsewhere")
    try:
        assert "is the shared directory mounted on this node?" in admin.fails("list")
        assert "is the shared directory mounted on this node?" in admin.fails("verify")
    finally:
        (admin.node.share / "elsewhere").rename(volumes)
    assert admin.ok("list") == []


def test_its_help_names_every_command() -> None:
    said = sh(COMMAND, "--help")
    for verb in ("list", "show", "create", "clone", "snapshot-instance", "rollback", "migrate", "gc", "repair"):
        assert f"    {verb}" in said
    assert "--orphans" in sh(COMMAND, "repair", "--help")


class Machine:
    """A real QEMU with two disks, known to Ganeti as `web`. Its BIOS finds nothing to boot, and waits."""

    def __init__(self, run: Path, devices: list[str], volumes: list[str], enter: list[str], inside: str) -> None:
        for name in ("conf", "ctrl"):
            (run / name).mkdir(parents=True)
        disks = [{"dev_type": "ext", "logical_id": ["cow", name], "size": 8, "params": {}} for name in volumes]
        runtime = [["kvm"], [], {}, [[disk, "/dev/null", ""] for disk in disks]]
        (run / "conf/web.runtime").write_text(json.dumps(runtime))
        self.path = str(run / "ctrl/web.qmp")
        drives = [f"-drive=file={device},format=raw,if=virtio,cache=none" for device in devices]
        words = [word for drive in drives for word in drive.split("=", 1)]
        qmp = ["-qmp", f"unix:{inside}/ctrl/web.qmp,server,nowait"]
        kvm = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-m", "32", "-nic", "none"]
        self.process = subprocess.Popen([*enter, *kvm, *words, *qmp], stdin=subprocess.DEVNULL)
        until("QEMU listens", lambda: self.state() == "running", 20)

    def state(self) -> str:
        with contextlib.suppress(ExtError), qemusocket.monitor(self.path, 5) as qmp:
            return str(qmp.ask("query-status")["status"])
        return ""

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def machine(admin: Admin, tmp_path: Path) -> Iterator[tuple[Admin, Machine]]:
    if not BASES.exists():
        pytest.skip("the nodes' Debian 13 is made by: make lab-up")
    node = admin.node
    for name in ("v", "w"):
        admin.ok("create", name, "8M")
        node.ok("open", name, VOL_OPEN_EXCLUSIVE="True")
    devices = [node.ok("attach", name) for name in ("v", "w")]
    with layer.mounted(base.root(), tmp_path / "debian") as root:
        made = Machine(root / "kvm", devices, ["v", "w"], ["chroot", str(root)], "/kvm")
        try:
            yield Admin(node, root / "kvm"), made
        finally:
            made.close()


def test_snapshots_of_a_running_instance(machine: tuple[Admin, Machine]) -> None:
    admin, qemu = machine
    rows = admin.ok("snapshot-instance", "web", "p")
    assert [(row["volume"], row["consistency"], row["why"]) for row in rows] == [
        (f"p.disk{number}", "crash", "the hypervisor parameter use_guest_agent is off") for number in (0, 1)
    ]
    assert qemu.state() == "running"
    assert [row["name"] for row in admin.ok("list", "--kind=snapshot")] == ["p.disk0", "p.disk1"]
    assert "volume 'p.disk0' exists already" in admin.fails("snapshot-instance", "web", "p")


@pytest.mark.parametrize("admin", on("xfs", of=SHARING), indirect=True)
def test_the_guest_goes_on_after_a_snapshot_that_fails(machine: tuple[Admin, Machine]) -> None:
    admin, qemu = machine
    other = Admin(admin.node)
    with qemusocket.monitor(qemu.path, 5) as qmp:
        qmp.ask("stop")
    admin.ok("snapshot-instance", "web", "paused")
    assert qemu.state() == "paused"
    with qemusocket.monitor(qemu.path, 5) as qmp:
        qmp.ask("cont")
    for name in ("paused.disk0", "paused.disk1"):
        other.ok("remove", name)
    file = admin.node.file("w")
    whole = file.parent if file.name == "disk" else file
    whole.rename(admin.node.share / "lost")
    assert "volume 'w' does not exist" in admin.fails("snapshot-instance", "web", "p")
    (admin.node.share / "lost").rename(whole)
    assert qemu.state() == "running"
    assert {row["name"] for row in admin.ok("list")} == {"v", "w"}


@pytest.mark.parametrize("admin", on("xfs", of=SHARING), indirect=True)
def test_an_instance_whose_qemu_has_crashed_is_stopped(machine: tuple[Admin, Machine]) -> None:
    admin, qemu = machine
    qemu.close()
    admin.configure("v", "w")
    assert {row["consistency"] for row in admin.ok("snapshot-instance", "web", "after")} == {"stopped"}
