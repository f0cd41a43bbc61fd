"""Debian 13 roots with more in them than the nodes have: layers over the base, and overlays to run things in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ganeti_ext.command import run
from lab import BASES, ROOT, base
from lab.step import step

HERE = "/usr/share/ganeti-ext"  # where the checkout shows in a root, as the packages would put it


def lower(name: str, packages: Sequence[str]) -> str:
    """The lowerdir= of an overlay whose root has these packages; made when this list has none yet, and kept.

    No daemon is started. Older layers of the name go.
    """
    below = base.root()
    key = hashlib.sha256(repr((below, tuple(packages))).encode()).hexdigest()[:12]
    path = BASES / f"{name}-{key}"
    with base.making():
        if not path.exists():
            with step(f"Adding {name} to the nodes' Debian 13 (once)"):
                for old in BASES.glob(f"{name}-*"):
                    shutil.rmtree(old)
                _make(below, path, packages)
    return f"{path}:{below}"


@contextlib.contextmanager
def mounted(lowerdir: str, place: Path) -> Iterator[Path]:
    """A root to chroot to, under the directory `place`: writes are lost at the end, the checkout stands at HERE.

    Of /sys it has nothing: `ip netns exec` mounts the one of the namespace.
    """
    root = place / "root"
    with contextlib.ExitStack() as undo:
        for part in ("root", "upper", "work"):
            (place / part).mkdir(parents=True)
        undo.callback(shutil.rmtree, place)
        run(["mount", "-t", "overlay", "overlay", "-o", _overlay(lowerdir, place), str(root)])
        undo.callback(run, ["umount", "--lazy", str(root)])
        run(["mount", "-t", "proc", "proc", str(root / "proc")])
        undo.callback(run, ["umount", "--lazy", str(root / "proc")])
        for source, target in (("/dev", "dev"), (str(ROOT), HERE[1:])):
            (root / target).mkdir(parents=True, exist_ok=True)
            run(["mount", "--rbind", "--make-rslave", source, str(root / target)])
            undo.callback(run, ["umount", "--recursive", "--lazy", str(root / target)])
        yield root


def _make(below: str, path: Path, packages: Sequence[str]) -> None:
    work = Path(tempfile.mkdtemp(prefix="layer-", dir=BASES))
    try:
        with mounted(below, work / "overlay") as root:
            (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
            (root / "usr/sbin/policy-rc.d").chmod(0o755)
            shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
            apt = ["chroot", str(root), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]
            run([*apt, "update"], timeout=300)
            run([*apt, "install", "--yes", "--no-install-recommends", *packages], timeout=1800)
            run([*apt, "clean"])
            (root / "usr/sbin/policy-rc.d").unlink()
            os.rename(work / "overlay/upper", work / "upper")
            os.mkdir(work / "overlay/upper")
        os.rename(work / "upper", path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _overlay(lowerdir: str, place: Path) -> str:
    return f"lowerdir={lowerdir},upperdir={place}/upper,workdir={place}/work"
