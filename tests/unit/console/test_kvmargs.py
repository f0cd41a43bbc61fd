"""QEMU's arguments with a log."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from console import kvm, kvmargs

SERIAL = "unix:/run/x.serial,server,nowait"
START = ["-name", "gx-1", "-m", "128", "-serial", SERIAL, "-daemonize"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (START, ("gx-1", False, True)),
        ([*START, "-incoming", "tcp:10.0.0.1:8102"], ("gx-1", True, True)),
        (["-name", "gx-1,debug-threads=on", "-serial", SERIAL], ("gx-1", False, True)),
        (["-name", "gx-1", "-serial", "none"], ("gx-1", False, False)),
        (["-name", "gx-1", "-serial"], ("gx-1", False, False)),
        (["--help"], (None, False, False)),
        (["-machine", "?"], (None, False, False)),
        (["-device", "?"], (None, False, False)),
    ],
)
def test_a_guest_is_told_from_a_question(arguments: list[str], found: tuple[str | None, bool, bool]) -> None:
    told = (kvmargs.name(arguments), kvmargs.arrives(arguments), kvmargs.has_serial(arguments))
    assert told == found


def test_vnc_moves_from_the_loopback_to_a_socket(tmp_path: Path) -> None:
    asked = ["-name", "gx-1", "-vnc", "127.0.0.1:5102", "-daemonize"]
    assert kvm.with_screen(asked, str(tmp_path)) == [
        *("-name", "gx-1", "-vnc", f"unix:{tmp_path}/gx-1.vnc", "-daemonize")
    ]


@pytest.mark.parametrize("asked", ["10.0.0.1:3", ":3", "127.0.0.1:3,password", "none", "unix:/x", "[::1]:3"])
def test_vnc_of_an_administrators_wish_stays(tmp_path: Path, asked: str) -> None:
    arguments = ["-name", "gx-1", "-vnc", asked]
    assert kvm.with_screen(arguments, str(tmp_path)) == arguments


def test_vnc_stays_where_no_socket_can_be(tmp_path: Path) -> None:
    arguments = ["-name", "gx-1", "-vnc", "127.0.0.1:3"]
    assert kvm.with_screen(arguments, f"{tmp_path}/none") == arguments
    long = ["-name", "a" * 108, "-vnc", "127.0.0.1:3"]
    assert kvm.with_screen(long, "/") == long
    odd = ["-name", "../gx-1", "-vnc", "127.0.0.1:3"]
    assert kvm.with_screen(odd, str(tmp_path)) == odd
    assert kvm.with_screen(["--help"], str(tmp_path)) == ["--help"]


def test_the_serial_port_stays_where_it_was_and_is_written_down() -> None:
    assert kvmargs.logged(START, "/logs/a,b.log") == [
        *("-name", "gx-1", "-m", "128"),
        "-chardev",
        "socket,id=serial0,path=/run/x.serial,server=on,wait=off,logfile=/logs/a,,b.log,logappend=on",
        *("-serial", "chardev:serial0", "-daemonize"),
    ]


def test_options_of_a_newer_ganeti_are_kept() -> None:
    made = kvmargs.logged(["-serial", "unix:/s,server=on,wait=off"], "/l")
    assert made[1] == "socket,id=serial0,path=/s,server=on,wait=off,logfile=/l,logappend=on"


def test_a_log_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    assert f"logfile={tmp_path}/gx-1.log," in " ".join(kvm.with_log(START, str(tmp_path)))
    assert (tmp_path / "gx-1.log").stat().st_mode & 0o777 == 0o600


def test_a_guest_that_starts_again_goes_on_in_its_log(tmp_path: Path) -> None:
    (tmp_path / "gx-1.log").write_text("before")
    kvm.with_log(START, str(tmp_path))
    assert (tmp_path / "gx-1.log").read_text() == "before"


def test_a_guest_that_comes_back_starts_a_new_log(tmp_path: Path) -> None:
    for ending in ("log", "old"):
        (tmp_path / f"gx-1.{ending}").write_text("of last week")
    kvm.with_log([*START, "-incoming", "tcp:10.0.0.1:8102"], str(tmp_path))
    assert (tmp_path / "gx-1.log").read_text() == ""
    assert not (tmp_path / "gx-1.old").exists()


@pytest.mark.parametrize("name", ["../gx-1", "a/b", ".x", "", "a b"])
def test_a_name_that_is_no_hosts_gets_no_log(tmp_path: Path, name: str) -> None:
    odd = ["-name", name, *START[2:]]
    assert kvm.with_log(odd, str(tmp_path)) == odd
    assert list(tmp_path.iterdir()) == []


def test_without_the_daemons_directory_nothing_is_changed(tmp_path: Path) -> None:
    assert kvm.with_log(START, f"{tmp_path}/none") == START


def test_a_link_in_the_logs_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "gx-1.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        kvm.with_log(START, str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("conf", ["[console]\nlogs = {logs}\n", "[console]\nlogs = {logs}\nlog_size = many\n"])
def test_qemu_is_started_whatever_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], conf: str
) -> None:
    (tmp_path / "gx-1.log").mkdir()  # no file can be made there
    path = tmp_path / "console.conf"
    path.write_text(conf.format(logs=tmp_path) + "[kvm]\npath = /bin/qemu\n")
    ran: list[tuple[str, list[str]]] = []

    def execv(program: str, argv: list[str]) -> None:
        ran.append((program, argv))
        raise SystemExit(0)

    monkeypatch.setattr("os.execv", execv)
    monkeypatch.setattr(sys, "argv", ["ganeti-ext-kvm", *START])
    with pytest.raises(SystemExit):
        kvm.main(str(path))
    assert [argv[1:] for _, argv in ran] == [START]
    assert "no log of the serial port: " in capsys.readouterr().err


def test_a_qemu_that_lacks_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "console.conf"
    path.write_text(f"[kvm]\npath = {tmp_path}/none\n")
    monkeypatch.setattr(sys, "argv", ["ganeti-ext-kvm", "--help"])
    with pytest.raises(SystemExit) as ended:
        kvm.main(str(path))
    assert ended.value.code == 127
    assert f"{tmp_path}/none: No such file" in capsys.readouterr().err
