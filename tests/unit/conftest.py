"""Tests whose libraries are absent are left out, and the summary says which and why."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
# What the modules under test and what all tests share import; what a test imports itself is read from it.
NEEDED = {
    "eventd": {"kombu", "pyinotify"},
    "frontend": {"flask", "kombu", "sqlalchemy"},
    "nfdhcpd": {"pyinotify", "scapy"},
}
_IMPORT = re.compile(r"^(?:from|import) (\w+)", re.MULTILINE)
_LIBRARIES = {"flask", "hypothesis", "kombu", "scapy", "sqlalchemy", "websockify", "werkzeug"}


def _missing(path: Path) -> list[str]:
    """Libraries without which a test file, or a folder of them, cannot be imported."""
    needed = set(NEEDED.get(path.relative_to(ROOT).parts[0], ()))
    if path.is_file():
        needed |= _LIBRARIES & set(_IMPORT.findall(path.read_text()))
    # find_spec fails for what is loaded and has replaced its own module, as kombu does.
    return sorted(name for name in needed - set(sys.modules) if importlib.util.find_spec(name) is None)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    inside = collection_path != ROOT and ROOT in collection_path.parents and collection_path.suffix in ("", ".py")
    return True if inside and _missing(collection_path) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for folder in sorted(ROOT.iterdir()):
        for path in (folder,) if _missing(folder) else sorted(folder.glob("test_*.py")):
            if _missing(path):
                terminalreporter.write_line(f"LEFT OUT {path.relative_to(ROOT)}: needs {', '.join(_missing(path))}")
