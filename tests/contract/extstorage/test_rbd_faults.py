"""A Ceph that stops, nodes that were started again, records that are not ours, calls at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.ceph import POOL
from tests.contract.extstorage.choice import some
from tests.contract.extstorage.rbd_node import NEEDS, VERBS, Node, found, node, nodes, quick_to_forget, steps

pytestmark = NEEDS
__all__ = ["node", "nodes", "quick_to_forget"]
ALONE = {"VOL_OPEN_EXCLUSIVE": "True"}
FEW = 2  # of the steps of a verb at which Ceph stops
ENV = {"VOL_SIZE": "8", "VOL_NEW_SIZE": "12", "VOL_SNAPSHOT_NAME": "s", "VOL_METADATA": "text", **ALONE}


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


def test_that_a_volume_has_moved_is_not_forgotten(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    for name in ("a.lab", "b.lab"):
        text = f"volume 0\n{name} moved {'0' * 36} 2026-01-01T00:00:00Z\nend\n"
        node.ceph.run("rados", "--pool", POOL, "setomapval", "ganeti-ext.volumes", "v", stdin=text)
        node.ssconf("b.lab")
        assert (found(node), node.admin("len(a.mend(s))")) == ([], 0)
        assert "is not to be used" in node.fails("open", **ALONE)


def test_a_record_that_is_not_ours_is_named(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.ceph.run("rados", "--pool", POOL, "setomapval", "ganeti-ext.volumes", "v", "rubbish")
    assert "the record of volume 'v' in the pool is not ours: 'rubbish'" in node.fails("open", **ALONE)
    node.ceph.run("rados", "--pool", POOL, "rmomapkey", "ganeti-ext.volumes", "v")


def test_ceph_stops_and_comes_back_in_the_middle(node: Node) -> None:
    node.ok("create", "o", VOL_SIZE="4")
    node.ok("create", VOL_SIZE="4")
    node.configure(timeout=1)
    with node.ceph.frozen():
        for verb in ("create", "open", "remove"):
            start = time.monotonic()
            assert "as client.ganeti: Connection timed out" in node.fails(verb, "w", **ENV)
            assert time.monotonic() - start < 20  # librados alone waits for five minutes
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


BEFORE = {
    "create": ("create o",),
    "snapshot": ("create v",),
    "open": ("create v",),
    "grow": ("create v",),
    "setinfo": ("create v",),
    "close": ("create v", "open v"),
    "remove": ("create v", "snapshot v"),
    "rollback": ("create v", "snapshot v"),
}


@pytest.mark.parametrize("verb", BEFORE)
def test_a_verb_fails_in_bounded_time_wherever_ceph_stops(node: Node, verb: str, quick_to_forget: None) -> None:
    def prepare() -> None:
        for words in BEFORE[verb]:
            earlier, name = words.split()
            node.direct(earlier, name, **ENV)

    def clear() -> None:
        for name in sorted(node.names(), reverse=True):
            node.direct("detach", name)
            node.direct("remove", name)

    env = {**ENV, "EXTP_ORIGIN": "volume:o"} if verb == "create" else ENV
    daemons = node.ceph.pids("mon") + node.ceph.pids("osd")
    prepare()
    count = int(steps(node, "never", 0, verb, **env).stdout.split()[1])
    clear()
    node.configure(timeout=1)
    for number in some(range(1, count + 1), FEW):
        prepare()
        start = time.monotonic()
        try:
            done = steps(node, "freeze", number, verb, *daemons, **env)
        finally:
            for pid in daemons:
                os.kill(pid, signal.SIGCONT)
        took = time.monotonic() - start
        assert done.returncode in {0, 1}, (number, done)  # what follows the last answer of Ceph may need none
        assert not done.returncode or "imed out" in done.stderr or "does not answer" in done.stderr, (number, done)
        assert took < 25, (number, took, done)
        node.admin("len(a.mend(s))")
        assert found(node) == []
        assert steps(node, "never", 0, verb, **env).returncode in {0, 1}
        clear()
    assert node.names() == []
