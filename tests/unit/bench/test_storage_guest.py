"""A round with a guest whose disks are as fast as their names say."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from bench.storage import guest
from bench.storage.fio import JOBS

SLOTS = {"0000:00:0c.0": "vdb", "0000:00:0d.0": "vdc"}
SPEED = {"/dev/vdb": 1000.0, "/dev/vdc": 10.0}


class Machine:
    """Says what the guest would."""

    def __init__(self) -> None:
        self.filled: list[str] = []

    def ask(self, line: str, timeout: float = 60) -> str:
        assert timeout > 0
        if line.startswith("ls "):
            return f"{next(name for slot, name in SLOTS.items() if slot in line)}\n"
        files = [word.partition("=")[2] for word in line.split() if word.startswith("--filename=")]
        if "--name=fill" in line:
            self.filled += files
            return "fill: done\n"
        assert set(self.filled) == set(files) == set(SPEED), "what has no data yet is read"
        modes = [word.partition("=")[2] for word in line.split() if word.startswith("--rw=")]
        jobs = [
            {"write" if mode.endswith("write") else "read": {"iops": SPEED[file]}}
            for file, mode in zip(files, modes, strict=True)
        ]
        return json.dumps({"jobs": jobs})


@pytest.mark.parametrize("order", [["ours", "theirs"], ["theirs", "ours"]], ids=" first ".join)
def test_each_figure_is_of_the_disk_in_the_subjects_slot(order: list[str]) -> None:
    found = guest._round(cast(Any, Machine()), order, 0.5)
    first, second = order
    for run, figure in found.items():
        assert figure == run.job.figure(1000.0 if run.subject == first else 10.0)
    assert {(run.job, run.subject) for run in found} == {(job, name) for job in JOBS for name in (first, second)}
