"""The Debian 13 root of a run, with our code as packages would install it."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import PLACE, ROOT
from ganeti_ext.command import run
from lab import layer

OURS = "/opt/ganeti-ext"  # in the root
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@contextlib.contextmanager
def mounts(root: Path, *targets: tuple[str, str]) -> Iterator[None]:
    """Mount these (kind, directory) in a root, for the length of a `with` block."""
    with contextlib.ExitStack() as undo:
        for kind, target in targets:
            run(["mount", "-t", kind, kind, str(root / target)])
            undo.callback(run, ["umount", "--recursive", "--lazy", str(root / target)])
        yield


def enter(namespace: str, root: Path, *argv: str) -> list[str]:
    """A command line that runs in a root and in a network namespace, and finds our code there."""
    env = [f"PATH={PATH}", f"PYTHONPATH={OURS}", "LC_ALL=C.UTF-8"]
    return ["nsenter", f"--net=/run/netns/{namespace}", "chroot", str(root), "env", "-i", *env, *argv]


def clear() -> None:
    """Unmount and remove what stands at PLACE, of a run that was killed too."""
    for line in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()):
        target = line.split()[1]
        if target.startswith(f"{PLACE}/"):
            run(["umount", "--lazy", target])
    shutil.rmtree(PLACE, ignore_errors=True)


def code(tree: Path, lower: str, *parts: str) -> Path:
    """A layer with these parts of a tree, its library and this benchmark, compiled.

    An editor at work on the checkout does not reach in.
    """
    made = PLACE / "code"
    with layer.mounted(lower, PLACE / "compile") as root:
        for source in (*(tree / part for part in ("ganeti_ext", *parts)), ROOT / "bench"):
            target = root / OURS[1:] / source.name
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "out"))
        run(["chroot", str(root), "python3", "-m", "compileall", "-q", OURS], timeout=120)
        shutil.copytree(root / OURS[1:], made / OURS[1:], symlinks=True)
    return made
