"""Kill a verb at each system call of it that changes something, by strace."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

from tests.contract.extstorage.conformance.site import ROOT, Caller, Point

CALL = re.compile(r"(?:\d+ +)?(\w+)\(")
AVAILABLE = shutil.which("strace") is not None


def points(node: Caller, verb: str, name: str, env: dict[str, str], changes: str, log: Path) -> list[Point]:
    """Run a verb to its end and tell where it can be killed."""
    _compiled()
    traced = subprocess.run(
        ["strace", "-qq", "-s", "48", "-o", str(log), str(node.verbs / verb)],
        env=node.env(name, env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert traced.returncode == 0, traced
    found, counts = [], Counter[str]()
    for line in log.read_text().splitlines():
        match = CALL.match(line)
        if match:
            counts[match[1]] += 1
            if re.search(changes, line):
                found.append(Point(match[1], counts[match[1]], line))
    return found


@cache
def _compiled() -> None:
    """Else the first run of a verb would write .pyc files, and the second make other calls."""
    folders = [ROOT / "extstorage", ROOT / "ganeti_ext"]
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", *folders], check=True, capture_output=True)


def killed(node: Caller, verb: str, name: str, env: dict[str, str], point: Point) -> bool:
    """Run a verb and kill it when it enters that call; tell whether it came to that."""
    inject = f"inject={point.call}:signal=KILL:when={point.number}"
    done = subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject, str(node.verbs / verb)],
        env=node.env(name, env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode in {-9, 137}
