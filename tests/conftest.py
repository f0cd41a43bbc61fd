"""What holds for all tests: who runs beside whom, who hears Ctrl-C, and that a machine may be slow."""

from __future__ import annotations

import signal
from pathlib import Path

import hypothesis
import pytest

HERE = Path(__file__).parent
# What shares something dear, or something that there is once on a machine, runs in one process, in its order.
TOGETHER = {"lab/clients": "clients", "lab": "lab", "contract/extstorage": "storage"}


def pytest_configure() -> None:
    """A shell starts what it puts into the background without SIGINT, and so what tests start would be, too."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hypothesis.settings.register_profile(
        "any-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("any-machine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes (-n 2 --dist loadgroup) each file stays in one; the lab, which takes longest, begins."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item.path)))
    if config.getoption("dist") != "no":
        items.sort(key=lambda item: group(item.path) != "lab")


def group(path: Path) -> str:
    """The tests that one process runs all of."""
    file = str(path.relative_to(HERE))
    return next((name for folder, name in TOGETHER.items() if file.startswith(f"{folder}/")), file)
