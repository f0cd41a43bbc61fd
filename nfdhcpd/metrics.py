"""Metrics for Prometheus: the daemon's numbers and the kernel's in, families and their text out."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nfdhcpd.kernel import Queue
    from nfdhcpd.session import Record


class Sample(NamedTuple):
    """`suffix` follows the family's name."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


class Family(NamedTuple):
    """`kind` is counter, gauge or histogram."""

    name: str
    kind: str
    help: str
    samples: list[Sample]


# When there is no daemon to ask.
DOWN = [Family("nfdhcpd_up", "gauge", "Whether the daemon answers", [Sample(0)])]


def families(records: Iterable[Record], queues: Mapping[int, Queue], limited: Mapping[str, int]) -> Iterator[Family]:
    """The answer to `metrics` (questions.py) with the kernel's queues, and packets above the limit by tap."""
    whole, *taps = records
    instances = {tap["tap"]: tap["instance"] for tap in taps}
    yield Family("nfdhcpd_up", "gauge", "Whether the daemon answers", [Sample(1)])
    version = Sample(1, {"version": whole["version"]})
    yield Family("nfdhcpd_build_info", "gauge", "The version of the daemon", [version])
    started = Sample(whole["started"])
    yield Family("nfdhcpd_start_time_seconds", "gauge", "When the daemon started, in seconds since 1970", [started])
    states = [Sample(whole[state], {"state": state}) for state in ("served", "not_served")]
    yield Family("nfdhcpd_bindings", "gauge", "Bindings, by whether they are served", states)
    answered = list(_by_tap(taps, "answered", "type"))
    yield Family("nfdhcpd_requests_total", "counter", "Messages that were answered, by type", answered)
    dropped = list(_by_tap(taps, "dropped", "reason"))
    yield Family("nfdhcpd_dropped_total", "counter", "Messages that were not answered, by reason", dropped)
    foreign = Sample(whole["foreign"])
    yield Family("nfdhcpd_foreign_total", "counter", "Packets of no binding's tap, left to the kernel", [foreign])
    bugs = Sample(whole["bugs"])
    yield Family("nfdhcpd_bugs_total", "counter", "Packets dropped because the daemon itself failed", [bugs])
    yield _times(whole)
    yield from _queues({number: queue for number, queue in queues.items() if number in whole["queues"]})
    over = [Sample(count, {"tap": tap, "instance": instances.get(tap, "")}) for tap, count in limited.items()]
    yield Family("nfdhcpd_limited_total", "counter", "Packets above the limit of a tap, dropped by the kernel", over)


def text(found: Iterable[Family]) -> Iterator[str]:
    """Lines of the text format, version 0.0.4."""
    for family in found:
        if family.samples:
            yield f"# HELP {family.name} {family.help}"
            yield f"# TYPE {family.name} {family.kind}"
        for sample in family.samples:
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
            yield f"{family.name}{sample.suffix}{f'{{{labels}}}' if labels else ''} {_number(sample.value)}"


def _by_tap(taps: Iterable[Record], key: str, label: str) -> Iterator[Sample]:
    for tap in taps:
        for name, count in tap[key].items():
            yield Sample(count, {"tap": tap["tap"], "instance": tap["instance"], label: name})


def _times(whole: Record) -> Family:
    bounds = [*map(_number, whole["bounds"]), "+Inf"]
    totals = list(accumulate(whole["times"]))
    samples = [Sample(total, {"le": bound}, "_bucket") for bound, total in zip(bounds, totals, strict=True)]
    samples += [Sample(whole["seconds"], {}, "_sum"), Sample(totals[-1], {}, "_count")]
    return Family("nfdhcpd_handling_seconds", "histogram", "Time from a packet's arrival to its verdict", samples)


def _queues(queues: Mapping[int, Queue]) -> Iterator[Family]:
    waiting = [Sample(queue.waiting, {"queue": str(number)}) for number, queue in queues.items()]
    yield Family("nfdhcpd_queue_waiting", "gauge", "Packets that wait in the kernel's queue", waiting)
    dropped = []
    for number, queue in queues.items():
        for cause, count in (("full", queue.full), ("undelivered", queue.undelivered)):
            dropped.append(Sample(count, {"queue": str(number), "cause": cause}))
    yield Family("nfdhcpd_queue_dropped_total", "counter", "Packets that the kernel's queue lost", dropped)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
