"""Who may open a volume on which node, in the orders in which Ganeti 3.1 calls the verbs (docs/storage.md)."""

from __future__ import annotations

import os
import subprocess

import pytest

from extstorage import cow, cow_admin
from tests.contract.extstorage.harness import Node, add_node, eventually

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
]
ALONE = {"VOL_OPEN_EXCLUSIVE": "True"}
TOGETHER = {"VOL_OPEN_EXCLUSIVE": "False"}


@pytest.fixture
def pair(xfs: Node) -> tuple[Node, Node]:
    """Two nodes, of which the first has just created the volume and opened it."""
    a, b = (add_node(xfs.share, xfs.etc.parent / name) for name in ("a", "b"))
    a.ok("create", VOL_SIZE="4")
    a.ok("attach")
    a.ok("open", **ALONE)
    return a, b


def stop(node: Node) -> None:
    node.ok("attach")
    node.ok("detach")


def test_the_second_node_is_refused_until_the_first_stops(pair: tuple[Node, Node]) -> None:
    a, b = pair
    b.ok("attach")
    for how in (ALONE, TOGETHER):
        told = b.fails("open", **how)
        assert "volume 'v' is open on a (exclusive, since 20" in told
        assert "gnt-node modify --offline=yes a" in told
        assert "ganeti-ext-storage unlock v" in told
    assert b.holders() == ["a exclusive"]
    a.ok("open", **ALONE)  # again: a start after a stop of the guest from inside
    stop(a)
    assert a.holders() == []
    b.ok("open", **ALONE)
    assert a.holders() == ["b exclusive"]
    a.fails("open", **ALONE)


def test_a_live_migration(pair: tuple[Node, Node]) -> None:
    a, b = pair
    b.ok("attach")
    b.ok("close")
    a.ok("open", **TOGETHER)
    assert a.holders() == ["a shared"]
    b.ok("open", **TOGETHER)
    assert a.holders() == ["a shared", "b shared"]
    a.ok("close")
    b.ok("open", **ALONE)
    assert a.holders() == ["b exclusive"]
    stop(a)
    assert a.holders() == ["b exclusive"]


def test_a_migration_that_fails_and_its_cleanup(pair: tuple[Node, Node]) -> None:
    a, b = pair
    for _ in range(2):  # _RevertDiskStatus, then gnt-instance migrate --cleanup
        a.ok("open", **TOGETHER)
        b.ok("open", **TOGETHER)
        assert "open on b (shared" in a.fails("open", **ALONE)
        b.ok("close")
        stop(b)
        a.ok("open", **ALONE)
        assert a.holders() == ["a exclusive"]


def test_a_failover_from_a_node_that_died_needs_evidence(pair: tuple[Node, Node]) -> None:
    a, b = pair
    assert "volume 'v' is open on a" in b.fails("open", **ALONE)
    a.offline("a")
    done = b.call("open", **ALONE)
    assert done.returncode == 0
    assert "taken over from a (exclusive, since" in done.stderr
    assert "Ganeti has it offline" in done.stderr
    assert b.holders() == ["b exclusive"]
    a.offline()
    a.fails("open", **ALONE)  # it comes back with the instance still defined here in its own mind


def test_a_node_that_left_the_cluster_holds_nothing(pair: tuple[Node, Node]) -> None:
    a, b = pair
    (a.etc.parent / "data/ssconf_node_list").write_text("b\n")
    assert "it is not of this cluster" in b.call("open", **ALONE).stderr
    assert b.holders() == ["b exclusive"]


def test_an_administrator_can_take_a_lock_away(pair: tuple[Node, Node]) -> None:
    _, b = pair
    settings = cow.load(str(b.etc / "cow.conf"), {})
    assert [(name, [part.node for part in found]) for name, found in cow_admin.locks(settings)] == [("v", ["a"])]
    assert cow_admin.unlock(settings, "v", "b") == ()
    assert [part.node for part in cow_admin.unlock(settings, "v")] == ["a"]
    assert list(cow_admin.locks(settings)) == []
    b.ok("open", **ALONE)


