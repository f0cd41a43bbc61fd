"""Metrics for Prometheus: the daemon's numbers and the kernel's in, families out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganeti_ext.metric import Family, Sample, classes, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nfdhcpd.stats import Counts, Stats

_REQUESTS = ("nfdhcpd_requests_total", "counter", "Messages that were answered, by type")
_DROPPED = ("nfdhcpd_dropped_total", "counter", "Messages that were not answered, by reason")


def whole(stats: Stats, *, version: str, started: float, served: int, not_served: int) -> Iterator[Family]:
    """The daemon's own, without taps; `started` in seconds since 1970."""
    yield gauge("nfdhcpd_up", "Whether the daemon answers", 1)
    yield Family("nfdhcpd_build_info", "gauge", "The version of the daemon", [Sample(1, {"version": version})])
    yield gauge("nfdhcpd_start_time_seconds", "When the daemon started, in seconds since 1970", started)
    states = [Sample(served, {"state": "served"}), Sample(not_served, {"state": "not_served"})]
    yield Family("nfdhcpd_bindings", "gauge", "Bindings, by whether they are served", states)
    yield Family(*_REQUESTS, [])
    yield Family(*_DROPPED, [])
    yield counter("nfdhcpd_foreign_total", "Packets of no binding's tap, left to the kernel", stats.foreign)
    yield counter("nfdhcpd_bugs_total", "Packets dropped because the daemon itself failed", stats.bugs)
    times = classes(stats.bounds, stats.times, stats.seconds, {})
    yield Family("nfdhcpd_handling_seconds", "histogram", "Time from a packet's arrival to its verdict", times)


def tap(name: str, instance: str, counted: Counts) -> Iterator[Family]:
    """One tap's."""
    labels = {"tap": name, "instance": instance}
    if counted.answered:
        yield Family(*_REQUESTS, [Sample(count, {**labels, "type": kind}) for kind, count in counted.answered.items()])
    if counted.dropped:
        yield Family(*_DROPPED, [Sample(count, {**labels, "reason": why}) for why, count in counted.dropped.items()])


def limited(dropped: Mapping[str, int], instances: Mapping[str, str]) -> Family:
    """Packets above the limit, and instances, by tap."""
    over = [Sample(count, {"tap": name, "instance": instances.get(name, "")}) for name, count in dropped.items()]
    return Family("nfdhcpd_limited_total", "counter", "Packets above the limit of a tap, dropped by the kernel", over)
