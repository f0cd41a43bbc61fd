"""Two runs at once would measure each other."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import alone
from ganeti_ext.errors import ExtError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _ENDING}
    monkeypatch.setattr(alone, "LOCK", tmp_path / "lock")
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_second_run_is_refused_until_the_first_has_ended() -> None:
    with alone.alone(), pytest.raises(ExtError, match="another run is under way"), alone.alone():
        pass
    with alone.alone():
        pass


def test_what_goes_wrong_is_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ExtError("no fio")

    assert (alone.exit_code(lambda: None), alone.exit_code(fail)) == (0, 1)
    assert capsys.readouterr().err == "bench: no fio\n"
