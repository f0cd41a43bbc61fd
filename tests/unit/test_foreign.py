"""The lists of tests and packages that are others': whole, pinned, and nothing left out without a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOREIGN = Path(__file__).parents[1] / "foreign"
LISTS = sorted((FOREIGN / "tempest").glob("*.regex"))
PACKAGES = sorted((FOREIGN / "python").glob("*.txt"))


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_a_list_has_a_regular_expression_a_line(path: Path) -> None:
    found = [line.partition("#")[0].strip() for line in lines(path)]
    assert found
    for pattern in found:
        assert re.compile(pattern).pattern.startswith("^tempest")


def test_what_is_left_out_is_so_for_a_reason() -> None:
    reasons = [line.partition("#")[2].strip() for line in lines(FOREIGN / "tempest/exclude.regex")]
    assert min(map(len, reasons)) > 10, reasons


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.name)
def test_packages_are_pinned(path: Path) -> None:
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+( ; .+)?", line) for line in lines(path))
    assert any(line.startswith(("tempest==47.0.0", "openstacksdk==")) for line in lines(path))
