"""Who may write a volume of `rbd`: locks of two nodes, and clients that lost a volume or died."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from lab.step import until
from tests.contract.extstorage.rbd_node import (
    NEEDS,
    VERBS,
    Node,
    found,
    guest,
    node,
    nodes,
    quick_to_forget,
    steps,
    write,
)

pytestmark = NEEDS
__all__ = ["node", "nodes", "quick_to_forget"]
ALONE = {"VOL_OPEN_EXCLUSIVE": "True"}
TOGETHER = {"VOL_OPEN_EXCLUSIVE": "False"}


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
        assert time.monotonic() - start < 15  # RBD alone lets it wait for half a minute
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
    assert time.monotonic() - start < 20


def test_what_a_frozen_node_sent_last_does_not_arrive(nodes: tuple[Node, Node], quick_to_forget: None) -> None:
    """Ceph has forgotten the client's watch, and nobody else has RBD's lock yet: that the client has it tells of it."""
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    b.ok("open", **ALONE)
    with guest(b) as lost:
        lost.send_signal(signal.SIGSTOP)
        until("Ceph has forgotten the watch", lambda: '"address"' not in status(a), 20)
        a.ssconf("b.lab")
        a.ok("open", **ALONE)
        lost.send_signal(signal.SIGCONT)
        assert "failed" in write(lost, 3)


def test_a_frozen_client_of_a_node_that_is_down_is_blocked_without_being_asked(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.configure(patience=30)
    a.ok("create", VOL_SIZE="4")
    b.ok("open", **ALONE)
    with guest(b) as lost:
        lost.send_signal(signal.SIGSTOP)
        a.ssconf("b.lab")
        start = time.monotonic()
        a.ok("open", **ALONE)
        assert time.monotonic() - start < 15
        lost.send_signal(signal.SIGCONT)
        assert "failed" in write(lost, 3)


def test_a_client_that_is_slow_is_not_taken_for_dead(node: Node) -> None:
    node.configure(patience=6)
    node.ok("create", VOL_SIZE="4")
    node.ok("open", **ALONE)
    with guest(node) as slow:
        slow.send_signal(signal.SIGSTOP)
        call = subprocess.Popen(node.ceph.enter(f"{VERBS}/open", env=node.env("v", **ALONE)))
        with pytest.raises(subprocess.TimeoutExpired):
            call.wait(1)
        slow.send_signal(signal.SIGCONT)
        assert call.wait(30) == 0
        assert "wrote" in write(slow, 3)


def test_what_is_taken_from_this_node_its_guest_can_no_longer_write(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    a.ok("open", **ALONE)
    with guest(a) as lost:
        assert a.admin("[h.node for h in a.unlock(s, 'v', 'a.lab')]") == ["a.lab"]
        b.ok("open", **ALONE)
        assert "failed" in write(lost, 3)
        assert "wrote" in b.io("v", "write -P 2 0 64k")


@pytest.mark.parametrize("verb", ["open", "unlock"])
def test_killed_between_the_lock_and_the_fence_the_next_one_goes_on(nodes: tuple[Node, Node], verb: str) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    b.ok("open", **ALONE)
    with guest(b) as lost:
        a.ssconf("b.lab")
        assert steps(a, "after", 1, verb, **ALONE).returncode == -signal.SIGKILL
        a.ssconf()
        assert [leak[:2] for leak in found(a)] == [("call", "v")]
        done = a.call("open", **ALONE)
        assert (done.returncode, "the client 10.93.0.2:0/" in done.stderr) == (0, True)
        assert "failed" in write(lost, 3)
    assert found(a) == []


def test_a_fence_that_is_owed_for_a_volume_that_is_gone_is_forgotten(node: Node) -> None:
    before = node.left()
    node.ok("create", VOL_SIZE="4")
    node.ok("open", **ALONE)
    node.ssconf("b.lab")
    assert steps(node, "after", 1, "unlock").returncode == -signal.SIGKILL
    node.ceph.run("rbd", "rm", "--no-progress", "v")
    for kind in ("call", "lock"):
        assert [leak[0] for leak in found(node)] in ([kind], [])
        node.admin("len(a.mend(s))")
    assert (found(node), node.left() - before) == ([], set())


def test_one_that_cannot_be_mended_keeps_no_other_from_it(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    for name in ("v", "w"):
        a.ok("create", name, VOL_SIZE="4")
        b.ok("open", name, **ALONE)
    a.ok("create", "u", VOL_SIZE="4")
    with guest(a, "u"):
        assert steps(a, "after", 1, "remove", VOL_NAME="u").returncode == -signal.SIGKILL
        a.ssconf("b.lab")
        assert [leak[:2] for leak in found(a)] == [("call", "u"), ("lock", "v b.lab"), ("lock", "w b.lab")]
        assert a.admin("[l.what for l in a.mend(s)]") == ["v b.lab", "w b.lab"]
    assert a.admin("[l.what for l in a.mend(s)]") == ["u"]
    assert a.names() == ["v", "w"]


def status(node: Node) -> str:
    """Who has volume v open, as `rbd status` tells."""
    return node.ceph.run("rbd", "status", "v", "--format=json")
