"""Serial logs: short, read from the end, removed with the instance."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.logs import Logs
from console.settings import Console, Kvm, load
from ganeti_ext.errors import ConfigError


def append(folder: Path, name: str, data: bytes) -> None:
    """As QEMU does."""
    with (folder / f"{name}.log").open("ab") as file:
        file.write(data)


def test_what_a_guest_wrote_is_read_from_the_end(tmp_path: Path) -> None:
    logs = Logs(str(tmp_path), 1000)
    assert logs.read("a", 5) is None
    append(tmp_path, "a", b"")
    assert logs.read("a", 5) == b""
    append(tmp_path, "a", b"0123456789")
    assert logs.read("a", 4) == b"6789"
    assert logs.read("a", 100) == b"0123456789"


def test_a_long_log_keeps_its_newest_half(tmp_path: Path) -> None:
    logs = Logs(str(tmp_path), 200)
    append(tmp_path, "a", b"x" * 100)
    logs.trim()
    assert logs.trimmed == 0
    append(tmp_path, "a", b"y" * 60)
    logs.trim()
    assert (tmp_path / "a.log").stat().st_size == 0
    append(tmp_path, "a", b"z")
    assert logs.read("a", 1000) == b"x" * 40 + b"y" * 60 + b"z"
    assert logs.read("a", 31) == b"y" * 30 + b"z"
    assert logs.trimmed == 1
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.old")} == {0o600}


def test_a_flood_never_keeps_more_than_its_share(tmp_path: Path) -> None:
    logs = Logs(str(tmp_path), 200)
    for turn in range(50):
        append(tmp_path, "a", b"%03d" % turn * 300)
        logs.trim()
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 200
    assert (logs.read("a", 3) or b"") == b"049"


def test_a_log_is_cut_even_when_nothing_can_be_kept(tmp_path: Path) -> None:
    logs = Logs(str(tmp_path), 200)
    (tmp_path / "a.old").mkdir()
    append(tmp_path, "a", b"x" * 500)
    logs.trim()
    assert (tmp_path / "a.log").stat().st_size == 0


def test_logs_of_instances_that_are_gone_are_removed(tmp_path: Path) -> None:
    now = [0.0]
    logs = Logs(str(tmp_path), 100, clock=lambda: now[0])
    for name in ("here", "gone"):
        append(tmp_path, name, b"x" * 90)
    logs.trim()
    now[0] = (tmp_path / "gone.log").stat().st_mtime + 59  # one that is being made may not be told of yet
    logs.prune({"here"})
    assert logs.count() == 2
    now[0] += 1
    logs.prune({"here"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.log", "here.old"]


def test_no_directory_is_no_log(tmp_path: Path) -> None:
    logs = Logs(f"{tmp_path}/none/log", 100)
    logs.trim()
    logs.prune(set())
    assert logs.count() == 0
    logs.prepare()
    assert (tmp_path / "none/log").stat().st_mode & 0o777 == 0o700


def test_settings(tmp_path: Path) -> None:
    assert load(f"{tmp_path}/none") == (Console(), Kvm())
    path = tmp_path / "console.conf"
    path.write_text("[console]\nport = 2000\n[kvm]\npath = /usr/bin/qemu-system-x86_64\n")
    console, kvm = load(str(path))
    assert (console.port, console.log_size, kvm.path) == (2000, 1024, "/usr/bin/qemu-system-x86_64")


@pytest.mark.parametrize("line", ["log_size = 0", "connections = 0", "port = 65536", "port = none", "ports = 1"])
def test_wrong_settings_are_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "console.conf"
    path.write_text(f"[console]\n{line}\n")
    with pytest.raises(ConfigError, match=line.split(" = ", maxsplit=1)[0]):
        load(str(path))
