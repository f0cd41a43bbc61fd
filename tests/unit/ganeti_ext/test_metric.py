"""Families: told as records, read back, and a text that Prometheus' own parser reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ganeti_ext import metric
from ganeti_ext.metric import Family, Sample

parser = pytest.importorskip("prometheus_client.parser")

FAMILIES = [
    metric.gauge("a_seconds", "A", 0.5),
    metric.counter("b_total", "B", 3),
    metric.counts("c_total", "C", "type", {"x": 1, 'y"\\\n': 2}),
    Family("d_seconds", "histogram", "D", metric.classes((0.1, 1.0), [1, 0, 2], 7.5, {"route": "/"})),
    metric.gauge("e", "unknown", None),
]


def parsed(families: list[Family]) -> dict[tuple[Any, ...], float]:
    text = "".join(f"{line}\n" for line in metric.text(families))
    found = parser.text_string_to_metric_families(text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in found for sample in family.samples
    }


def test_what_is_told_is_what_is_read() -> None:
    told = json.loads(json.dumps(list(metric.records(FAMILIES))))
    assert metric.families(told) == [
        family._replace(samples=[sample._replace(value=float(sample.value)) for sample in family.samples])
        for family in FAMILIES
    ]


def test_the_text_is_prometheus() -> None:
    assert parsed(FAMILIES) == {
        ("a_seconds",): 0.5,
        ("b_total",): 3,
        ("c_total", ("type", "x")): 1,
        ("c_total", ("type", 'y"\\\n')): 2,
        ("d_seconds_bucket", ("le", "0.1"), ("route", "/")): 1,
        ("d_seconds_bucket", ("le", "1"), ("route", "/")): 1,
        ("d_seconds_bucket", ("le", "+Inf"), ("route", "/")): 3,
        ("d_seconds_sum", ("route", "/")): 7.5,
        ("d_seconds_count", ("route", "/")): 3,
    }


def test_a_name_that_comes_again_adds_samples() -> None:
    again = [metric.counts("c_total", "C", "type", {"x": 1}), *FAMILIES[:1]]
    again.append(metric.counts("c_total", "C", "type", {"z": 5}))
    first, second = metric.families(metric.records(again))
    assert (first.name, first.samples) == ("c_total", [Sample(1.0, {"type": "x"}), Sample(5.0, {"type": "z"})])
    assert second.name == "a_seconds"


def test_facts_are_no_families() -> None:
    assert metric.families([{"queues": [42]}]) == []


@pytest.mark.parametrize(
    "record",
    [
        {"name": "a"},
        {"name": "a", "kind": "gauge", "help": "A", "samples": 7},
        {"name": "a", "kind": "gauge", "help": "A", "samples": [["x", {}, ""]]},
        {"name": "a", "kind": "gauge", "help": "A", "samples": [[1]]},
    ],
)
def test_what_is_no_family_is_refused(record: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        metric.families([record])
