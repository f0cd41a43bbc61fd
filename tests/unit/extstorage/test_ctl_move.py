"""The command that moves disks: who is alone, also when it dies and what it has started does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from extstorage.mirror_node import alone
from ganeti_ext.errors import ExtError

ROOT = Path(__file__).parents[3]
# Says that it has begun, and goes on until it is told.
SLOW = """#!/bin/sh
echo begun > {folder}/begun
read _ < {folder}/end
"""
COMMAND = """
from types import SimpleNamespace
from extstorage.ctl_move import Jobs
from extstorage.mirror_node import alone
jobs = Jobs("web1")
with alone(SimpleNamespace(run="{folder}/run"), "web1", "migrate") as jobs.held:
    jobs.activate()
"""


def test_gnt_instance_keeps_the_lock_of_a_command_that_was_killed(tmp_path: Path) -> None:
    for name in ("begun", "end"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "gnt-instance").write_text(SLOW.format(folder=tmp_path))
    (tmp_path / "gnt-instance").chmod(0o755)
    ganeti: Any = SimpleNamespace(run=f"{tmp_path}/run")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    argv = [sys.executable, "-c", COMMAND.format(folder=tmp_path)]
    with subprocess.Popen(argv, env=env, cwd=ROOT) as command:
        assert (tmp_path / "begun").read_text() == "begun\n"
        command.kill()
    with (
        pytest.raises(ExtError, match="disks of instance 'web1' are being moved already"),
        alone(ganeti, "web1", "migrate"),
    ):
        pass
    (tmp_path / "end").write_text("\n")
    with alone(ganeti, "web1", "migrate", patience=20):
        pass
