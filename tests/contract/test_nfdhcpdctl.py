"""The real nfdhcpdctl and the real daemon, with a guest behind a tap, on a node's own Debian."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext import binding
from lab import base, layer

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: namespaces"),
]

PATIENCE = 20.0
CONFIG = "/etc/ganeti-ext/nfdhcpd.conf"
MAC = "52:54:00:00:00:10"
NOBODY, STRANGER = 65534, 65533
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
# The guest sends the message of a typical client, and prints the reply.
GUEST = f"""
import socket, sys
sys.path.insert(0, {layer.HERE!r})
from types import SimpleNamespace
from nfdhcpd import probe
mac = bytes.fromhex("{MAC.replace(":", "")}")
_, make = probe.PROBES[sys.argv[1]]
client = SimpleNamespace(mac=mac, lease=None, options=(), six=None)
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.settimeout({PATIENCE})
wire.bind(("guest0", 0))
sent = mac if sys.argv[2] == "own" else mac[:5] + b"\\xff"
wire.send(b"\\xff" * 6 + sent + b"\\x08\\0" + make(client))
while sys.argv[2] == "own":
    frame, (_, _, kind, *_) = wire.recvfrom(2000)
    if kind != socket.PACKET_OUTGOING and frame[12:14] == b"\\x08\\0":
        print(frame.hex())
        break
