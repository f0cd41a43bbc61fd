"""The demo's second part: what becomes of servers' disks, on a shared directory (cow) and on Ceph (rbd).

Each step does the same to a server of each provider, at the same time. See lab/server.py for what the guests write.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from ganeti_ext.errors import CommandError
from lab import guest, pool, server, storage
from lab.ceph import POOL
from lab.faults import dead
from lab.node import Node
from lab.server import PROVIDERS, SIZES, Server
from lab.step import at_once
from lab.story import Story

FIRST, SECOND = "first", "second"
GROWN = 16  # MiB
_OF_IMAGES = ("rbd_data.", "rbd_header.", "rbd_object_map.")  # and then which, also of removed ones in the trash
_VERB = "/usr/share/ganeti/extstorage/{provider}/{verb}"


def clone(story: Story) -> None:
    """The administrator makes a server of an image, with disks on a shared directory and another with disks on Ceph"""
    story.known = left(story)
    # Jobs of Ganeti that want the same node wait for each other.
    homes = (story.nodes[0], story.nodes[2])
    story.servers = [Server(story, f"{FIRST}-{name}", name, home) for name, home in zip(PROVIDERS, homes, strict=True)]
    at_once(one.add for one in story.servers)
    for one in story.servers:
        with one.console() as console:
            assert console.report()["mark"] == guest.MARK
        system, _ = one.volumes()
        (row,) = (row for row in server.storage(one.home, "list") if row["name"] == system)
        assert row["origin"] == f"image:{server.IMAGE}", row


def snapshot(story: Story) -> None:
    """Snapshots of the running guests while they write: both disks of each, of one moment"""
    at_once(partial(_snapshot, one) for one in story.servers)


def _snapshot(one: Server) -> None:
    with one.console() as console:
        console.ask("dd if=/dev/urandom of=/proof bs=64k count=16 2>/dev/null; sync")
        server.write(console)
        one.known = server.acknowledged(console, 10)
        one.proof = console.ask("md5sum < /proof")
    one.snapshots = one.snapshot(f"{one.name}-then")


def second_server(story: Story) -> None:
    """A second server of each snapshot has what the first had written and synced"""
    at_once(partial(_second, one, other.home) for one, other in pairwise((*story.servers, story.servers[0])))


def _second(one: Server, home: Node) -> None:
    other = Server(one.story, f"{SECOND}-{one.provider}", one.provider, home)
    other.add([f"snapshot:{name}" for name in one.snapshots])
    with other.console() as console:
        assert console.ask("md5sum < /proof") == one.proof, "it has not the file that was synced before the snapshot"
        server.numbers(console, one.known)
    other.remove()


def migrate_while_writing(story: Story) -> None:
    """Live migration while the guests write: checksums of their disks say that nothing was lost"""
    at_once(partial(_migrate, one, story.nodes[1]) for one in story.servers)


def _migrate(one: Server, target: Node) -> None:
    with one.console() as console:
        before = server.acknowledged(console)
    one.move("migrate", target)
    with one.console() as console:
        during = server.acknowledged(console, 5)
        assert during >= before + 5
        last = server.stop(console)
        assert server.numbers(console, last) == last
        assert console.ask("cat /boots").strip() == "1", "it was not migrated but booted anew"
        server.write(console, last + 1)


def grow(story: Story) -> None:
    """gnt-instance grow-disk: the running guests see the new size at once"""
    at_once(partial(_grow, one) for one in story.servers)


def _grow(one: Server) -> None:
    one.story.gnt("instance", "grow-disk", one.name, "1", f"{GROWN}M")
    sectors = (SIZES[1] + GROWN) << 11
    with one.console() as console:
        console.ask(f"until [ $(cat /sys/block/vdb/size) = {sectors} ]; do usleep 50000; done", timeout=10)
        console.ask(f"echo end | dd of={server.NUMBERED} bs=512 seek={sectors - 1} conv=sync,notrunc,fsync")


def lose_power(story: Story) -> None:
    """Their node loses its power: no other starts them until Ganeti has it offline, then nothing of theirs is lost"""
    there = story.nodes[1]
    with contextlib.ExitStack() as opened:
        consoles = [opened.enter_context(one.console()) for one in story.servers]
        for console in consoles:
            server.aloud(console)
        opened.callback(story.gnt, "node", "modify", "--offline=no", "--force", "--auto-promote", there.name)
        with dead(there, story.master):
            for one, console in zip(story.servers, consoles, strict=True):
                one.known = server.heard(console)
            homes = (story.nodes[0], story.nodes[2])
            at_once(partial(_refused, one, here, there) for one, here in zip(story.servers, homes, strict=True))
            story.gnt("node", "modify", "--offline=yes", "--force", there.name)
            at_once(partial(_recovered, one) for one in story.servers)


def _refused(one: Server, here: Node, there: Node) -> None:
    """Ganeti would start it, believing who says that the node is down; its disks do not."""
    words = ("--force", "--ignore-consistency", "--shutdown-timeout=1", f"--target-node={here.name}")
    said = one.fails("failover", *words)
    assert f"is open on {there.name}" in said, said
    one.home = here


def _recovered(one: Server) -> None:
    one.gnt("startup")
    with one.console() as console:
        one.known = server.numbers(console, one.known)


def come_back(story: Story) -> None:
    """The node comes back, and cannot open their disks"""
    for one in story.servers:
        for volume in one.volumes():
            try:
                call(story.nodes[1], one.provider, "open", volume, VOL_OPEN_EXCLUSIVE="True")
            except CommandError as err:
                assert f"is open on {one.home.name}" in str(err), err
            else:
                raise AssertionError(f"two nodes may write volume {volume} of {one.name}")


def remove(story: Story) -> None:
    """Servers and snapshots are removed: nothing is left on any node or store"""
    at_once(one.remove for one in story.servers)
    for one in story.servers:
        for name in one.snapshots:
            server.storage(story.master, "remove", name)
    story.servers = []
    found = left(story)
    assert found == story.known, f"there is {found}, there was {story.known}"


def call(node: Node, provider: str, verb: str, volume: str, **env: str) -> str:
    """Call a provider's verb on a node as Ganeti does."""
    access = "userspace" if "userspace" in PROVIDERS[provider] else "kernelspace"
    return node.run(_VERB.format(provider=provider, verb=verb), env={"VOL_NAME": volume, "EXTP_ACCESS": access, **env})


