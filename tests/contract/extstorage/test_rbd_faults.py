"""Kills, dead clients, two nodes, a Ceph that stops: what is left is found and mended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ceph import POOL
from tests.contract.extstorage.rbd_node import NEEDS, VERBS, Node, cluster, node, nodes

pytestmark = NEEDS
__all__ = ["cluster", "node", "nodes"]
STEPS = Path(__file__).parent / "rbd_steps.py"
ENV = {
    "VOL_SIZE": "8",
    "VOL_NEW_SIZE": "12",
    "VOL_SNAPSHOT_NAME": "s",
    "VOL_METADATA": "text",
    "VOL_OPEN_EXCLUSIVE": "True",
}
# What is there when a verb is killed; `create` is of a clone, which has most steps.
BEFORE = {
    "create": (),
    "snapshot": ("create",),
    "grow": ("create",),
    "setinfo": ("create",),
    "open": ("create",),
    "close": ("create", "open"),
    "detach": ("create", "open"),
    "remove": ("create", "snapshot", "close"),
}
ALONE = {"VOL_OPEN_EXCLUSIVE": "True"}
TOGETHER = {"VOL_OPEN_EXCLUSIVE": "False"}


@pytest.fixture
def quick_to_forget(node: Node) -> Iterator[None]:
    """Ceph waits a second for the locks of a call that was killed, not thirty."""
    command = ("ceph", "tell", "osd.0", "config", "set", "osd_client_watch_timeout")
    node.ceph.run(*command, "1")
    yield
    node.ceph.run(*command, "30")


def steps(node: Node, when: str, number: int, verb: str) -> subprocess.CompletedProcess[str]:
    env = node.env("v", **ENV, EXTP_ORIGIN="volume:o")
    return subprocess.run(
        node.ceph.enter("/usr/bin/python3", "/tmp/steps.py", when, str(number), verb, env=env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def prepare(node: Node, verb: str) -> None:
    for earlier in BEFORE[verb]:
        node.ok(earlier, EXTP_ORIGIN="volume:o", **ENV)


def found(node: Node) -> list[tuple[str, str, str]]:
    return [tuple(leak) for leak in node.admin("[tuple(leak) for leak in a.leaks(s)]")]


def clear(node: Node) -> None:
    for name in ("v", "s"):
        for verb in ("detach", "remove"):
            node.ok(verb, name)


@pytest.mark.parametrize("verb", BEFORE)
def test_killed_at_each_step_all_is_found_and_mended(node: Node, verb: str, quick_to_forget: None) -> None:
    (node.ceph.root / "tmp/steps.py").write_text(STEPS.read_text())
    node.ok("create", "o", VOL_SIZE="4")
    node.eye.ask("write('o', 0, b'data')")
    prepare(node, verb)
    count = int(steps(node, "never", 0, verb).stdout)
    assert count >= 1
    clear(node)
    bare = node.left()
    for when, number in [("before", 1), *(("after", number + 1) for number in range(count))]:
        prepare(node, verb)
        assert steps(node, when, number, verb).returncode == -signal.SIGKILL, (number, when)
        leaks = found(node)
        node.admin("len(a.mend(s))")
        assert found(node) == [], (number, when, leaks)
        names = node.names()
        assert set(names) <= {"o", "v", "s"}
        for name in set(names) - {"o"}:  # whole, if it is there
            assert node.eye.ask(f"read({name!r})")[:4] == b"data"
        if verb not in {"create", "remove"}:
            assert "v" in names
        done = node.call(verb, EXTP_ORIGIN="volume:o", **ENV)
        assert done.returncode == 0 or "exists already" in done.stderr, (number, when, done)
        clear(node)
    assert node.left() == bare


@pytest.mark.parametrize("verb", ["create", "snapshot", "remove"])
def test_killed_at_any_moment_the_next_call_goes_on(node: Node, verb: str, quick_to_forget: None) -> None:
    node.ok("create", "o", VOL_SIZE="4")
    bare = node.left()
    start = time.monotonic()
    prepare(node, verb)
    node.ok(verb, EXTP_ORIGIN="volume:o", **ENV)
    span = time.monotonic() - start
    clear(node)
    for part in (2, 4, 6, 8):
        prepare(node, verb)
        call = subprocess.Popen(
            node.ceph.enter(f"{VERBS}/{verb}", env=node.env("v", EXTP_ORIGIN="volume:o", **ENV)),
            stderr=subprocess.DEVNULL,
        )
        time.sleep(span * part / 10)
        call.kill()
        call.wait()
        done = node.call(verb, EXTP_ORIGIN="volume:o", **ENV)
        assert done.returncode == 0 or "exists already" in done.stderr, (part, done)
        clear(node)
        node.admin("len(a.mend(s))")
        assert found(node) == []
    assert {name for name in node.left() - bare if not name.startswith("rbd_data")} == set()


@contextlib.contextmanager
def guest(node: Node, name: str = "v") -> Iterator[subprocess.Popen[str]]:
    """QEMU's driver with a volume open, that has written and can write more."""
    command = node.ceph.enter("qemu-io", "-f", "raw", "-t", "none", node.uri(name))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as qemu:
        try:
            assert "wrote 65536/65536" in write(qemu, 1)
            yield qemu
        finally:
            qemu.kill()


