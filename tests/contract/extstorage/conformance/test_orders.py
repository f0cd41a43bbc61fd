"""The verbs in the orders in which Ganeti 3.1 calls them (docs/storage.md has the table), on two nodes."""

from __future__ import annotations

import pytest

from tests.contract.extstorage.conformance.site import MIB, Caller, Site
from tests.contract.extstorage.harness import eventually

pytestmark = pytest.mark.lab
ALONE = {"VOL_OPEN_EXCLUSIVE": "True"}
TOGETHER = {"VOL_OPEN_EXCLUSIVE": "False"}


def create(node: Caller) -> None:
    """BlockdevCreate."""
    node.ok("create", VOL_SIZE="2")
    node.ok("attach")
    node.ok("open", **ALONE)
    node.ok("setinfo", VOL_METADATA="originstname_gx")


def start(node: Caller) -> None:
    """BlockdevAssemble, then _GatherAndLinkBlockDevs of StartInstance."""
    for verb in ("attach", "open", "attach", "attach", "open", "attach"):
        node.ok(verb, **ALONE)


def shut(node: Caller) -> None:
    """BlockdevShutdown."""
    node.ok("attach")
    node.ok("detach")


def opened(node: Caller, how: dict[str, str]) -> None:
    node.ok("attach")
    node.ok("open", **how)


def closed(node: Caller) -> None:
    node.ok("attach")
    node.ok("close")


def removed(node: Caller, name: str = "v") -> None:
    """BlockdevRemove."""
    for verb in ("attach", "detach", "remove"):
        node.ok(verb, name)


def test_create_start_stop_remove(site: Site) -> None:
    create(site.a)
    start(site.a)
    assert site.holders("v") == ["a exclusive"]
    assert "is open on a" in site.b.fails("open", **ALONE)
    shut(site.a)
    assert site.holders("v") == []
    start(site.a)
    removed(site.a)
    assert eventually(lambda: site.devices() == [])
    assert site.volumes() == []


def test_live_migration_there_and_back(site: Site) -> None:
    create(site.a)
    start(site.a)
    site.write("v", 0, b"on a")
    for source, target, name in ((site.a, site.b, "b"), (site.b, site.a, "a")):
        closed(target)
        opened(source, TOGETHER)
        opened(target, TOGETHER)
        assert len(site.holders("v")) == 2
        closed(source)
        opened(target, ALONE)
        shut(source)
        assert site.holders("v") == [f"{name} exclusive"]
    assert site.read("v")[:4] == b"on a"


def test_a_failed_migration_and_a_cleanup(site: Site) -> None:
    create(site.a)
    start(site.a)
    closed(site.b)
    opened(site.a, TOGETHER)
    opened(site.b, TOGETHER)
    closed(site.b)
    shut(site.b)
    opened(site.a, ALONE)
    assert site.holders("v") == ["a exclusive"]
    closed(site.b)  # gnt-instance migrate --cleanup
    opened(site.a, ALONE)
    assert site.holders("v") == ["a exclusive"]


def test_failover_of_a_node_that_lives_and_of_one_that_died(site: Site) -> None:
    create(site.a)
    start(site.a)
    closed(site.a)
    shut(site.a)
    start(site.b)
    assert site.holders("v") == ["b exclusive"]
    assert "unlock" in site.a.fails("open", **ALONE)
    site.offline("b")  # dead: nobody calls close or detach there
    start(site.a)
    assert site.holders("v") == ["a exclusive"]
    site.offline()
    assert "is open on a" in site.b.fails("open", **ALONE)


def test_grow_of_a_running_and_of_a_stopped_instance(site: Site) -> None:
    create(site.a)
    for size in ("3", "4"):
        for verb in ("attach", "attach", "attach", "grow"):
            site.a.ok(verb, VOL_SIZE="2", VOL_NEW_SIZE=size)
        shut(site.a)
        start(site.a)
        assert site.size("v") == int(size) * MIB


def test_export_takes_a_snapshot_reads_it_and_removes_it(site: Site) -> None:
    create(site.a)
    start(site.a)
    site.write("v", 0, b"data")
    site.a.ok("attach")
    site.a.ok("snapshot", VOL_SNAPSHOT_NAME="v.snap", VOL_SNAPSHOT_SIZE="2")
    site.a.ok("attach", "v.snap")
    site.a.ok("open", "v.snap", **ALONE)
    assert site.read("v.snap")[:4] == b"data"
    removed(site.a, "v.snap")
    assert site.volumes() == ["v"]
    assert site.holders("v") == ["a exclusive"]
    assert site.holders("v.snap") == []


def test_detach_here_and_attach_to_an_instance_there(site: Site) -> None:
    create(site.a)
    start(site.a)
    site.write("v", 0, b"kept")
    shut(site.a)
    start(site.b)
    assert site.read("v")[:4] == b"kept"
    assert site.holders("v") == ["b exclusive"]


def test_a_disk_whose_creation_failed_is_removed_and_made_again(site: Site) -> None:
    site.a.ok("create", VOL_SIZE="2")
    removed(site.a)
    create(site.a)
    assert site.holders("v") == ["a exclusive"]
