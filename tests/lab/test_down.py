"""`lab down` leaves nothing, even of a lab that broke."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ganeti_ext.command import run
from lab import RUN, STATE, cluster, storage, wires
from lab.story import Story


def test_down_after_a_crash_leaves_nothing(story: Story) -> None:
    nspawn = int((RUN / "node2.pid").read_text())
    os.kill(nspawn, signal.SIGKILL)

    cluster.down()
    cluster.down()

    assert storage.mounts() == []
    assert wires.existing() == []
    assert not STATE.exists()
    assert not RUN.exists()
    assert str(STATE) not in run(["losetup", "--list"])
    assert [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"machine=lab-node" in _words(path)] == []
    assert list(Path("/sys/fs/cgroup").glob("*/lab-node*")) == []


def _words(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