def write(qemu: subprocess.Popen[str], byte: int) -> str:
    """Let a guest write; its words."""
    assert qemu.stdin and qemu.stdout
    qemu.stdin.write(f"write -P {byte} 0 64k\n")
    qemu.stdin.flush()
    while line := qemu.stdout.readline():
        if "65536" in line or "failed" in line or "error" in line.lower():
            return line
    return "QEMU has ended"


def test_a_lock_is_one_node_s_and_is_handed_over_in_a_migration(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    a.ok("open", **ALONE)
    for env in (ALONE, TOGETHER):
        told = b.fails("open", **env)
        assert "volume 'v' is open on a.lab (exclusive, since 20" in told
        assert "ganeti-ext-storage unlock --provider=rbd v" in told
    assert "is open on a.lab" in b.fails("remove")
    a.ok("open", **TOGETHER)
    b.ok("open", **TOGETHER)
    a.ok("close")
    b.ok("open", **ALONE)
    assert "is open on b.lab (exclusive" in a.fails("open", **TOGETHER)
    b.ok("detach")
    a.ok("open", **ALONE)


def test_what_was_taken_from_a_node_it_can_no_longer_write(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    b.ok("open", **ALONE)
    with guest(b) as lost:
        assert "is open on b.lab" in a.fails("open", **ALONE)
        a.ssconf("b.lab")
        done = a.call("open", **ALONE)
        assert done.returncode == 0
        assert "the client 10.93.0.2:0/" in done.stderr
        start = time.monotonic()
        assert "wrote" in a.io("v", "write -P 2 0 64k")
        assert time.monotonic() - start < 5  # RBD alone lets it wait for half a minute
        assert "failed" in write(lost, 3)
    assert a.has("v", 2)


def test_an_administrator_takes_a_volume_away(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    b.ok("open", **ALONE)
    with guest(b) as lost:
        assert a.admin("[h.node for h in a.unlock(s, 'v')]") == ["b.lab"]
        assert a.admin("list(a.locks(s))") == []
        a.ok("open", **ALONE)
        assert "failed" in write(lost, 3)


@pytest.mark.parametrize("verb", ["open", "remove"])
def test_a_guest_that_was_killed_is_not_waited_for(node: Node, verb: str) -> None:
    node.ok("create", VOL_SIZE="4")
    node.ok("open", **ALONE)
    with guest(node) as qemu:
        if verb == "remove":
            assert "volume 'v' is open in the Ceph client 10.93.0.1:0/" in node.fails("remove")
        else:
            node.ok("open", **ALONE)
        assert "wrote" in write(qemu, 2)
        qemu.kill()
        qemu.wait()
    start = time.monotonic()
    node.ok(verb, **ALONE)
    if verb == "open":
        assert "wrote" in node.io("v", "write -P 3 0 64k")
    assert time.monotonic() - start < 10


def test_after_a_restart_of_a_node_its_parts_of_locks_are_stale(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.ok("open", **ALONE)
    text = node.ceph.run("rados", "--pool", POOL, "getomapval", "ganeti-ext.volumes", "v", "/dev/stdout")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot in text
    old = text[text.index("volume 0") :].replace(boot, "0" * 36)
    node.ceph.run("rados", "--pool", POOL, "setomapval", "ganeti-ext.volumes", "v", stdin=old)
    assert [leak[:2] for leak in found(node)] == [("lock", "v a.lab")]
    assert "was started again since 20" in node.call("verify").stderr
    node.ok("open", **ALONE)
    assert found(node) == []


def test_a_record_that_is_not_ours_is_named(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.ceph.run("rados", "--pool", POOL, "setomapval", "ganeti-ext.volumes", "v", "rubbish")
    assert "the record of volume 'v' in the pool is not ours: 'rubbish'" in node.fails("open", **ALONE)
    node.ceph.run("rados", "--pool", POOL, "rmomapkey", "ganeti-ext.volumes", "v")


def test_ceph_stops_and_comes_back_in_the_middle(node: Node) -> None:
    node.ok("create", "o", VOL_SIZE="4")
    node.ok("create", VOL_SIZE="4")
    node.configure(timeout=1)
    (node.ceph.root / "tmp/steps.py").write_text(STEPS.read_text())
    with node.ceph.frozen():
        for verb in ("create", "open", "remove"):
            start = time.monotonic()
            assert "as client.ganeti: Connection timed out" in node.fails(verb, "w", **ENV)
            assert time.monotonic() - start < 8
    call = subprocess.Popen(
        node.ceph.enter(f"{VERBS}/snapshot", env=node.env("v", **ENV)), stderr=subprocess.PIPE, text=True
    )
    time.sleep(0.07)
    with node.ceph.frozen():
        _, told = call.communicate(timeout=20)
    assert call.returncode in {0, 1}, told
    node.admin("len(a.mend(s))")
    assert found(node) == []
    assert set(node.names()) in ({"o", "v"}, {"o", "s", "v"})
    node.call("remove", "s")
    node.ceph.stop("mon", "a", signal.SIGKILL)
    assert "as client.ganeti: " in node.fails("open", **ALONE)
    node.ceph.start("mon", "a")
    node.configure()
    node.ok("open", **ALONE)
    assert "wrote" in node.io("v", "write -P 2 0 64k")


def test_of_many_at_once_one_makes_the_volume(node: Node) -> None:
    calls = [
        subprocess.Popen(
            node.ceph.enter(f"{VERBS}/create", env=node.env("v", VOL_SIZE="4")), stderr=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    told = [call.communicate(timeout=60)[1] for call in calls]
    assert sorted(call.returncode for call in calls) == [0, 1, 1, 1, 1, 1]
    assert all("exists already" in text or "is at work on it" in text for text in told if text)
    assert node.names() == ["v"]
    assert found(node) == []


def test_a_rollback_that_was_killed_is_done_again(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.eye.ask("write('v', 0, b'then')")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    node.eye.ask("write('v', 0, b'now!')")
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(pid, 0)
    doing = f"doing rollback:s:{4 << 20} a.lab {Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {pid} 1"
    node.ceph.run("rbd", "rm", "--no-progress", "v")
    text = f"volume 0\n{doing}\nend\n"
    node.ceph.run("rados", "--pool", POOL, "setomapval", "ganeti-ext.volumes", "v", stdin=text)
    assert [leak[:2] for leak in found(node)] == [("call", "v")]
    assert "repair" in node.fails("create", VOL_SIZE="4")
    node.admin("len(a.mend(s))")
    assert found(node) == []
    assert node.eye.ask("read('v')")[:4] == b"then"
