"""Python environments for clients that Debian has not, or not so new: made from a list of packages, and kept."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from ganeti_ext.command import run
from lab import BASES, base
from lab.step import step


def programs(requirements: Path) -> Path:
    """The folder of the programs that these packages bring (pip's requirements file, all of it pinned).

    Made when the cache has none of this list for this Python; older ones of its name go.
    """
    name = f"python-{requirements.stem}"
    recipe = (sys.version_info[:2], requirements.read_text())
    path = BASES / f"{name}-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]}"
    whole = path / "whole"
    with base.making():
        if not whole.exists():
            with step(f"Installing {requirements.stem} from PyPI (once)"):
                for old in BASES.glob(f"{name}-*"):
                    shutil.rmtree(old)
                # In its place from the start: the programs' first lines name it.
                run(["/usr/bin/python3", "-m", "venv", str(path)], timeout=120)
                pip = [str(path / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
                run([*pip, "--requirement", str(requirements)], timeout=900)
                whole.touch()
    return path / "bin"
