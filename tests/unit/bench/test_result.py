from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest

from bench import arguments, result
from bench.result import Result


@pytest.fixture(autouse=True)
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(result, "OUT", tmp_path / "out")
    return tmp_path / "out"


def test_what_was_measured_is_printed_and_kept(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Result("events", "ours", arguments={"quick": "True"})
    with made.told():
        made.add("heading", "p50, ms", "ours", 1.5)
    assert "heading\n" in capsys.readouterr().out
    kept = json.loads((out / "events.json").read_text())
    assert kept["samples"] == {"heading": {"p50, ms": {"ours": [1.5]}}}
    assert kept["facts"]["arguments"] == {"quick": "True"}


def test_before_a_failure_too_but_not_as_a_whole_run(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Result("events", "ours")
    with pytest.raises(KeyboardInterrupt), made.told():
        made.add("heading", "p50, ms", "ours", 1.5)
        raise KeyboardInterrupt
    assert "1.5" in capsys.readouterr().out
    assert [path.name for path in out.glob("events.*")] == []
    assert len(list(out.glob("events-*.json"))) == 1


def test_nothing_measured_leaves_nothing(out: Path) -> None:
    with pytest.raises(OSError, match="no room"), Result("events", "ours").told():
        raise OSError("no room")
    assert not out.exists()


def test_an_unknown_part_is_a_usage_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def parse(*argv: str) -> list[str]:
        parser = argparse.ArgumentParser("bench")
        arguments.add(parser, ("latency", "idle"), "eventd", nice=-10)
        found = arguments.parse(parser, argv, ("latency", "idle"), "bench-events")
        assert found.nice == -10
        return list(found.part)

    assert (parse(), parse("idle")) == (["latency", "idle"], ["idle"])
    with pytest.raises(SystemExit):
        parse("idle", "latnecy")
    assert "no such part: latnecy; there are latency, idle" in capsys.readouterr().err
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit):
        parse("idle")
    assert "this needs root: sudo make bench-events" in capsys.readouterr().err
