"""The file that says which loop a volume has is its lock, and is not left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from extstorage.hint import Hint, mark, names
from extstorage.loop import MARK_MAX
from ganeti_ext.errors import ExtError

ROOT = Path(__file__).parents[3]


def test_it_remembers_what_was_noted(tmp_path: Path) -> None:
    run = str(tmp_path / "deep/run")
    with Hint(run, "v") as hint:
        assert hint.number is None
        hint.note(1048575)
        hint.note(7)
    with Hint(run, "v") as hint:
        assert hint.number == 7
    assert names(run) == ["v"]


def test_without_a_loop_no_file_stays(tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    assert names(run) == []
    with Hint(run, "v") as hint:
        hint.note(3)
        hint.forget()
    assert os.listdir(run) == []


@pytest.mark.parametrize("content", [b"", b"x", b"-1", b"3 4", b"\xff\xfe"])
def test_garbage_means_no_loop(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v").write_bytes(content)
    with Hint(str(tmp_path), "v") as hint:
        assert hint.number is None


def test_one_holder_at_a_time_though_the_file_comes_and_goes(tmp_path: Path) -> None:
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with Hint(str(tmp_path), "v"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert os.listdir(tmp_path) == []


def test_a_mark_is_of_node_and_volume_and_fits(tmp_path: Path) -> None:
    for node in ("a", "b"):
        (tmp_path / node).mkdir()
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert mark(a, "v") == mark(a, "v")
    assert len({mark(a, "v"), mark(b, "v"), mark(a, "w")}) == 3
    assert len(mark(a, "x" * 54)) == MARK_MAX


def test_first_calls_agree_on_the_node_s_token(tmp_path: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv[2]); from extstorage.hint import mark; print(mark(sys.argv[1], ''))"
    calls = [
        subprocess.Popen([sys.executable, "-SEIc", code, str(tmp_path), str(ROOT)], stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    assert len({call.communicate()[0] for call in calls}) == 1


def test_a_broken_token_is_told(tmp_path: Path) -> None:
    (tmp_path / ".node").write_text("abc")
    with pytest.raises(ExtError, match="should hold eight hexadecimal digits, found 'abc'"):
        mark(str(tmp_path), "v")