def test_a_volume_that_another_node_has_open_is_not_removed_and_not_reused(pair: tuple[Node, Node]) -> None:
    a, b = pair
    assert "volume 'v' is open on a" in b.fails("remove")
    for node in (a, b):
        assert "volume 'v' is open on a" in node.fails("create", VOL_SIZE="4", EXTP_REUSE_DATA="True")
    stop(a)
    b.ok("create", VOL_SIZE="4", EXTP_REUSE_DATA="True")
    assert "it has 4194304 bytes, not the 5242880" in b.fails("create", VOL_SIZE="5", EXTP_REUSE_DATA="yes")
    assert "parameter reuse_data of volume 'v' has a bad value 'maybe'" in b.fails(
        "create", VOL_SIZE="4", EXTP_REUSE_DATA="maybe"
    )
    assert "volume 'w' does not exist" in b.fails("create", "w", VOL_SIZE="4", EXTP_REUSE_DATA="True")
    b.ok("remove")
    assert list((a.share / "locks").iterdir()) == []


def test_a_device_that_is_still_open_keeps_the_lock(pair: tuple[Node, Node]) -> None:
    a, b = pair
    with open(a.ok("attach"), "rb"):
        done = a.call("detach")
        assert (done.returncode, done.stdout) == (0, "")
        assert "volume 'v' is still in use on this node, which therefore keeps its lock" in done.stderr
        b.fails("open", **ALONE)
    assert eventually(lambda: a.loops() == [])
    a.ok("detach")
    b.ok("open", **ALONE)


def test_a_device_that_was_closed_late_gives_up_its_lock_with_the_next_verb_on_any_volume(
    pair: tuple[Node, Node],
) -> None:
    a, b = pair
    a.ok("create", "other", VOL_SIZE="4")
    with open(a.ok("attach"), "rb"):
        a.ok("detach")
        a.ok("detach", "other")
        assert a.holders() == ["a exclusive"]
    assert eventually(lambda: a.loops() == [])
    a.ok("detach", "other")
    assert a.holders() == []
    assert not os.path.exists(cow.load(str(a.etc / "cow.conf"), {}).late())
    b.ok("open", **ALONE)


def test_a_device_that_is_wanted_again_before_it_was_closed_keeps_its_lock(pair: tuple[Node, Node]) -> None:
    a, b = pair
    with open(a.ok("attach"), "rb"):
        a.ok("detach")
        a.ok("attach")
        a.ok("open", **ALONE)
    a.ok("detach", "other")
    assert a.holders() == ["a exclusive"]
    assert len(a.loops()) == 1
    b.fails("open", **ALONE)


def test_of_many_nodes_that_open_at_once_one_wins(pair: tuple[Node, Node]) -> None:
    a, _ = pair
    stop(a)
    nodes = [add_node(a.share, a.etc.parent / f"n{number}") for number in range(6)]
    calls: list[subprocess.Popen[str]] = [node.start("open", **ALONE) for node in nodes]
    told = [call.communicate()[1] for call in calls]
    assert sorted(call.returncode for call in calls) == [0] + [1] * 5
    assert sum("volume 'v' is open on n" in text for text in told) == 5
    assert a.holders() == [f"n{[call.returncode for call in calls].index(0)} exclusive"]


def test_detached_on_a_node_without_the_share_a_lock_remains_with_a_warning(pair: tuple[Node, Node]) -> None:
    a, _ = pair
    (a.share / "volumes").rename(a.share / "away")
    done = a.call("detach")
    assert done.returncode == 0
    assert "a lock that this node may have on it remains" in done.stderr
    assert "is the shared directory mounted on this node?" in a.fails("close")
    (a.share / "away").rename(a.share / "volumes")
    assert a.holders() == ["a exclusive"]
    a.ok("close")
    assert a.holders() == []


def test_stale_parts_are_found_and_mended(pair: tuple[Node, Node]) -> None:
    a, b = pair
    settings = cow.load(str(a.etc / "cow.conf"), {})
    assert cow_admin.leaks(settings) == []
    (lock,) = (a.share / "locks/v").iterdir()
    text = lock.read_text()
    boot = text.split()[2]
    lock.write_text(text.replace(boot, "another-boot"))
    assert [leak.why[:21] for leak in cow_admin.leaks(settings)] == ["a was started again s"]
    assert cow_admin.leaks(cow.load(str(b.etc / "cow.conf"), {})) == []  # b cannot know
    assert len(cow_admin.mend(settings)) == 1
    assert a.holders() == []
    a.ok("open", **ALONE)
    subprocess.run(["losetup", "--detach", a.ok("attach")], check=True)
    (a.etc / "run/v").unlink()
    a.ok("verify")
    assert a.holders() == []
    a.ok("open", **ALONE)
    a.file().unlink()
    b.ok("verify")
    assert list((a.share / "locks").iterdir()) == []
