from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import ROOT
from bench.remote import Remote
from ganeti_ext.errors import CommandError


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    argv = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "bench.firewall.inside"]
    made = Remote(argv, tmp_path / "log")
    yield made
    made.close()


def test_a_program_is_timed_and_gets_its_stdin(remote: Remote, tmp_path: Path) -> None:
    wall, cpu = remote.call(
        "timed", ["/bin/sh", "-e"], {"WHERE": str(tmp_path / "made")}, 'sleep 0.05; echo x > "$WHERE"'
    )
    assert (tmp_path / "made").read_text() == "x\n"
    assert wall >= 50 > cpu > 0


def test_a_program_that_fails_is_told_with_its_words(remote: Remote) -> None:
    with pytest.raises(CommandError, match="3: no such tap"):
        remote.call("timed", ["/bin/sh", "-e"], {}, "echo no such tap >&2; exit 3")
    assert remote.call("timed", ["/bin/true"], {}, "")


def test_a_worker_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    remote = Remote(["/bin/sh", "-c", "read line; echo gone >&2"], tmp_path / "log")
    with pytest.raises(CommandError, match="gone"):
        remote.call("timed")
    remote.close()
