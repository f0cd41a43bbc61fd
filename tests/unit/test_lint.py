"""Lint and types are tests. A tool that is absent skips its test, unless CI or CHECK says that all must be there."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    *("ganeti_ext", "hooks", "extstorage", "kvm_ifup", "nfdhcpd", "eventd", "frontend", "monitor", "console"),
    *("lab", "bench", "tests", "debian", ".ci"),
)
REQUIRED = bool(os.environ.get("CI") or os.environ.get("CHECK"))


def passes(*argv: str | Path) -> None:
    done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}"


def tool(name: str) -> tuple[str, ...]:
    """How to run a Python tool of this environment."""
    if importlib.util.find_spec(name) is None:
        assert not REQUIRED, f"{name} is not installed, see tests/requirements.txt"
        pytest.skip(f"{name} is not installed")
    return (sys.executable, "-m", name)


def executables(interpreter: bytes) -> list[str]:
    """Files without .py whose first line names the interpreter."""
    found = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")))
    plain = (path for path in found if path.is_file() and not path.is_symlink() and path.suffix not in (".py", ".pyc"))
    return [str(path.relative_to(ROOT)) for path in plain if _first_line(path).startswith(b"#!" + interpreter)]


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline(80)


def test_ruff_check() -> None:
    passes(*tool("ruff"), "check", "--quiet")


def test_ruff_format() -> None:
    passes(*tool("ruff"), "format", "--check")


@pytest.mark.skipif(not REQUIRED, reason="ten seconds of processor time: set CHECK=1")
def test_mypy_strict() -> None:
    passes(*tool("mypy"), "--no-error-summary", ".")


def test_mypy_is_strict() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["strict"] is True


def test_ruff_knows_every_executable() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert sorted(settings["extend-include"]) == sorted(executables(b"/usr/bin/python3"))


@pytest.mark.parametrize("path", executables(b"/bin/sh"))
def test_shell_scripts_parse(path: str) -> None:
    passes("sh", "-n", path)
