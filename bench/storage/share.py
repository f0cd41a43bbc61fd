"""The shared directory of `cow`: a file system in a sparse file, through a loop device with direct I/O."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import PLACE
from ganeti_ext.command import run

KINDS = ("xfs", "btrfs")
GIB = 1 << 30
MIB = 1 << 20
SIZE = 48 * GIB  # sparse
IMAGE = "debian"
LENGTH = 10 * GIB
PIECES, PIECE = 16, 64 * MIB  # of data, at equal distances: 1 GiB

_MKFS = {"xfs": ["-q", "-m", "reflink=1"], "btrfs": ["--quiet"]}


class Share(NamedTuple):
    """`point` is where it is mounted, `inside` the same as seen from the root, `etc` the provider's configuration."""

    kind: str
    point: Path

    @property
    def inside(self) -> str:
        return f"/srv/{self.kind}"

    @property
    def etc(self) -> str:
        return f"/etc/ganeti-ext-{self.kind}"

    def env(self, name: str, **env: str) -> dict[str, str]:
        """What a verb on a volume gets."""
        return {"GANETI_EXT_CONFIG_DIR": self.etc, "VOL_NAME": name, **env}

    def used(self) -> int:
        """Octets that are taken, all that is still to be written included."""
        run(["sync", "--file-system", str(self.point)], timeout=300)
        found = os.statvfs(self.point)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


@contextlib.contextmanager
def mounted(kind: str, root: Path, piece: int = PIECE) -> Iterator[Share]:
    """Make one of the root's own mkfs, with an image of PIECES such pieces in it, and take it away."""
    disk, point = PLACE / f"{kind}.disk", root / f"srv/{kind}"
    with contextlib.ExitStack() as undo:
        disk.write_bytes(b"")
        undo.callback(disk.unlink, missing_ok=True)
        os.truncate(disk, SIZE)
        device = run(["losetup", "--find", "--show", "--direct-io=on", str(disk)]).strip()
        undo.callback(run, ["losetup", "--detach", device])
        run(["chroot", str(root), f"mkfs.{kind}", *_MKFS[kind], device], timeout=120)
        point.mkdir(parents=True, exist_ok=True)
        run(["mount", device, str(point)])
        undo.callback(run, ["umount", str(point)])
        undo.callback(release, point)
        for name in ("images", "volumes", "byhand"):
            (point / name).mkdir()
        image(point / f"images/{IMAGE}.raw", piece)
        yield Share(kind, point)


def image(path: Path, piece: int = PIECE) -> None:
    """A file of 10 GiB with data that does not compress, by default 1 GiB, on its disk when this returns."""
    data = os.urandom(piece)
    with path.open("wb") as file:
        file.truncate(LENGTH)
        for number in range(PIECES):
            file.seek(number * (LENGTH // PIECES))
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def release(point: Path) -> None:
    """Detach the loop devices of files on a file system that is mounted there, whoever made them."""
    number = os.stat(point).st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    # In a subvolume of btrfs a file has another device.
    for name, there, file in _loops():
        if there == device or file.startswith(f"{point}/"):
            run(["losetup", "--detach", name])


def clear() -> None:
    """Take away what a run left that was killed."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for point in points:
        if point.startswith(f"{PLACE}/") and Path(point).parent.name == "srv":
            release(Path(point))
            run(["umount", "--lazy", point])
    for name, _, file in _loops():
        if file.startswith(f"{PLACE}/"):
            run(["losetup", "--detach", name])


def _loops() -> list[tuple[str, str, str]]:
    """Devices, the device of each one's file, the file."""
    table = run(["losetup", "--list", "--noheadings", "--raw", "--output", "NAME,BACK-MAJ:MIN,BACK-FILE"])
    rows = (line.split(maxsplit=2) for line in table.splitlines())
    # losetup pads the numbers with blanks, and then writes them as \x20.
    return [(row[0], row[1].replace("\\x20", ""), row[2]) for row in rows if len(row) == 3]
