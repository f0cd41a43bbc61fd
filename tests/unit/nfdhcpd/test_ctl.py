"""The command against a real control socket."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext import ask as ask_of
from ganeti_ext.control import Control
from ganeti_ext.service import Loop
from nfdhcpd import ctl, divert
from nfdhcpd.questions import Questions
from nfdhcpd.stats import Stats
from nfdhcpd.table import Table
from tests.unit.nfdhcpd.guest import BRIDGE, IP4, SETTINGS, TAP, binding

ROOT = Path(__file__).parents[3]


class Daemon:
    """A control socket that is served by a thread: tap0, and tap5 whose interface is missing."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.table = Table(SETTINGS, {"tap0": TAP, "br0": BRIDGE}.get)
        for tap in ("tap0", "tap5"):
            list(self.table.put(tap, binding(tap=tap)))
        self.stats = Stats()
        self.watchers: list[Any] = []
        self.loop = Loop()
        self.loop.every(0.01, lambda: None)
        self.control = Control(path, Questions(self, time.time).begin, self.loop)
        self._over = False
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def _turn(self) -> None:
        while not self._over:
            self.loop._turn()

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self.control.close()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    found = Daemon(str(tmp_path / "control"))
    yield found
    found.close()


Output = pytest.CaptureFixture[str]


def run(daemon: Daemon, *argv: str) -> int:
    return ctl.main([*argv, "--socket", daemon.path, "--config", "/none"])


def test_list(daemon: Daemon, capsys: Output) -> None:
    assert run(daemon, "list") == 0
    head, tap, waits = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["TAP", "INSTANCE"]
    assert tap.split()[:4] == ["tap0", "gx-web", "52:54:00:00:00:10", IP4]
    assert waits == "tap5: not served: the tap does not exist"


def test_list_in_json(daemon: Daemon, capsys: Output) -> None:
    assert run(daemon, "list", "--json") == 0
    assert [json.loads(line)["tap"] for line in capsys.readouterr().out.splitlines()] == ["tap0", "tap5"]


def test_show(daemon: Daemon, capsys: Output) -> None:
    daemon.stats.count(daemon.stats.of("tap0"), "DISCOVER", 0.00001)
    assert run(daemon, "show", "tap0") == 0
    out = capsys.readouterr().out
    assert out.startswith("tap0 (gx-web)\n")
    assert "DISCOVER 1" in out
    assert f"To a DHCP DISCOVER: OFFER {IP4}\n" in out
    assert "name servers:            9.9.9.9, 1.1.1.1\n" in out
    assert "prefix:                  fd00:77::/64, on this wire" in out


def test_show_in_json_has_the_words_too(daemon: Daemon, capsys: Output) -> None:
    assert run(daemon, "show", "tap0", "--json") == 0
    about, *answers = map(json.loads, capsys.readouterr().out.splitlines())
    assert about["tap"] == "tap0"
    assert ["address", IP4] in answers[0]["words"]


@pytest.mark.parametrize(
    ("verb", "tap", "why"),
    [
        ("show", "tap9", "there is no binding of a tap 'tap9'"),
        ("show", "tap5", "tap5 is not served: the tap does not exist"),
        ("test", "tap9", "there is no binding"),
        ("watch", "tap9", "there is no binding"),
    ],
)
def test_a_tap_that_is_not_there_is_a_failure(daemon: Daemon, verb: str, tap: str, why: str, capsys: Output) -> None:
    assert run(daemon, verb, tap) == 1
    assert f"nfdhcpdctl: {why}" in capsys.readouterr().err


def test_test_of_one_message(daemon: Daemon, capsys: Output) -> None:
    assert run(daemon, "test", "tap0", "--request") == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"To a DHCP REQUEST: ACK {IP4}"
    assert all(line.startswith("  ") for line in rest)


def test_test_of_all_messages(daemon: Daemon, capsys: Output) -> None:
    assert run(daemon, "test", "tap0", "--json") == 0
    asked = [json.loads(line)["ask"] for line in capsys.readouterr().out.splitlines()]
    assert asked == ["discover", "request", "rs", "solicit", "information"]


def test_no_answer_to_what_was_asked_for_by_name_is_a_failure(daemon: Daemon, capsys: Output) -> None:
    list(daemon.table.put("tap0", binding(ip=None, subnet=None, gateway=None)))
    assert run(daemon, "test", "tap0", "--rs", "--discover") == 1
    assert "To a DHCP DISCOVER: no answer: no IPv4 address to give" in capsys.readouterr().out
    assert run(daemon, "test", "tap0", "--rs") == 0


