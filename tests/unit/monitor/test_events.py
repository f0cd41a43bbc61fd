"""The command against a real control socket, and a broker's queue of its own."""

from __future__ import annotations

import argparse
import functools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext import event
from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.question import Questions
from ganeti_ext.tail import Tail
from monitor import daemon, events
from tests.unit.monitor.sockets import Turning, serving

ROOT = Path(__file__).parents[3]
Output = pytest.CaptureFixture[str]
STARTED = {
    "type": event.OP_STATUS, "event_time": [1700000002, 0], "began": [1700000000, 0], "jobId": 17, "op_index": 0,
    "operation": "OP_INSTANCE_STARTUP", "status": "success", "instance": "web", "reason": [["gnt:library:rlib2", ""]],
}  # fmt: skip


class Eventd:
    def __init__(self) -> None:
        self.role = {"node": "n1", "is_master": True, "master": "n1"}
        self.tail = Tail(time.time, lambda: self.role)
        self.questions = Questions("eventd", self._status, list, {"tail": self.tail.watch})

    def _status(self) -> Any:
        spool = {"waiting": 0, "limit": 9, "bytes": 1, "oldest": None, "complaints": 0, "lost": 0}
        return {**self.role, **spool, "told": 1, "last_event": None, "brokers": 0, "broker": "", "last_published": None}


@pytest.fixture
def eventd() -> Eventd:
    return Eventd()


@pytest.fixture
def socket_(tmp_path: Path, eventd: Eventd) -> Iterator[Turning]:
    with serving(str(tmp_path / "eventd"), eventd.questions.begin) as found:
        yield found


class Command:
    """The real executable, in a bare environment."""

    def __init__(self, *argv: str, **env: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(ROOT / "monitor/ganeti-ext-events"), *argv],
            env={"PATH": "/usr/bin:/bin", "TZ": "UTC", "PYTHONUNBUFFERED": "1", **env},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out, self.err = self.process.stdout, self.process.stderr

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.out.close()
        self.err.close()


def test_tail_tells_what_happens_until_ctrl_c(socket_: Turning, eventd: Eventd) -> None:
    with Command("tail", "--socket", socket_.path) as command:
        assert command.err.readline() == "watching n1; Ctrl-C ends it\n"
        socket_.call(lambda: eventd.tail(STARTED))
        assert command.out.readline() == "22:13:22.000 web: start done in 2.0 s (job 17, by the remote API)\n"
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(10) == 0
        assert (command.out.read(), command.err.read()) == ("", "")


def test_tail_in_json_of_one_instance_since_a_while(socket_: Turning, eventd: Eventd) -> None:
    for name in ("db", "web"):
        socket_.call(functools.partial(eventd.tail, {**STARTED, "instance": name}))
    with Command("tail", "--json", "--instance=web", "--since=10m", "--socket", socket_.path) as command:
        assert json.loads(command.out.readline())["instance"] == "web"


def test_a_reader_who_has_seen_enough(socket_: Turning, eventd: Eventd) -> None:
    with Command("tail", "--socket", socket_.path) as command:
        command.err.readline()
        command.out.close()
        socket_.call(lambda: eventd.tail(STARTED))
        assert command.process.wait(10) == 0
        assert command.err.read() == ""


def test_on_another_node_it_says_where_the_master_is(socket_: Turning, eventd: Eventd) -> None:
    eventd.role.update(is_master=False, master="n2")
    with Command("tail", "--socket", socket_.path) as command:
        said = "n1 is not the master: jobs are told on the master: ssh n2 ganeti-ext-events tail"
        assert command.err.readline().startswith(said)


def test_without_eventd_it_says_what_to_do(tmp_path: Path, capsys: Output) -> None:
    assert events.main(["tail", "--socket", str(tmp_path / "none"), "--config", "/none"]) == 69
    said = capsys.readouterr().err
    assert "is ganeti-ext-eventd running? systemctl start ganeti-ext-eventd" in said
    assert "tail --broker" in said


def test_a_daemon_that_goes_away(tmp_path: Path, eventd: Eventd) -> None:
    with serving(str(tmp_path / "eventd"), eventd.questions.begin) as socket_:
        command = Command("tail", "--socket", socket_.path)
        command.err.readline()
    with command:
        assert command.process.wait(10) == 69
        assert "ganeti-ext-eventd went away" in command.err.read()


