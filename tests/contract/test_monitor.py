"""The real exporter, events and health commands beside a real consumer, with a remote API that plays Ganeti."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext import event
from ganeti_ext.outbox import Outbox
from tests.unit.frontend import remote

ROOT = Path(os.environ.get("GANETI_EXT_ROOT", Path(__file__).parents[2]))
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")


class Site:
    """One machine: the consumer with its outbox, and Ganeti, whose jobs an eventd of ours would tell of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hears = True
        self.tags: list[str] = []
        self.answers: dict[str, Any] = {
            "instances": [], "networks": [], "groups": [], "tags": self._tag, "jobs/17": {"status": "success"},
        }  # fmt: skip
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        sockets = "nfdhcpd =\nreaper =\nconsoled =\n"
        for name in ("eventd", "consumer", "api"):
            sockets += f"{name} = {folder}/{'control' if name == 'consumer' else name}\n"
        (folder / "exporter.conf").write_text(f"[exporter]\nlisten = 127.0.0.1:{self.port}\n[sockets]\n{sockets}")

    def run(self, program: str, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._argv(program, *argv), env=ENV, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
            check=False,
        )  # fmt: skip

    @contextlib.contextmanager
    def daemon(self, program: str, *argv: str) -> Iterator[subprocess.Popen[str]]:
        """It, once it said READY; it must end well by SIGTERM."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, (self.folder / "log").open("a") as log:
            address = str(self.folder / f"notify.{time.monotonic_ns()}")
            notify.bind(address)
            notify.settimeout(20)
            process = subprocess.Popen(
                self._argv(program, *argv), env={**ENV, "NOTIFY_SOCKET": address}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
            try:
                assert notify.recv(64) == b"READY=1", (self.folder / "log").read_text()
                yield process
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 0
            finally:
                process.kill()
                process.wait()

    def scrape(self) -> dict[tuple[Any, ...], float]:
        parser: Any = pytest.importorskip("prometheus_client.parser")
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as reply:
            families = parser.text_string_to_metric_families(reply.read().decode())
        return {
            (sample.name.removeprefix("ganeti_ext_"), *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    def tell(self, key: str, body: str) -> None:
        """Put a message, from any thread."""
        with contextlib.closing(Outbox(str(self.folder / "outbox.db"))) as outbox:
            outbox.put([(key, body)])

    def _argv(self, program: str, *argv: str) -> list[str]:
        part = "monitor" if program in ("ganeti-ext-events", "ganeti-ext-exporter") else "frontend"
        config = "exporter.conf" if part == "monitor" else "frontend.conf"
        where = ["--config", str(self.folder / config)]
        begin = [sys.executable, "-I", str(ROOT / part / program)]
        return [*begin, *argv, *where] if program == "ganeti-ext-events" else [*begin, *where, *argv]

    def _tag(self, query: dict[str, list[str]]) -> int:
        """A dry run of setting a tag, whose job eventd tells of."""
        if query["dry-run"] != ["1"]:
            self.tags += query["tag"]
        if self.hears:
            ident = query["tag"][0].removeprefix(event.HEARTBEAT_TAG)
            message = {
                "type": event.HEARTBEAT, "version": 1, "event_time": [int(time.time()), 0], "cluster": "c", "jobId": 17,
                "op_index": 0, "operation": "OP_TAGS_SET", "status": "success", "order": [1, 0, 17, 0, 4],
                "probe": ident, "result": None, "logmsg": None, "job_fields": {"dry_run": True},
            }  # fmt: skip
            self.tell(event.routing_key(message), event.encode(message))
        return 17


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    with remote.serving(tmp_path, found.answers) as url:
        remote.configure(tmp_path, url)
        yield found


def test_a_probe_goes_all_the_way_and_everybody_sees_it(site: Site) -> None:
    with site.daemon("ganeti-ext-consumer"), site.daemon("ganeti-ext-exporter"):
        before = site.scrape()
        assert before[("up", "consumer")] == 1
        assert (before[("up", "eventd")], before[("up", "api")]) == (0, 0)
        done = site.run("ganeti-ext-manage", "health", "--probe", "--json")
        told = json.loads(done.stdout)
        assert told["parts"]["probe"]["ok"], done.stdout
        assert told["parts"]["probe"]["took"] < 10
        assert told["parts"]["consumer"]["ok"]
        assert site.tags == []
        after = site.scrape()
        assert after[("consumer_messages_total", "applied", event.HEARTBEAT)] == 1
        assert after[("consumer_probe_duration_seconds",)] < 10
        assert after[("consumer_last_event_timestamp_seconds",)] > time.time() - 60
        shown = site.run("ganeti-ext-events", "status")
        assert "consumer 0.1.0, running for" in shown.stdout
        assert "applied 1 messages" in shown.stdout
        assert (shown.returncode, "is ganeti-ext-eventd running?" in shown.stderr) == (69, True)
    assert "Traceback" not in (site.folder / "log").read_text()


def test_events_are_told_as_they_are_applied(site: Site) -> None:
    with site.daemon("ganeti-ext-consumer"):
        argv = site._argv("ganeti-ext-events", "tail", "--consumer", "--since", "10m")
        with subprocess.Popen(
            argv, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as tail:
            assert tail.stdout is not None
            assert tail.stderr is not None
            assert tail.stderr.readline() == "watching what is applied; Ctrl-C ends it\n"
            site.tell("key", "garbage")
            assert tail.stdout.readline() == "a message - could not be understood\n"
            site._tag({"tag": [f"{event.HEARTBEAT_TAG}x"], "dry-run": ["1"]})
            assert "heartbeat x (job 17)" in tail.stdout.readline()
            tail.send_signal(signal.SIGINT)
            assert tail.wait(10) == 0
            assert tail.stderr.read() == ""


def test_health_says_which_leg_failed_and_fails(site: Site) -> None:
    site.hears = False
    with site.daemon("ganeti-ext-consumer"):
        done = site.run("ganeti-ext-manage", "health", "--probe")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("probe")]
    assert "BAD" in line
    assert "job 17 of the probe ended (success), but its message did not come within 10 s: see eventd" in line


def test_health_without_a_consumer(site: Site) -> None:
    with site.daemon("ganeti-ext-consumer"):
        pass
    (site.folder / "outbox.db").unlink()
    done = site.run("ganeti-ext-manage", "health", "--json")
    assert json.loads(done.stdout)["parts"]["consumer"]["ok"]
    site.answers.clear()
    refused = site.run("ganeti-ext-manage", "health", "--probe")
    assert refused.returncode == 1


def test_an_exporter_that_cannot_listen(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", site.port))
        taken.listen()
        done = site.run("ganeti-ext-exporter")
    assert done.returncode == 1
    assert f"ganeti-ext-exporter: 127.0.0.1:{site.port}: " in done.stderr


def test_metrics_once(site: Site) -> None:
    done = site.run("ganeti-ext-exporter", "--once")
    assert done.returncode == 0
    assert 'ganeti_ext_up{daemon="consumer"} 0\n' in done.stdout


@pytest.mark.parametrize("program", ["ganeti-ext-events", "ganeti-ext-exporter"])
def test_help_and_a_wrong_configuration(site: Site, program: str) -> None:
    asked = ["status", "--help"] if program == "ganeti-ext-events" else ["--help"]
    assert "exporter.conf" in site.run(program, *asked).stdout
    (site.folder / "exporter.conf").write_text("[exporter]\nlissen = x\n")
    done = site.run(program, *asked[:-1])
    assert done.returncode == 3
    assert "unknown key 'lissen'" in done.stderr
