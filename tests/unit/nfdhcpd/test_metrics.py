"""Metrics: names, values, and a text that Prometheus' own parser reads."""

from __future__ import annotations

from typing import Any

import pytest

from ganeti_ext import kernelqueue, metric
from ganeti_ext.kernelqueue import Queue
from nfdhcpd import metrics
from nfdhcpd.stats import Counts, Stats

parser = pytest.importorskip("prometheus_client.parser")

TAPS = {
    "tap0": ("web", Counts({"DISCOVER": 3, "RS": 1}, {})),
    "tap1": ('a"b\\c\nd', Counts({}, {"spoofed": 9})),
}
QUEUES = {42: Queue(3, 7, 2), 99: Queue(1, 1, 1)}


def stats() -> Stats:
    found = Stats()
    found.times = [1, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    found.seconds, found.foreign, found.bugs = 0.25, 4, 2
    return found


def parsed(queues: Any = QUEUES, limited: Any = None) -> dict[str, Any]:
    """What the parser finds in the text, by family."""
    found = list(metrics.whole(stats(), version="0.1.0", started=1700000000.5, served=2, not_served=1))
    for tap, (instance, counts) in TAPS.items():
        found += metrics.tap(tap, instance, counts)
    found += kernelqueue.families(queues, [42, 43])
    found.append(metrics.limited(limited or {}, {"tap0": "web"}))
    text = "".join(f"{line}\n" for line in metric.text(metric.families(metric.records(found))))
    families = list(parser.text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {
        family.name: {
            (sample.name.removeprefix(family.name), *sorted(sample.labels.items())): sample.value
            for sample in family.samples
        }
        for family in families
    }


def test_messages_by_tap_and_type_or_reason() -> None:
    found = parsed()
    assert found["nfdhcpd_requests"] == {
        ("_total", ("instance", "web"), ("tap", "tap0"), ("type", "DISCOVER")): 3,
        ("_total", ("instance", "web"), ("tap", "tap0"), ("type", "RS")): 1,
    }
    assert found["nfdhcpd_dropped"] == {
        ("_total", ("instance", 'a"b\\c\nd'), ("reason", "spoofed"), ("tap", "tap1")): 9,
    }


def test_handling_times_are_a_histogram() -> None:
    found = parsed()["nfdhcpd_handling_seconds"]
    assert found[("_bucket", ("le", "1e-05"))] == 1
    assert found[("_bucket", ("le", "5e-05"))] == 3
    assert found[("_bucket", ("le", "0.1"))] == 3
    assert found[("_bucket", ("le", "+Inf"))] == found[("_count",)] == 4
    assert found[("_sum",)] == 0.25


def test_the_daemon_itself() -> None:
    found = parsed()
    assert found["nfdhcpd_up"] == {("",): 1}
    assert found["nfdhcpd_build_info"] == {("", ("version", "0.1.0")): 1}
    assert found["nfdhcpd_start_time_seconds"] == {("",): 1700000000.5}
    assert found["nfdhcpd_bindings"] == {("", ("state", "served")): 2, ("", ("state", "not_served")): 1}
    assert found["nfdhcpd_foreign"] == {("_total",): 4}
    assert found["nfdhcpd_bugs"] == {("_total",): 2}


def test_our_queues_in_the_kernel_and_no_others() -> None:
    found = parsed()
    assert found["nfdhcpd_queue_waiting"] == {("", ("queue", "42")): 3}
    assert found["nfdhcpd_queue_dropped"] == {
        ("_total", ("cause", "full"), ("queue", "42")): 7,
        ("_total", ("cause", "undelivered"), ("queue", "42")): 2,
    }


def test_what_the_kernel_dropped_above_the_limit() -> None:
    found = parsed(limited={"tap0": 12, "tap9": 1})
    assert found["nfdhcpd_limited"] == {
        ("_total", ("instance", "web"), ("tap", "tap0")): 12,
        ("_total", ("instance", ""), ("tap", "tap9")): 1,
    }


def test_what_cannot_be_seen_is_left_out() -> None:
    found = parsed(queues={})
    assert not {"nfdhcpd_queue_waiting", "nfdhcpd_queue_dropped", "nfdhcpd_limited"} & set(found)
