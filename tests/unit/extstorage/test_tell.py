"""What people read: sizes, tables, progress."""

from __future__ import annotations

import io
import threading

import pytest

from extstorage import tell, tell_progress
from extstorage.tell_progress import Progress, line


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (10 << 30, "10 GiB"),
        (150 << 20, "150 MiB"),
        ((150 << 20) + 1, "150 MiB"),
        (1 << 60, "1024 PiB"),
        (None, None),
    ],
)
def test_sizes(count: int | None, said: str | None) -> None:
    assert tell.size(count) == said


def test_names_cannot_write_to_the_terminal() -> None:
    facts: dict[str, object] = {
        "name": "v\x1b[2J",
        "kind": "volume",
        "store": "cow",
        "origin": None,
        "created": None,
        "holders": [],
    }
    sizes = {"logical": 1, "physical": None, "exclusive": None}
    (_, row) = tell.listing([{**facts, **sizes}])
    assert row.split() == ["v\\x1b[2J", "volume", "cow", "1", "B", "-", "-", "-", "-", "-"]


@pytest.mark.parametrize(
    ("count", "total", "said"),
    [
        (0, 100, "copy: 4 s"),
        (4096, None, "copy: 4 KiB, 1 KiB/s"),
        (4096, 8192, "copy: 4 KiB of 8 KiB (50 %), 1 KiB/s, 4 s to go"),
        (8192, 8192, "copy: 8 KiB of 8 KiB (100 %), 2 KiB/s"),
        (9000, 8192, "copy: 8.8 KiB of 8 KiB (100 %), 2.2 KiB/s"),
    ],
)
def test_a_line_of_progress(count: int, total: int | None, said: str) -> None:
    assert line("copy", count, total, 4.0) == said


class Terminal(io.StringIO):
    """What is written, and that it was."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal
        self.told = threading.Event()

    def isatty(self) -> bool:
        return self.terminal

    def flush(self) -> None:
        self.told.set()


@pytest.mark.parametrize("terminal", [True, False])
def test_long_work_is_told(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(tell_progress, "FIRST", 0.01)
    out = Terminal(terminal)
    with Progress("copy", 2048, lambda: 1024, out):
        assert out.told.wait(10)
    assert "copy: 1 KiB of 2 KiB (50 %)" in out.getvalue()
    assert out.getvalue().endswith("\r\x1b[K" if terminal else "to go\n")


def test_notes_that_are_written_are_not_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tell_progress, "FIRST", 0.01)
    out = Terminal(False)
    with Progress("clone", out=out), open("/dev/null", "wb", buffering=0) as file:
        file.write(bytes(200))
        assert out.told.wait(10)
    assert out.getvalue() == "clone: 0 s\n"


def test_short_work_is_not() -> None:
    out = Terminal(True)
    with Progress("copy", out=out):
        pass
    assert out.getvalue() == ""


def test_what_a_process_has_written() -> None:
    before = tell_progress.written()
    with open("/dev/null", "wb", buffering=0) as file:
        file.write(bytes(12345))
    assert tell_progress.written() - before >= 12345


def test_what_a_store_does_not_merge_it_does_not_claim_to() -> None:
    assert tell.shared(4 << 20, 1 << 20, merges=True) == "shares 1 MiB of 4 MiB that it had not shared"
    assert tell.shared(4 << 20, 0, merges=False).endswith("with others that are there it is not merged")
