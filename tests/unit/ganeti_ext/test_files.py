"""Files that others read while they are written."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ganeti_ext import files

ROOT = Path(__file__).parents[3]


def test_a_reader_sees_the_old_content_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "f"
    texts = {letter * 50_000 for letter in "abcd"}
    files.replace(str(path), "a" * 50_000)
    seen: set[str] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    rounds, end = 0, time.monotonic() + 20
    while rounds < 10 or (len(seen) < 2 and time.monotonic() < end):
        for text in sorted(texts):
            files.replace(str(path), text)
        rounds += 1
    done.set()
    reader.join()
    assert seen <= texts
    assert len(seen) > 1


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o660])
def test_the_umask_of_the_caller_does_not_count(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077 if mode != 0o600 else 0)
    try:
        files.replace(str(tmp_path / "f"), "x", mode=mode)
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == mode


def test_text_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    program = f"from ganeti_ext import files; files.replace({str(tmp_path / 'f')!r}, 'n\\u00e9')"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={"LC_ALL": "C", "PYTHONUTF8": "0"}, check=True)
    assert (tmp_path / "f").read_bytes() == b"n\xc3\xa9"


def test_a_bare_name_is_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.replace("f", "x")
    assert os.listdir() == ["f"]


def test_a_draft_left_by_a_killed_process_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / f".f.{os.getpid()}").write_text("a longer old draft")
    files.replace(str(tmp_path / "f"), "new")
    assert (tmp_path / "f").read_text() == "new"
    assert os.listdir(tmp_path) == ["f"]


def test_a_failed_replacement_leaves_neither_draft_nor_damage(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.replace(str(tmp_path / "f"), "x")
    assert os.listdir(tmp_path) == ["f"]


def test_text_that_cannot_be_written_leaves_the_old_file_alone(tmp_path: Path) -> None:
    files.replace(str(tmp_path / "f"), "old")
    with pytest.raises(UnicodeEncodeError):
        files.replace(str(tmp_path / "f"), "lone surrogate \udc80")
    assert (tmp_path / "f").read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.replace(str(tmp_path / "no/f"), "x")


def test_removing_tells_whether_the_file_was_there(tmp_path: Path) -> None:
    files.replace(str(tmp_path / "f"), "x")
    assert [files.remove(str(tmp_path / "f")) for _ in range(2)] == [True, False]


def test_a_lock_keeps_others_out_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with files.Lock(str(path)), path.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_second_taker_waits(tmp_path: Path) -> None:
    order: list[str] = []

    def take() -> None:
        with files.Lock(str(tmp_path / "lock")):
            order.append("second")

    with files.Lock(str(tmp_path / "lock")):
        waiter = threading.Thread(target=take)
        waiter.start()
        time.sleep(0.05)
        order.append("first")
    waiter.join()
    assert order == ["first", "second"]


def test_an_error_in_the_block_frees_the_lock(tmp_path: Path) -> None:
    lock = files.Lock(str(tmp_path / "lock"))
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    with lock:
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
