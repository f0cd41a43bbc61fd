"""Every metric is in the documents, by a name as Prometheus wants it, and the documents name no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.tally import Tally as Watched
from ganeti_ext import kernelqueue, metric, tally
from ganeti_ext.kernelqueue import Queue
from ganeti_ext.metric import Family
from ganeti_ext.outbox import Fullness
from kvm_ifup.tally import Tally as Reaped
from monitor import daemon
from nfdhcpd import metrics as nfdhcpd
from nfdhcpd.stats import Counts as Tap
from nfdhcpd.stats import Stats

ROOT = Path(__file__).parents[3]
MONITORING, NFDHCPD = ((ROOT / f"docs/{name}.md").read_text() for name in ("monitoring", "nfdhcpd"))


def of_api(folder: Path) -> Iterator[Family]:
    path = str(folder / "counts")
    counted = tally.Tally(path, tally.Shape(("GET /a",), ("200", "other"), (0.1,)), 1)
    counted.count("GET /a", "200", 0.0)
    (api,) = (place for place in daemon.PLACES if place.name == "api")
    yield from daemon.metrics(api._replace(path=path))


def of_consumer(folder: Path) -> Iterator[Family]:
    pytest.importorskip("sqlalchemy")
    from sqlalchemy import insert  # noqa: PLC0415

    from frontend.database import db  # noqa: PLC0415
    from frontend.update import questions  # noqa: PLC0415
    from frontend.update.counts import Counts  # noqa: PLC0415

    engine = db.connect(f"sqlite:///{folder}/front.db")
    with engine.begin() as connection:
        compared = {"id": 1, "time": 1.0, "seconds": 1.0, "found": {"x": 1}, "mended": 0, "trigger": "timer"}
        connection.execute(insert(db.comparison).values(compared))
        connection.execute(insert(db.probe).values(id="p", sent=1.0, received=2.0))
    yield from questions.Facts(Counts(), engine, lambda: 0, lambda: 0).metrics()
    engine.dispose()


def of_eventd() -> Iterator[Family]:
    pytest.importorskip("pyinotify")
    from eventd import metrics  # noqa: PLC0415
    from eventd.counts import Counts  # noqa: PLC0415

    yield from metrics.families(Counts(), Fullness(1, 1.0, 1), 9, master=True, broker=True)


def of_nfdhcpd() -> Iterator[Family]:
    yield from nfdhcpd.whole(Stats(), version="1", started=1.0, served=1, not_served=0)
    yield from nfdhcpd.tap("tap0", "web", Tap({"RS": 1}, {"spoofed": 1}))
    yield from kernelqueue.families({42: Queue(0, 0, 0)}, [42])
    yield nfdhcpd.limited({"tap0": 1}, {})


@pytest.fixture
def families(tmp_path: Path) -> list[Family]:
    own = [
        *of_eventd(),
        *of_consumer(tmp_path),
        *of_api(tmp_path),
        *Reaped().metrics(),
        *Watched().metrics(),
        *of_nfdhcpd(),
    ]
    return metric.joined([*own, metric.gauge("ganeti_ext_up", "Up", 1)])


def test_names_are_as_prometheus_wants_them(families: list[Family]) -> None:
    for family in families:
        assert re.fullmatch(r"(ganeti_ext|nfdhcpd)(_[a-z0-9]+)+", family.name), family.name
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert family.help[0].isupper() and not family.help.endswith("."), family.help
        assert not re.search(r"milli|_ms\b|_age\b", family.name), "base units: seconds, bytes"
        if "timestamp" in family.name or "duration" in family.name:
            assert family.name.endswith("_seconds")


def test_every_metric_is_explained(families: list[Family]) -> None:
    for family in families:
        short = re.sub(r"^ganeti_ext_(eventd|consumer|api|reaper|consoled)_", "", family.name)
        assert f"`{short}`" in (NFDHCPD if family.name.startswith("nfdhcpd") else MONITORING), family.name


def test_the_documents_name_no_metric_that_there_is_not(families: list[Family]) -> None:
    there = {family.name for family in families}
    for name in re.findall(r"\b(?:ganeti_ext|nfdhcpd)_[a-z_]+", MONITORING):
        assert name in there or name.endswith("_"), name
