from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import ROOT
from bench.storage import inside, scatter

BLOCK = scatter.BLOCK


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder that is not in memory, as a temporary one may be."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


def test_a_program_is_timed_to_its_end_and_heard() -> None:
    wall, said = inside.timed(["/bin/sh", "-c", "sleep 0.05; echo $NAME"], {"NAME": "v", "PATH": os.defpath})
    assert said == "v\n" and wall >= 50


def test_a_program_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(RuntimeError, match=r"3: no such volume"):
        inside.timed(["/bin/sh", "-c", "echo no such volume >&2; exit 3"], {})


def test_a_file_is_scattered_into_pieces_with_holes_between(disk: Path) -> None:
    file = disk / "disk"
    file.write_bytes(b"")
    os.truncate(file, 64 * BLOCK)
    try:
        found = inside.scattered(str(file), 16)
    except OSError as err:
        pytest.skip(f"this file system does not tell of pieces: {err}")
    assert found == 16
    content = file.read_bytes()
    blocks = [content[start : start + BLOCK].strip(b"\0") for start in range(0, 32 * BLOCK, BLOCK)]
    assert [bool(block) for block in blocks[2:]] == [True, False] * 15  # block 0 is number 0
    assert inside.scattered(str(file), 0) == 16


def test_somebody_writes_until_he_is_stopped(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    file = disk / "disk"
    file.write_bytes(bytes(16 * BLOCK))
    try:
        inside.start(str(file), 16 * BLOCK)
    except RuntimeError as err:
        pytest.skip(f"this file system has no direct I/O: {err}")
    count, worst = inside.stop(str(file))
    assert count >= 1 and worst > 0
    assert any(file.read_bytes())
    assert file.stat().st_size == 16 * BLOCK


def test_a_program_is_at_work_until_it_is_ended() -> None:
    pid = inside.begin(["/bin/sh", "-c", "echo one; echo two; exec sleep 60"], 2)
    inside.end(pid)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_ends_before_it_has_said_enough_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"has ended: 3"):
        inside.begin(["/bin/sh", "-c", "echo one; exit 3"], 2)
