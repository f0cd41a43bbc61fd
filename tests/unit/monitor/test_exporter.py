"""The exporter, scraped."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import threading
import urllib.request
from typing import Any

import pytest

from ganeti_ext import metric
from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.metric import Family, Sample

parser = pytest.importorskip("prometheus_client.parser")
exporter = importlib.import_module("monitor.exporter")


class Ready(threading.Thread):
    """Scrapes once the exporter is ready, and ends it; `texts` is what it got."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self._ready = threading.Event()
        self._times = times
        self.url = ""
        self.texts: list[str] = []

    def notify(self, state: str) -> None:
        if state == "READY=1":
            self._ready.set()

    def run(self) -> None:
        assert self._ready.wait(10)
        try:
            for _ in range(self._times):
                with urllib.request.urlopen(self.url, timeout=10) as reply:
                    self.texts.append(reply.read().decode())
        finally:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def scraper(monkeypatch: pytest.MonkeyPatch, unused_port: int) -> Any:
    found = Ready(2)
    found.url = f"http://127.0.0.1:{unused_port}/metrics"
    monkeypatch.setattr(exporter, "notify", found.notify)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # for the thread that is made now
    found.start()
    yield found
    found.join()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_each_scrape_collects_anew(scraper: Ready, unused_port: int) -> None:
    scrapes: list[int] = []

    def found() -> list[Family]:
        scrapes.append(1)
        return [
            Family("nfdhcpd_foreign_total", "counter", "Foreign", [Sample(len(scrapes))]),
            Family(
                "nfdhcpd_handling_seconds",
                "histogram",
                "Times",
                [
                    Sample(1, {"le": "0.1"}, "_bucket"),
                    Sample(2, {"le": "+Inf"}, "_bucket"),
                    Sample(0.5, {}, "_sum"),
                    Sample(2, {}, "_count"),
                ],
            ),
        ]

    exporter.export(f"127.0.0.1:{unused_port}", found)
    scraper.join()
    values = [
        {(sample.name, *sample.labels.values()): sample.value for family in parse(text) for sample in family.samples}
        for text in scraper.texts
    ]
    assert [value[("nfdhcpd_foreign_total",)] for value in values] == [1, 2]
    assert values[0][("nfdhcpd_handling_seconds_bucket", "+Inf")] == 2
    assert "# TYPE nfdhcpd_handling_seconds histogram" in scraper.texts[0]
    assert "# TYPE nfdhcpd_foreign_total counter\n" in scraper.texts[0]


def parse(text: str) -> list[Any]:
    return list(parser.text_string_to_metric_families(text))


def test_the_exporter_and_the_command_tell_the_same() -> None:
    families = [Family("nfdhcpd_up", "gauge", "Up", [Sample(1)])]
    collected = list(exporter.Told(lambda: families).collect())
    (plain,) = parse("".join(f"{line}\n" for line in metric.text(families)))
    assert [(found.name, found.type, found.samples) for found in collected] == [(plain.name, plain.type, plain.samples)]


def test_an_address_that_is_taken(unused_port: int) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", unused_port))
            sock.listen()
            with pytest.raises(ExtError, match=f"127.0.0.1:{unused_port}: "):
                exporter.export(f"127.0.0.1:{unused_port}", list)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize(
    ("listen", "found"), [("127.0.0.1:9467", ("127.0.0.1", 9467)), ("[::1]:80", ("::1", 80)), ("node1:0", ("node1", 0))]
)
def test_addresses(listen: str, found: tuple[str, int]) -> None:
    assert exporter.address(listen) == found


@pytest.mark.parametrize("listen", ["9467", ":9467", "host:", "host:x", "host:65536", ""])
def test_bad_addresses(listen: str) -> None:
    with pytest.raises(ConfigError, match="is not HOST:PORT"):
        exporter.address(listen)


def test_without_the_library_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "monitor.exporter")
    with pytest.raises(ExtError, match="python3-prometheus-client is not installed"):
        importlib.import_module("monitor.exporter")
