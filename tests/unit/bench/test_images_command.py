"""What the command line of the images' benchmark takes."""

from __future__ import annotations

import os

import pytest

from bench.images import __main__ as command


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_all_is_measured_by_default_and_less_of_it_quickly() -> None:
    whole, quick = command._arguments([]), command._arguments(["--quick"])
    assert whole.part == quick.part == list(command.PARTS)
    assert (whole.mib, whole.servers, whole.snapshots, whole.variants) == (1024, 20, 10, 10)
    assert all(getattr(quick, name) < getattr(whole, name) for name in command.SIZES)


def test_a_size_that_is_said_counts_even_quickly() -> None:
    assert command._arguments(["room", "--quick", "--servers", "50"]).servers == 50


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--rounds", "0"], "--rounds"), (["--mib", "31"], "--mib"), (["--data", "15"], "--data"), (["none"], "none")],
)
def test_what_cannot_be_measured_is_refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command._arguments(words)
    assert told in capsys.readouterr().err.rpartition("error:")[2]
