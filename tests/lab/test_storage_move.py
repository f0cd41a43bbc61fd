"""Disks of a running server on the real cluster move to the other store and back, while its guest writes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ganeti_ext.errors import CommandError
from lab import server
from lab.server import Server
from lab.story import Story
from lab.story_storage import left
from tests.contract.extstorage.choice import some

MIB = 1 << 20
TO_CEPH, TO_SHARE = ("rbd", "--param=access=userspace"), ("cow", "--param=access=kernelspace")


@pytest.fixture
def moving(story: Story) -> Iterator[Server]:
    """A server of cow on the second node, which is not the master, whose guest writes."""
    before = left(story)
    one = Server(story, "moving-cow", "cow", story.nodes[1])
    try:
        one.add(("image:lab-guest", ""), "-H", "kvm:acpi=true")  # by which a disk is unplugged
        with one.console() as console:
            server.write(console)
        yield one
    finally:
        one.remove()
    assert left(story) == before


def migrate(one: Server, *words: str) -> list[dict[str, Any]]:
    return server.storage(one.story.master, "migrate", one.name, *words)


def disks(one: Server) -> list[dict[str, Any]]:
    config = json.loads(one.story.master.read("/var/lib/ganeti/config.data"))
    (mine,) = (found for found in config["instances"].values() if found["name"] == one.name)
    assert len([disk for disk in config["disks"].values() if disk.get("name")]) == 0
    return [config["disks"][uuid] for uuid in mine["disks"]]


def goes_on(one: Server, boots: int = 1) -> int:
    """The guest writes, was not booted anew, and no block is missing; returns how many there are."""
    with one.console() as console:
        server.acknowledged(console, 5)
        last = server.stop(console)
        assert server.numbers(console, last) == last
        assert console.ask("cat /boots").strip() == str(boots)
        server.write(console, last + 1)
    return last


def consistent(one: Server) -> None:
    assert [row for node in one.story.nodes for row in server.findings(node)] == []


@pytest.mark.long
def test_to_ceph_and_back_while_the_guest_writes(story: Story, moving: Server) -> None:
    rows = migrate(moving, *TO_CEPH)
    assert [(row["was"]["provider"], row["is"]["provider"]) for row in rows] == [("cow", "rbd")] * 2
    assert [disk["logical_id"][0] for disk in disks(moving)] == ["rbd", "rbd"]
    goes_on(moving)
    consistent(moving)
    # What goes by the block node's name, and what by the runtime file.
    story.gnt("instance", "grow-disk", moving.name, "1", "16M")
    with moving.console() as console:
        sectors = (server.SIZES[1] + 16) << 11
        console.ask(f"until [ $(cat /sys/block/vdb/size) = {sectors} ]; do usleep 50000; done", timeout=10)
    moving.move("migrate", story.nodes[2])
    goes_on(moving)
    migrate(moving, *TO_SHARE)
    assert [disk["logical_id"][0] for disk in disks(moving)] == ["cow", "cow"]
    goes_on(moving)
    moving.move("migrate", story.nodes[1])
    goes_on(moving)
    consistent(moving)
    with moving.console() as console:
        last = server.stop(console)
    moving.stop()
    moving.gnt("startup")
    with moving.console() as console:
        server.write(console, server.numbers(console, last) + 1)


@pytest.mark.long
def test_a_disk_that_has_moved_is_unplugged_after_a_migration(story: Story, moving: Server) -> None:
    migrate(moving, *TO_CEPH)
    moving.move("migrate", story.nodes[2])
    with moving.console() as console:
        server.stop(console)
    moving.gnt("modify", "--disk=1:remove")
    with moving.console() as console:
        console.ask("until [ ! -e /sys/block/vdb ]; do usleep 50000; done", timeout=10)
    assert len(disks(moving)) == 1
    consistent(moving)


def killed(one: Server, delay: float, *words: str) -> None:
    """The command dies, and leaves what it leaves: a job, a process on another node."""
    command = 'timeout --foreground --signal=KILL "$@" >/dev/null 2>&1; true'
    argv = [f"{delay}", "ganeti-ext-storage", "migrate", one.name, *words]
    one.story.master.run("sh", "-c", command, "sh", *argv, timeout=180)


def again(one: Server, *words: str) -> None:
    """Said again until what a killed command has begun is at its end."""
    end = time.monotonic() + 60
    while True:
        try:
            migrate(one, *words)
        except CommandError as err:
            if "moved already" not in str(err) or time.monotonic() > end:
                raise
        else:
            return


@pytest.mark.long
def test_killed_at_any_time_and_said_again(moving: Server) -> None:
    for number, delay in enumerate(some((1.0, 3.0, 5.0, 7.0, 9.0, 12.0), 2)):
        words = (TO_CEPH, TO_SHARE)[number % 2]
        killed(moving, delay, *words)
        again(moving, *words)
        assert {disk["logical_id"][0] for disk in disks(moving)} == {words[0]}
        goes_on(moving)
        consistent(moving)


@pytest.mark.long
def test_killed_and_the_guest_ends(moving: Server) -> None:
    for number, delay in enumerate(some((4.0, 6.0, 8.0, 10.0), 2)):
        words = (TO_CEPH, TO_SHARE)[number % 2]
        with moving.console() as console:
            server.aloud(console)
            killed(moving, delay, *words)
            moving.home.run("sh", "-c", f"kill -9 $(cat /run/ganeti/kvm-hypervisor/pid/{moving.name})")
            known = server.heard(console)
        moving.stop()
        again(moving, *words)
        assert {disk["logical_id"][0] for disk in disks(moving)} == {words[0]}
        moving.gnt("startup")
        with moving.console() as console:
            server.write(console, server.numbers(console, known) + 1)
        consistent(moving)
