"""All daemons of a machine, for one scrape."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext import kernelqueue, metric
from ganeti_ext.kernelqueue import Queue
from ganeti_ext.question import Questions
from ganeti_ext.tally import Shape, Tally
from kvm_ifup.tally import Tally as Reaped
from monitor import daemon, settings
from monitor.collect import Collection
from monitor.settings import Sockets
from tests.unit.monitor.sockets import serving

parser = pytest.importorskip("prometheus_client.parser")


def sockets(folder: Path, **given: str) -> Sockets:
    empty = dict.fromkeys(("nfdhcpd", "reaper", "eventd", "consoled", "consumer", "api"), "")
    return Sockets(**{**empty, **{name: str(folder / name) for name in given}})


def places(folder: Path, *names: str) -> list[daemon.Place]:
    return daemon.here(sockets(folder, **dict.fromkeys(names, "")))


def samples(families: Any) -> dict[Any, float]:
    """By name and labels; the text must be one that Prometheus takes."""
    text = "".join(f"{line}\n" for line in metric.text(families))
    found = list(parser.text_string_to_metric_families(text))
    assert len({family.name for family in found}) == len(found)
    return {(s.name, *sorted(s.labels.items())): s.value for family in found for s in family.samples}


def test_what_is_installed_and_has_a_place_is_asked(tmp_path: Path) -> None:
    for part in ("nfdhcpd", "kvm_ifup"):
        (tmp_path / part).mkdir()
    found = daemon.here(Sockets(reaper=""), str(tmp_path))
    assert [(place.name, place.path) for place in found] == [("nfdhcpd", "/run/nfdhcpd/control")]
    assert [place.name for place in daemon.here(Sockets())] == [
        *("nfdhcpd", "reaper", "eventd", "consoled", "consumer", "api")
    ]


def test_daemons_that_answer_and_one_that_is_down(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reaped = Reaped(records=3, taps=2)
    questions = Questions("reaper", reaped.status, reaped.metrics)
    collect = Collection(places(tmp_path, "reaper", "eventd"))
    with serving(str(tmp_path / "reaper"), questions.begin):
        found = samples(collect())
        collect()
    assert found[("ganeti_ext_up", ("daemon", "reaper"))] == 1
    assert found[("ganeti_ext_up", ("daemon", "eventd"))] == 0
    assert found[("ganeti_ext_reaper_records",)] == 3
    assert caplog.text.count("is ganeti-ext-eventd running? systemctl start ganeti-ext-eventd") == 1
    assert samples(collect())[("ganeti_ext_up", ("daemon", "reaper"))] == 0


def test_one_that_is_frozen_costs_the_others_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "PATIENCE", 0.1)
    reaped = Reaped()
    questions = Questions("reaper", reaped.status, reaped.metrics)
    with serving(str(tmp_path / "reaper"), questions.begin), socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "eventd"))
        deaf.listen()
        found = samples(Collection(places(tmp_path, "reaper", "eventd"))())
    assert found[("ganeti_ext_up", ("daemon", "eventd"))] == 0
    assert found[("ganeti_ext_up", ("daemon", "reaper"))] == 1


def test_one_that_talks_nonsense_is_down(tmp_path: Path) -> None:
    with serving(str(tmp_path / "eventd"), lambda *_: iter([{"name": "x", "samples": 7}])):
        found = samples(Collection(places(tmp_path, "eventd"))())
    assert found == {("ganeti_ext_up", ("daemon", "eventd")): 0}


def test_nfdhcpd_comes_with_the_kernels_word_on_its_queues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernelqueue, "read", lambda: {42: Queue(3, 0, 0), 7: Queue(9, 9, 9)})

    def begin(*_: Any) -> Any:
        yield {"queues": [42, 43]}
        yield from metric.records([metric.gauge("nfdhcpd_up", "Whether the daemon answers", 1)])

    collect = Collection(places(tmp_path, "nfdhcpd"))
    with serving(str(tmp_path / "nfdhcpd"), begin):
        found = samples(collect())
    assert found[("nfdhcpd_queue_waiting", ("queue", "42"))] == 3
    assert ("nfdhcpd_queue_waiting", ("queue", "7")) not in found
    assert found[("nfdhcpd_up",)] == found[("ganeti_ext_up", ("daemon", "nfdhcpd"))] == 1
    down = samples(collect())
    assert down == {("nfdhcpd_up",): 0, ("ganeti_ext_up", ("daemon", "nfdhcpd")): 0}


def test_the_api(tmp_path: Path) -> None:
    collect = Collection(places(tmp_path, "api"))
    assert samples(collect()) == {("ganeti_ext_up", ("daemon", "api")): 0}
    counted = Tally(str(tmp_path / "api"), Shape(("GET /a/<id>", "GET /b"), ("200", "other"), (0.1,)), 1)
    counted.count("GET /a/<id>", "200", 0.05)
    counted.count("GET /a/<id>", "503", 0.5)
    found = samples(collect())
    route = (("method", "GET"), ("route", "/a/<id>"))
    assert found[("ganeti_ext_api_requests_total", ("code", "200"), *route)] == 1
    assert found[("ganeti_ext_api_requests_total", ("code", "other"), *route)] == 1
    assert found[("ganeti_ext_api_request_duration_seconds_bucket", ("le", "0.1"), *route)] == 1
    assert found[("ganeti_ext_api_request_duration_seconds_count", *route)] == 2
    assert not [key for key in found if ("route", "/b") in key]
    assert found[("ganeti_ext_up", ("daemon", "api"))] == 1


def test_a_broken_file_of_the_api_is_down(tmp_path: Path) -> None:
    (tmp_path / "api").write_text("{")
    with open(tmp_path / "api", encoding="ascii") as file, contextlib.ExitStack() as undo:
        import fcntl  # noqa: PLC0415

        fcntl.flock(file, fcntl.LOCK_EX)
        undo.callback(os.unlink, tmp_path / "api")
        assert samples(Collection(places(tmp_path, "api"))()) == {("ganeti_ext_up", ("daemon", "api")): 0}


def test_settings(tmp_path: Path) -> None:
    path = tmp_path / "exporter.conf"
    assert settings.load(str(path)).exporter.listen == "127.0.0.1:9467"
    path.write_text("[exporter]\nlisten = [::]:9467\n[sockets]\neventd =\n")
    found = settings.load(str(path))
    assert (found.exporter.listen, found.sockets.eventd) == ("[::]:9467", "")