"""


class Node:
    """A root and a network namespace, the daemon in both as its unit runs it, and tap0 whose other end is guest0."""

    def __init__(self, root: Path, space: str) -> None:
        self.root = root
        self._space = space
        self.daemon: subprocess.Popen[bytes] | None = None

    def command(self, *argv: str, user: int = 0) -> list[str]:
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"] if user else []
        return ["ip", "netns", "exec", self._space, "chroot", str(self.root), *become, *argv]

    def run(self, *argv: str, user: int = 0, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*argv, user=user),
            env=ENV,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def ctl(self, *argv: str, user: int = 0, code: int = 0) -> str:
        """What nfdhcpdctl prints, on stderr when it is to fail."""
        done = self.run(f"{layer.HERE}/nfdhcpd/nfdhcpdctl", *argv, user=user, code=code)
        return done.stderr if code else done.stdout

    def asks(self, message: str, source: str = "own") -> str:
        """The guest asks; the reply in hex, which it does not wait for when its frame comes from a "foreign" MAC."""
        return self.run("/usr/bin/python3", "-c", GUEST, message, source).stdout.strip()

    def start(self) -> None:
        capabilities = [f"--{kind}=-all,+net_admin,+net_raw" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
        unit = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", *capabilities]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(self.root / "run/notify"))
            (self.root / "run/notify").chmod(0o777)
            ready.settimeout(PATIENCE)
            self.daemon = subprocess.Popen(
                self.command("setpriv", *unit, f"{layer.HERE}/nfdhcpd/nfdhcpd", "--config", CONFIG),
                env={**ENV, "NOTIFY_SOCKET": "/run/notify"},
                stdin=subprocess.DEVNULL,
            )
            assert ready.recv(100) == b"READY=1"
            assert ready.recv(100) == b"STATUS=1 taps served, 1 bindings not"

    def stop(self) -> None:
        if self.daemon is not None:
            self.daemon.send_signal(signal.SIGTERM)
            assert self.daemon.wait(PATIENCE) == 0
            self.daemon = None


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    space = f"gx-ctl-{os.getpid()}"
    with contextlib.ExitStack() as undo:
        root = undo.enter_context(layer.mounted(base.root(), tmp_path_factory.mktemp("node") / "place"))
        subprocess.run(["ip", "netns", "add", space], check=True)
        undo.callback(subprocess.run, ["ip", "netns", "delete", space], check=True)
        # What the guest says is the test's alone: its kernel would solicit a router.
        quiet = ["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]
        subprocess.run(["ip", "netns", "exec", space, *quiet], check=True)
        for line in (
            "link set lo up",
            f"link add tap0 type veth peer name guest0 address {MAC}",
            "link set guest0 up",
            "link set tap0 up",
        ):
            subprocess.run(["ip", "-n", space, *line.split()], check=True)
        found = Node(root, space)
        (root / "run/nfdhcpd").mkdir()
        (root / "run/nfdhcpd").chmod(0o750)
        os.chown(root / "run/nfdhcpd", NOBODY, NOBODY)
        (root / CONFIG[1:]).parent.mkdir(exist_ok=True)
        (root / CONFIG[1:]).write_text("[general]\nbridged = no\n[guests]\nnameservers = 192.0.2.53\n")
        bindings = root / binding.DIRECTORY[1:]
        bindings.mkdir()
        bound = binding.Binding("tap0", MAC, "web.example", "web", ip="192.0.2.10", subnet="192.0.2.0/24")
        bound = bound._replace(gateway="192.0.2.1", subnet6="2001:db8:1::/64", gateway6="fe80::1")
        binding.write(bound, str(bindings))
        binding.write(bound._replace(tap="tap1"), str(bindings))
        found.run(f"{layer.HERE}/nfdhcpd/nfdhcpd", "--config", CONFIG, "--divert")
        undo.callback(found.stop)
        found.start()
        yield found


def words(frame: str) -> dict[str, str]:
    """A reply in plain words."""
    from nfdhcpd.describe import describe  # noqa: PLC0415

    return dict(describe(bytes.fromhex(frame)))


def test_list(node: Node) -> None:
    _, tap, waits = node.ctl("list").splitlines()
    assert tap.split()[:4] == ["tap0", "web", MAC, "192.0.2.10"]
    assert waits == "tap1: not served: the tap does not exist"


def test_what_the_guest_is_told_is_what_test_says(node: Node) -> None:
    (record,) = map(json.loads, node.ctl("test", "tap0", "--discover", "--json").splitlines())
    assert words(node.asks("discover")) == dict(record["words"])
    assert dict(record["words"])["name servers"] == "192.0.2.53"


def test_test_sends_nothing_and_counts_nothing(node: Node) -> None:
    before = node.ctl("list", "--json")
    assert "To a DHCP REQUEST: ACK 192.0.2.10\n" in node.ctl("test", "tap0")
    assert node.ctl("list", "--json") == before


def test_show_tells_what_was_asked_and_what_is_told(node: Node) -> None:
    node.asks("discover")
    shown = node.ctl("show", "tap0")
    assert shown.startswith("tap0 (web)\n")
    assert re.search(r"answered: +DISCOVER \d+", shown)
    assert "To a router solicitation: RA" in shown
    assert "2001:db8:1::/64" in shown


def test_watch_tells_transactions_as_they_happen(node: Node) -> None:
    argv = node.command(f"{layer.HERE}/nfdhcpd/nfdhcpdctl", "watch", "tap0")
    watch = subprocess.Popen(argv, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watch.stdout is not None
    assert watch.stderr is not None
    with watch.stdout, watch.stderr:
        assert watch.stderr.readline() == "watching tap0; Ctrl-C ends it\n"
        node.asks("discover")
        told = r"\d\d:\d\d:\d\d\.\d{3} tap0 \(web\): DISCOVER: OFFER 192\.0\.2\.10 \([\d.]+ us\)\n"
        assert re.fullmatch(told, watch.stdout.readline())
        node.asks("discover", "foreign")
        assert "tap0 (web): " in (line := watch.stdout.readline())
        assert "no answer: spoofed" in line
        watch.send_signal(signal.SIGINT)
        assert watch.wait(PATIENCE) == 0


def test_metrics_of_the_daemon_and_of_the_kernel(node: Node) -> None:
    parser: Any = pytest.importorskip("prometheus_client.parser")

    def metrics() -> dict[tuple[str, ...], float]:
        families = parser.text_string_to_metric_families(node.ctl("metrics"))
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
        }

    node.asks("discover")
    before = metrics()
    node.asks("discover")
    after = metrics()
    answered = ("nfdhcpd_requests_total", "DISCOVER", "tap0", "web")
    assert after[answered] == before[answered] + 1
    assert after[("nfdhcpd_handling_seconds_count",)] == before[("nfdhcpd_handling_seconds_count",)] + 1
    assert after[("nfdhcpd_queue_dropped_total", "42", "full")] == 0
    assert after[("nfdhcpd_queue_waiting", "43")] == 0
    assert after[("nfdhcpd_bindings", "served")] == after[("nfdhcpd_bindings", "not_served")] == 1


def test_the_daemons_group_may_ask_and_others_may_not(node: Node) -> None:
    assert "tap0" in node.ctl("list", user=NOBODY)
    assert "be root, or a member of the group nfdhcpd" in node.ctl("list", user=STRANGER, code=1)


def test_the_kernels_counts_are_roots(node: Node) -> None:
    assert "nfdhcpd_queue" not in node.ctl("metrics", user=NOBODY)


def test_garbage_on_the_socket_harms_no_guest(node: Node) -> None:
    flood = 'exec("import socket\\nfor _ in range(200):\\n s = socket.socket(socket.AF_UNIX)\\n'
    flood += " s.connect('/run/nfdhcpd/control'); s.send(b'[' * 3000 + bytes(9) + b'\\\\n')\")"
    node.run("/usr/bin/python3", "-c", flood)
    assert words(node.asks("discover"))["address"] == "192.0.2.10"


def export(node: Node, user: int = 0) -> list[str]:
    """What the exporter of all daemons tells of this node."""
    return node.run(f"{layer.HERE}/monitor/ganeti-ext-exporter", "--once", user=user).stdout.splitlines()


def test_the_exporter_tells_the_same_and_the_kernels_counts(node: Node) -> None:
    lines = export(node)
    assert 'ganeti_ext_up{daemon="nfdhcpd"} 1' in lines
    assert "nfdhcpd_up 1" in lines
    assert 'nfdhcpd_queue_waiting{queue="43"} 0' in lines
    # What is of no daemon that runs here, and what only the command may see.
    own = [line for line in lines if "ganeti_ext" not in line and "nfdhcpd_handling" not in line]
    assert set(own) == {
        line
        for line in node.ctl("metrics").splitlines()
        if "ganeti_ext" not in line and "nfdhcpd_handling" not in line and "nfdhcpd_limited" not in line
    }
    assert not [line for line in export(node, user=NOBODY) if line.startswith("nfdhcpd_queue")]


def test_without_a_daemon_it_says_how_to_start_one(node: Node) -> None:
    node.stop()
    try:
        assert "is nfdhcpd running? systemctl start nfdhcpd" in node.ctl("list", code=69)
        assert {"nfdhcpd_up 0", 'ganeti_ext_up{daemon="nfdhcpd"} 0'} <= set(export(node))
    finally:
        (node.root / "run/notify").unlink()
        node.start()
    assert "tap0" in node.ctl("list")
