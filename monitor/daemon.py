"""The daemons that may run on a machine, and how each is asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext import kernelqueue, metric, tally
from ganeti_ext.ask import Daemon, Unavailable, ask
from ganeti_ext.metric import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ganeti_ext.session import Record
    from monitor.settings import Sockets

PATIENCE = 3.0  # seconds without a word: a scrape waits no longer than ten, and one that is frozen must not cost all
TREE = os.path.realpath(__file__ + "/../..")


class Place(NamedTuple):
    """A daemon of this machine: `part` is its folder in the tree, which is there when its package is installed."""

    name: str
    part: str
    daemon: Daemon
    path: str = ""


PLACES = (
    Place("nfdhcpd", "nfdhcpd", Daemon("nfdhcpd", "nfdhcpd")),
    Place("reaper", "kvm_ifup", Daemon("ganeti-ext-reaper")),
    Place("eventd", "eventd", Daemon("ganeti-ext-eventd")),
    Place("consoled", "console", Daemon("ganeti-ext-consoled")),
    Place("consumer", "frontend", Daemon("ganeti-ext-consumer")),
    Place("api", "frontend", Daemon("ganeti-ext-api")),
)


def here(sockets: Sockets, tree: str = TREE) -> list[Place]:
    """The daemons that are installed and have a place where they are asked."""
    found = (place._replace(path=getattr(sockets, place.name)) for place in PLACES)
    return [place for place in found if place.path and os.path.isdir(os.path.join(tree, place.part))]


def metrics(place: Place) -> list[Family]:
    """What one tells; ExtError, OSError or ValueError when that cannot be had."""
    if place.name == "api":
        return list(_api(place))
    told = list(ask(place.path, {"do": "metrics"}, place.daemon, PATIENCE))
    found = metric.families(told)
    if place.name == "nfdhcpd":
        found += kernelqueue.families(kernelqueue.read(), _queues(told))
    return found


def down(place: Place) -> list[Family]:
    """What is told of one that does not answer."""
    return [metric.gauge("nfdhcpd_up", "Whether the daemon answers", 0)] if place.name == "nfdhcpd" else []


def _queues(told: Iterable[Record]) -> list[int]:
    return next((record["queues"] for record in told if "queues" in record), [])


def _api(place: Place) -> Iterator[Family]:
    found = tally.read(place.path)
    if found is None:
        raise Unavailable(f"{place.path}: is {place.daemon.name} running? systemctl start {place.daemon.name}")
    yield from metric.identity(place.name, found.version, found.started)
    requests, times = [], []
    for name, row in found.rows.items():
        method, _, route = name.rpartition(" ")
        labels = {"method": method, "route": route}
        requests += [Sample(count, {**labels, "code": code}) for code, count in row.codes.items()]
        if row.codes:
            times += metric.classes(found.bounds, row.times, row.seconds, labels)
    yield Family("ganeti_ext_api_requests_total", "counter", "Requests by route and status code", requests)
    about = "Time from a request's arrival at a worker to its answer"
    yield Family("ganeti_ext_api_request_duration_seconds", "histogram", about, times)
