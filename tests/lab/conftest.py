"""The lab as a fixture: brought up once, told about when a test fails."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from lab import ROOT, cluster, logs, story_storage
from lab.story import Story, clear

LOGS = ROOT / "build/lab-logs"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the lab; what takes it down comes last."""
    here = [item for item in items if "tests/lab/" in str(item.path)]
    for item in here:
        item.add_marker(pytest.mark.lab)
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="the lab needs root: sudo make check"))
        if item.get_closest_marker("long") and os.environ.get("LAB_ALL", "") in ("", "0"):
            item.add_marker(pytest.mark.skip(reason="a minute or more: LAB_ALL=1"))
    rest = [item for item in items if item not in here]
    items[:] = rest + sorted(
        here, key=lambda item: (item.path.name == "test_down.py", item.path.name == "test_faults.py")
    )


@pytest.fixture(scope="session")
def story() -> Iterator[Story]:
    """The story on a lab that is up; a lab that was up before is left up."""
    before = cluster.running()
    cluster.up()
    story = Story(cluster.nodes())
    clear(story)
    story_storage.clear(story)
    yield story
    if not before:
        cluster.down()


_told: list[str] = []


@pytest.fixture(scope="session")
def told() -> list[str]:
    """Lines that are printed at the end of the run."""
    return _told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _told:
        terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """After a failure, leave the words of every daemon of every node in one folder and say where."""
    report = yield
    if report.failed and report.when == "call" and "tests/lab/" in str(item.path):  # type: ignore[attr-defined]
        folder = LOGS / item.name
        logs.collect(cluster.nodes(), folder)
        report.sections.append(("lab", f"the logs of all nodes are in {folder}"))  # type: ignore[attr-defined]
    return report
