"""What all daemons answer."""

from __future__ import annotations

from typing import Any

import pytest

from ganeti_ext import __version__, metric
from ganeti_ext.errors import ExtError
from ganeti_ext.question import Questions


def asked(**request: Any) -> list[Any]:
    found = Questions(
        "eventd",
        lambda: {"told": 7},
        lambda: [metric.gauge("x", "X", 1)],
        {"tail": lambda request, _wake: iter([request])},
        lambda: 5.0,
    )
    return list(found.begin(request, lambda: None))


def test_status() -> None:
    assert asked(do="status") == [{"daemon": "eventd", "version": __version__, "started": 5.0, "told": 7}]


def test_metrics_begin_with_who_it_is() -> None:
    found = {family.name: family.samples for family in metric.families(asked(do="metrics"))}
    assert found == {
        "ganeti_ext_build_info": [(1.0, {"daemon": "eventd", "version": __version__}, "")],
        "ganeti_ext_start_time_seconds": [(5.0, {"daemon": "eventd"}, "")],
        "x": [(1.0, {}, "")],
    }


def test_a_daemons_own_answers() -> None:
    assert asked(do="tail", since=3) == [{"do": "tail", "since": 3}]


@pytest.mark.parametrize("do", [None, "stop", ["tail"], 7])
def test_an_unknown_request_is_refused_with_what_is_known(do: Any) -> None:
    with pytest.raises(ExtError, match="known: metrics, status, tail"):
        asked(do=do)