def test_status(tmp_path: Path, socket_: Turning, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "exporter.conf"
    config.write_text(f"[sockets]\nnfdhcpd =\nreaper =\nconsoled =\nconsumer =\napi =\neventd = {socket_.path}\n")
    assert events.main(["status", "--config", str(config)]) == 0
    assert "n1 is the master: its jobs are told" in capsys.readouterr().out
    assert events.main(["status", "--json", "--config", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["daemon"] == "eventd"
    config.write_text(config.read_text().replace("reaper =", f"reaper = {tmp_path}/none"))
    assert events.main(["status", "--config", str(config)]) == 69
    out = capsys.readouterr()
    assert "n1 is the master" in out.out
    assert "is ganeti-ext-reaper running?" in out.err


def test_the_daemon_to_ask_is_this_nodes_eventd_where_there_is_one(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "exporter.conf"
    config.write_text(f"[sockets]\neventd = {tmp_path}/eventd\nconsumer = {tmp_path}/consumer\n")
    assert events.main(["tail", "--config", str(config)]) == 69
    assert f"{tmp_path}/eventd: " in capsys.readouterr().err
    assert events.main(["tail", "--consumer", "--config", str(config)]) == 69
    assert f"{tmp_path}/consumer: " in capsys.readouterr().err
    monkeypatch.setattr(daemon, "here", lambda *_: [])  # a front without eventd
    assert events.main(["tail", "--since", "10m", "--config", str(config)]) == 1
    assert "has only what comes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "ago"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400), ("22:00", 802), ("22:13:20", 2)]
)
def test_since(text: str, ago: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert events.moment(text, 1700000002.0) == 1700000002 - ago
    assert events.moment("2023-11-14 22:13:22", 5e9) == events.moment("2023-11-14T22:13:22", 0) == 1700000002


@pytest.mark.parametrize("text", ["", "soon", "10", "25:00", "10w"])
def test_since_when(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is neither 10m"):
        events.moment(text, 1700000000.0)


@pytest.mark.parametrize("argv", [[], ["stop"], ["tail", "--consumer", "--broker"], ["status", "--since=1m"]])
def test_usage(argv: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        events.main(argv)
    assert ended.value.code == 2
    assert "usage: ganeti-ext-events" in capsys.readouterr().err


class TestBroker:
    """Addresses; tests/contract/test_events.py has a real one."""

    @pytest.fixture(autouse=True)
    def library(self) -> Any:
        pytest.importorskip("kombu")
        from monitor import broker  # noqa: PLC0415

        self.broker: Any = broker

    def test_a_password_on_the_command_line_is_refused_and_not_repeated(self) -> None:
        with pytest.raises(ConfigError, match="--password-file") as raised:
            self.broker.address("amqp://u:Passw0rd@host/v", "", {})
        assert "Passw0rd" not in str(raised.value)

    def test_a_password_from_a_file_or_the_environment(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("p@ss/w\n")
        asked: Any = ("amqps://u@host:5671/%2Fv", str(tmp_path / "password"), {})
        assert self.broker.address(*asked) == ["amqps://u:p%40ss%2Fw@host:5671/%2Fv"]
        env = {self.broker.PASSWORD: "x"}
        assert self.broker.address("amqp://u@[::1]/v", "", env) == ["amqp://u:x@[::1]/v"]
        with pytest.raises(ConfigError, match="No such file"):
            self.broker.address("amqp://u@host/v", str(tmp_path / "none"), {})

    def test_the_configured_one(self, tmp_path: Path) -> None:
        front, own = tmp_path / "frontend.conf", tmp_path / "eventd.conf"
        front.write_text("[broker]\nurl = outbox:/x\n")
        own.write_text("[eventd]\nbroker = amqp://u:p@a/v, amqps://u:p@b/v\n")
        configs = ((str(front), "broker", "url"), (str(own), "eventd", "broker"))
        assert self.broker.address("", "", {}, configs) == ["amqp://u:p@a/v", "amqps://u:p@b/v"]
        with pytest.raises(ConfigError, match="no broker is configured here"):
            self.broker.address("", "", {}, configs[:1])

    @pytest.mark.parametrize("url", ["http://x", "amqp:///v", "amqp://u@[::1/v", "amqp://h:x/"])
    def test_what_is_no_address(self, url: str) -> None:
        with pytest.raises(ConfigError, match="is not amqp"):
            self.broker.address(url, "", {})

    def test_no_broker_answers(self, unused_tcp_port: int) -> None:
        with pytest.raises(ExtError, match=f"amqp://127.0.0.1:{unused_tcp_port}/: ") as raised:
            list(self.broker.listen([f"amqp://u:Passw0rd@127.0.0.1:{unused_tcp_port}/"], None))
        assert "Passw0rd" not in str(raised.value)
        assert raised.value.exit_code == 69


@pytest.fixture
def unused_tcp_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