def test_metrics(daemon: Daemon, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(divert, "dropped", lambda _settings: {"tap0": 12})
    daemon.stats.count(daemon.stats.of("tap0"), "RS", 0.00001)
    assert run(daemon, "metrics") == 0
    out = capsys.readouterr().out
    assert 'nfdhcpd_requests_total{tap="tap0",instance="gx-web",type="RS"} 1\n' in out
    assert 'nfdhcpd_limited_total{tap="tap0",instance="gx-web"} 12\n' in out
    parser = pytest.importorskip("prometheus_client.parser")
    assert {family.name for family in parser.text_string_to_metric_families(out)} >= {"nfdhcpd_up", "nfdhcpd_requests"}


class Command:
    """The executable, which runs until it is told to end."""

    def __init__(self, *argv: str) -> None:
        program = [sys.executable, "-c", "import sys; from nfdhcpd.ctl import main; sys.exit(main())", *argv]
        self.process = subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out, self.err = self.process.stdout, self.process.stderr

    def ends(self, *, by: int | None = None) -> int:
        if by is not None:
            self.process.send_signal(by)
        code = self.process.wait(10)
        self.out.close()
        self.err.close()
        return code


def test_watch_until_ctrl_c(daemon: Daemon) -> None:
    watch = Command("watch", "--socket", daemon.path)
    assert watch.err.readline() == "watching all taps; Ctrl-C ends it\n"
    daemon.watchers[0]("tap0", "gx-web", "DISCOVER", f"OFFER {IP4}", 0.0000855)
    assert watch.out.readline().endswith(f" tap0 (gx-web): DISCOVER: OFFER {IP4} (85.5 us)\n")
    assert watch.ends(by=signal.SIGINT) == 0


def test_watch_of_one_tap_in_json(daemon: Daemon) -> None:
    watch = Command("watch", "tap0", "--json", "--socket", daemon.path)
    assert watch.err.readline() == "watching tap0; Ctrl-C ends it\n"
    for tap in ("tap5", "tap0"):
        daemon.watchers[0](tap, "gx-web", "RS", "RA", 0)
    assert json.loads(watch.out.readline())["tap"] == "tap0"
    assert watch.ends(by=signal.SIGINT) == 0


def test_a_reader_that_has_seen_enough_is_no_failure(daemon: Daemon) -> None:
    listing = Command("watch", "--socket", daemon.path)
    listing.err.readline()
    listing.out.close()
    daemon.watchers[0]("tap0", "gx-web", "RS", "RA", 0)
    assert listing.process.wait(10) == 0
    assert listing.err.read() == ""
    listing.err.close()


def test_a_daemon_that_goes_away(daemon: Daemon) -> None:
    watch = Command("watch", "--socket", daemon.path)
    watch.err.readline()
    daemon.close()
    assert watch.process.wait(10) == 69
    assert "nfdhcpd went away" in watch.err.read()
    watch.out.close()
    watch.err.close()


def test_no_daemon(tmp_path: Path, capsys: Output) -> None:
    assert ctl.main(["list", "--socket", str(tmp_path / "none")]) == 69
    assert "is nfdhcpd running? systemctl start nfdhcpd" in capsys.readouterr().err


def test_a_daemon_that_does_not_answer(tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_of, "PATIENCE", 0.05)
    monkeypatch.setattr(ctl.ask, "__defaults__", (0.05,))
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "control"))
        deaf.listen()
        assert ctl.main(["list", "--socket", str(tmp_path / "control")]) == 69
    assert "has not answered for 0.05 s" in capsys.readouterr().err


def test_who_may_not_ask_is_told_who_may(daemon: Daemon, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(_self: socket.socket, _path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert run(daemon, "list") == 1
    assert "be root, or a member of the group nfdhcpd" in capsys.readouterr().err


def test_the_socket_is_where_the_configuration_says(daemon: Daemon, tmp_path: Path, capsys: Output) -> None:
    config = tmp_path / "nfdhcpd.conf"
    config.write_text(f"[general]\ncontrol = {daemon.path}\n")
    assert ctl.main(["list", "--config", str(config)]) == 0
    config.write_text("[general]\ncontrol\n")
    assert ctl.main(["list", "--config", str(config)]) == 69
    assert "/run/nfdhcpd/control" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["stop"], ["show"], ["test", "tap0", "--release"], ["metrics", "--json"]])
def test_usage(argv: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(argv)
    assert ended.value.code == 2
    assert "usage: nfdhcpdctl" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [*ctl.VERBS, ""])
def test_help(verb: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main([verb, "--help"] if verb else ["--help"])
    assert ended.value.code == 0
    assert verb in capsys.readouterr().out
