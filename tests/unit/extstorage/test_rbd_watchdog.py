"""A verb that hears nothing of Ceph ends; one that does goes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAD = f"""
import sys, time; sys.path.insert(0, {str(ROOT)!r})
from extstorage.rbd_library import checked, questions
from extstorage.rbd_watchdog import Watchdog
"""


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("with Watchdog('remove: v', 0.3): time.sleep(30)", 1, "remove: v: nothing was heard of Ceph for 0.3 s\n"),
        ("with Watchdog('remove: v', 1):\n  for _ in range(15): time.sleep(0.1); checked(0, '')", 0, ""),
        ("with Watchdog('remove: v', 0.3): pass\ntime.sleep(1)", 0, ""),
        ("questions.append(lambda: True)\nwith Watchdog('remove: v', 0.2): time.sleep(1)", 0, ""),
        (
            (
                "asked = iter((True, False))\nquestions.append(lambda: next(asked))\n"
                "with Watchdog('remove: v', 0.2): time.sleep(30)"
            ),
            1,
            "remove: v: nothing was heard of Ceph for 0.2 s\n",
        ),
    ],
)
def test_silence_ends_a_verb(body: str, code: int, told: str) -> None:
    done = subprocess.run(
        ["/usr/bin/python3", "-SEIc", HEAD + body], capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stderr) == (code, told)