def left(story: Story) -> dict[str, object]:
    """All that disks leave somewhere: volumes, locks, objects, devices, hints, and what `verify` finds."""
    there = story.nodes
    objects = pool.ceph().run("rados", "--pool", POOL, "ls")
    return {
        "volumes": sorted(row["name"] for row in server.storage(story.master, "list")),
        "locks": server.storage(story.master, "locks"),
        "objects": sorted({name.split(".")[1] for name in objects.split() if name.startswith(_OF_IMAGES)}),
        "devices": storage.loops(),
        "hints": [name for node in there for name in node.listing("/run/ganeti-ext/cow") if not name.startswith(".")],
        "findings": [row for node in there for row in server.findings(node)],
    }


def clear(story: Story) -> None:
    """Remove what an earlier run left."""
    for provider in PROVIDERS:
        for name in (FIRST, SECOND):
            Server(story, f"{name}-{provider}", provider, story.master).remove()
    for row in server.storage(story.master, "list", "--kind=snapshot", "--kind=volume"):
        if row["name"].startswith(f"{FIRST}-"):
            server.storage(story.master, "remove", row["name"])


STEPS: tuple[Callable[[Story], None], ...] = (
    clone,
    snapshot,
    second_server,
    migrate_while_writing,
    grow,
    lose_power,
    come_back,
    remove,
)
