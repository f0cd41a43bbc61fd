"""The directory that all nodes share: an XFS file system with reflinks, in a sparse file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ganeti_ext.command import run
from lab import STATE

SHARED = STATE / "shared"
_DISK = STATE / "shared.xfs"


def up() -> None:
    """Make and mount it."""
    SHARED.mkdir(parents=True, exist_ok=True)
    with _DISK.open("wb") as disk:
        disk.truncate(20 << 30)
    run(["mkfs.xfs", "-q", "-m", "reflink=1", str(_DISK)])
    run(["mount", "-o", "loop", str(_DISK), str(SHARED)])
    for name in ("images", "volumes"):
        (SHARED / name).mkdir(mode=0o755)


def add_image(name: str, file: Path) -> None:
    """Put a disk's content there as an image, unless there is one of that name."""
    path = SHARED / f"images/{name}.raw"
    if not path.exists():
        shutil.copy(file, draft := path.with_suffix(".draft"))
        draft.rename(path)


def down() -> None:
    """Detach the loop devices of volumes on it that a crash left, and unmount it. Safe to repeat."""
    if os.path.ismount(SHARED):
        for device in loops():
            run(["losetup", "--detach", device])
    for mount in reversed(mounts()):
        run(["umount", mount])
    _DISK.unlink(missing_ok=True)


def loops() -> list[str]:
    """Loop devices whose file lies on the shared directory (told by its device: each node has its own paths)."""
    shared = os.stat(SHARED).st_dev
    wanted = f"{os.major(shared)}:{os.minor(shared)}"
    table = run(["losetup", "--list", "--noheadings", "--output", "NAME,BACK-MAJ:MIN"])
    return [line.split()[0] for line in table.splitlines() if line.split()[1:] == [wanted]]


def mounts() -> list[str]:
    """Every mount of the lab on this machine, in the order in which they were made."""
    table = Path("/proc/self/mountinfo").read_text().splitlines()
    return [fields[4] for line in table if (fields := line.split())[4].startswith(f"{STATE}/")]
