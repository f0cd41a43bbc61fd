"""The real ganeti-ext-eventd measures a real process and a real interface, with the rights that its unit gives it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.eventd_node import OWN_NAME, ROOT, Front, Node
from tests.contract.network_namespace import inside

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces take root")

NAME = "gx-7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11"
MIB = 1 << 20
# Uses a processor, memory and a disk, and says so; then waits. QEMU's command line has the name as this one.
GUEST = f"""
import os, sys, time
held = bytearray(os.urandom(64)) * ({64 * MIB} // 64)
while time.process_time() < 0.5:
    pass
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.write(file, held[:{8 * MIB}])
os.fsync(file)
print("done", flush=True)
sys.stdin.read()
"""
LINKS = """
ip link add tap0 type veth peer name guest0
sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip link set tap0 up && ip link set guest0 up
echo done
exec sleep infinity
"""
FRAME = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + b"\x88\xb5" + b"x" * 1000  # for all, of an experiment's protocol


class Guests:
    """A network namespace with a tap, and processes that Ganeti has written down."""

    def __init__(self, path: Path) -> None:
        self.run, self._disk = path / "kvm", path / "disk"
        for folder in ("pid", f"nic/{NAME}"):
            (self.run / folder).mkdir(parents=True)
        (self.run / f"nic/{NAME}/0").write_text("tap0")
        self._made: list[subprocess.Popen[str]] = []
        self.machine = self._popen(["unshare", "--net", "sh", "-c", LINKS])

    def start(self) -> subprocess.Popen[str]:
        """The instance, which has used all that it will use."""
        made = self._popen([sys.executable, "-c", GUEST, str(self._disk), "-name", NAME, "-m", "64"])
        (self.run / "pid" / NAME).write_text(f"{made.pid}\n")
        return made

    def send(self, count: int) -> None:
        """Frames from the guest, whose end of the link is `guest0`."""
        with inside(self.machine.pid), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
            link.bind(("guest0", 0))
            for _ in range(count):
                link.send(FRAME)

    def close(self) -> None:
        for process in self._made:
            process.kill()
            process.communicate()

    def _popen(self, argv: list[str]) -> subprocess.Popen[str]:
        made = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._made.append(made)
        assert made.stdout is not None
        assert made.stdout.readline() == "done\n"
        return made


@pytest.fixture
def guests(tmp_path: Path) -> Iterator[Guests]:
    made = Guests(tmp_path)
    yield made
    made.close()


@pytest.fixture
def node(tmp_path: Path, guests: Guests) -> Iterator[Node]:
    """With eventd in the namespace, and of its capabilities those that its unit has."""
    made = Node(tmp_path / "node")
    made.configure(sample_seconds="1", kvm_directory=str(guests.run))
    unit = (ROOT / "debian/ganeti-ext-eventd.ganeti-ext-eventd.service").read_text()
    (kept,) = re.findall(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    bound = ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in kept.split())])
    with inside(guests.machine.pid):
        made.start("setpriv", f"--bounding-set={bound}", "--inh-caps=-all")
    yield made
    made.close()


@pytest.fixture
def front(node: Node) -> Iterator[Front]:
    made = Front(node.outbox())
    yield made
    made.close()


def next_sample(front: Front, suits: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
    """The next one of the instance that suits."""
    front.taken.clear()

    def found() -> list[dict[str, Any]]:
        told = [each for message in front.taken for each in message["instances"]]
        return [each for each in told if each["instance"] == NAME and suits(each)]

    front.until(lambda: bool(found()), 30)
    return found()[0]


def test_a_guest_is_measured_from_its_start_to_its_end(node: Node, front: Front, guests: Guests) -> None:
    process = guests.start()
    first = next_sample(front)
    message = front.taken[-1]
    assert (message["type"], message["node"], message["cluster"]) == ("ganeti-samples", OWN_NAME, "cluster.example.org")
    assert 0.45e9 <= first["cpu_ns"] < 5e9  # the kernel tells whole ticks, of two sums
    assert 64 * 1024 <= first["memory_kib"] < 200 * 1024
    assert 8 * MIB <= first["written"] < 16 * MIB
    guests.send(100)
    later = next_sample(front, lambda each: each["nics"][0][6] >= 100)
    ((*counted, _),) = later["nics"]  # nobody here takes frames of that protocol: they are drops
    assert counted == ["tap0", 0, 0, 0, 0, 100 * len(FRAME), 100, 0]
    assert (later["began"], later["written"]) == (first["began"], first["written"])

    process.kill()
    process.communicate()
    again = guests.start()  # another process, whose counters are low once more
    restarted = next_sample(front, lambda each: each["began"] != first["began"])
    assert restarted["cpu_ns"] < 5e9
    again.kill()  # and nobody waits for it: it has a number still
    node.note("gx-after")
    front.until(lambda: any(told["type"] == "ganeti-net-status" for told in front.taken))
    assert "Traceback" not in node.log()
    assert "measured" not in node.log()
