"""A node as its ExtStorage verbs see it: executables with a bare environment, a shared directory, loop devices."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from extstorage import lockfile, loop

ROOT = Path(os.environ.get("GANETI_EXT_ROOT", Path(__file__).parents[3]))
COW = ROOT / "extstorage/cow"
MIB = 1 << 20


class Node(NamedTuple):
    """A node of the cluster: it shares `share` with the others and nothing else."""

    share: Path
    etc: Path

    def env(self, **env: str) -> dict[str, str]:
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "GANETI_EXT_CONFIG_DIR": str(self.etc), **env}

    def call(self, verb: str, name: str = "v", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COW / verb],
            env=self.env(VOL_NAME=name, **env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ok(self, verb: str, name: str = "v", **env: str) -> str:
        done = self.call(verb, name, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, verb: str, name: str = "v", **env: str) -> str:
        """The message of a call that must fail without a word on stdout."""
        done = self.call(verb, name, **env)
        assert (done.returncode, done.stdout) in {(1, ""), (2, "")}, done
        return done.stderr

    def start(self, verb: str, name: str = "v", **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [COW / verb], env=self.env(VOL_NAME=name, **env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def file(self, name: str = "v") -> Path:
        """The volume's file, in its subvolume on btrfs."""
        plain = self.share / f"volumes/{name}.raw"
        inner = self.share / f"volumes/{name}.vol/disk"
        return inner if inner.exists() else plain

    def volumes(self) -> list[str]:
        """Volumes, and drafts of them by the names that they have."""
        names = os.listdir(self.share / "volumes")
        return sorted(
            name if name.startswith(".") else name.removesuffix(".raw").removesuffix(".vol") for name in names
        )

    def holders(self, name: str = "v") -> list[str]:
        """The names of nodes that have the volume open, with how."""
        found = lockfile.holders(str(self.share / "locks" / name))
        return [f"{holder.node} {holder.mode}" for holder in found]

    def offline(self, *nodes: str) -> None:
        """Let Ganeti have these nodes for offline."""
        (self.etc.parent / "data/ssconf_offline_nodes").write_text("".join(f"{name}\n" for name in nodes))

    def loops(self, name: str = "v") -> list[str]:
        """The volume's devices on all nodes."""
        return [device for device, mark in loops(self.share) if mark.endswith(f":{name}".encode())]

    def run_files(self) -> list[str]:
        """What its run directory holds of volumes."""
        return [name for name in os.listdir(self.etc / "run") if not name.startswith(".")]


def loops(share: Path) -> list[tuple[str, bytes]]:
    """Devices whose file lies, or lay, on a file system, and their marks.

    Told by the file system's device, as a path is another one in each mount namespace; or by the path: of a subvolume
    that was removed the device is not known any more.
    """
    found = []
    devices = {share.stat().st_dev, *(path.stat().st_dev for path in share.glob("volumes/*.vol"))}
    for path in Path("/sys/block").glob("loop*/loop"):
        with contextlib.suppress(OSError):  # freed while we looked
            fd = os.open(f"/dev/{path.parts[3]}", os.O_RDONLY)
            bound = loop.status(fd)
            os.close(fd)
            below = (path / "backing_file").read_text().startswith(f"{share}/")
            if bound is not None and (bound.device in devices or below):
                found.append((f"/dev/{path.parts[3]}", bound.mark))
    return found


def sh(*argv: object) -> str:
    return subprocess.run([str(arg) for arg in argv], check=True, capture_output=True, text=True).stdout


def complaints(stderr: str) -> list[str]:
    """What a command complained of; how far it has come is told, too, of what takes a second (a busy machine)."""
    return [line for line in stderr.splitlines() if not re.search(r": \d+ s$|/s(, \d+ s to go)?$", line)]


def eventually(true: Callable[[], bool]) -> bool:
    """udev, or another reader of all devices, may hold a loop for a moment."""
    end = time.monotonic() + 3
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return true()


def unmount(point: Path) -> None:
    """Also where something that was killed is not quite gone."""

    def gone() -> bool:
        subprocess.run(["umount", point], stderr=subprocess.DEVNULL, check=False)
        return not os.path.ismount(point)

    if not eventually(gone):
        sh("umount", point)


@contextlib.contextmanager
def mounted(kind: str, folder: Path, sector: int = 512) -> Iterator[Path]:
    point, disk = folder / "mnt", folder / "disk"
    point.mkdir()
    device = ""
    try:
        if kind in {"tmpfs", "ramfs"}:
            sh("mount", "-t", kind, "cow-test", point)
        else:
            with disk.open("wb") as file:
                file.truncate(512 * MIB)
            device = sh("losetup", "--find", "--show", "--sector-size", sector, disk).strip()
            sh(f"mkfs.{kind}", "-q", *(["-m", "reflink=1"] if kind == "xfs" else []), device)
            sh("mount", device, point)
        (point / "volumes").mkdir()
        (point / "images").mkdir()
        yield point
    finally:
        free(point)
        subprocess.run(["umount", point], check=False)
        if device:
            sh("losetup", "--detach", device)
        disk.unlink(missing_ok=True)


def add_node(share: Path, folder: Path, more: str = "") -> Node:
    """A node with its folder's name, in the cluster of all with the same parent folder."""
    folder.mkdir()
    data = folder.parent / "data"
    data.mkdir(exist_ok=True)
    with (data / "ssconf_node_list").open("a") as file:
        file.write(f"{folder.name}\n")
    (folder / "cow.conf").write_text(
        f"[cow]\ndirectory = {share}\nrun_directory = {folder}/run\nnode = {folder.name}\n"
        f"data_directory = {data}\n{more}"
    )
    return Node(share, folder)


def free(share: Path) -> None:
    """Detach every loop of a test's file system."""
    if not os.path.ismount(share):  # its device would be the host's, with the loops of others
        return
    for device, _ in loops(share):
        subprocess.run(["losetup", "--detach", device], check=False)


def empty(share: Path) -> None:
    free(share)
    for path in (*share.glob("volumes/*"), *share.glob("volumes/.*.new"), *share.glob("images/*"), share / "locks"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def image(node: Node, size: int = 4 * MIB) -> bytes:
    content = b"".join(b"%-4096d" % number for number in range(64)).ljust(size, b"\0")
    (node.share / "images/debian.raw").write_bytes(content)
    return content


def flags(device: str, name: str) -> str:
    return Path("/sys/block", device[5:], name).read_text().strip()
