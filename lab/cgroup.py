"""A cgroup for each node: systemds that shared one would stop each other's units."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from lab.step import until

_ROOT = Path("/sys/fs/cgroup")


def command(name: str, argv: list[str]) -> list[str]:
    """The command line that runs `argv` in a cgroup of that name."""
    if os.path.isdir("/run/systemd/system"):
        return ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={name}", "--property=Delegate=yes", *argv]
    folders = [root / name for root in _hierarchies()]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    joins = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in folders)
    return ["sh", "-c", f'{joins}exec "$@"', "sh", *argv]


def environment() -> dict[str, str]:
    """What systemd-nspawn has to be told of this machine's hierarchies."""
    # With cgroup v1 the nodes' systemd needs the host's hierarchy; on a v2 host the variable would break it.
    return {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0"} if (_ROOT / "systemd").is_dir() else {}


def remove(names: Iterable[str]) -> None:
    """Remove the cgroups of these names, which must have no process left. Safe to repeat."""
    for name in names:
        for root in _hierarchies():
            if (root / name).is_dir():
                until(f"cgroup {root / name} is empty", lambda folder=root / name: _removed(folder), 10)  # type: ignore[misc]


def _removed(folder: Path) -> bool:
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # busy until the last process is reaped
            os.rmdir(path)
    return not folder.exists()


def _hierarchies() -> list[Path]:
    legacy = [_ROOT / "systemd", _ROOT / "unified"]
    return [path for path in legacy if path.is_dir()] or [_ROOT]
