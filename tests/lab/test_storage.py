"""Disks of both providers on the real cluster: they outlive, move and are snapshotted, and nothing synced is lost."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from ganeti_ext.errors import CommandError
from lab import guest, pool, server
from lab.faults import cut_off, dead
from lab.node import SHARED
from lab.server import IMAGE, PROVIDERS, Server
from lab.step import at_once
from lab.story import Story
from lab.story_storage import call, left

pytestmark = pytest.mark.long
DEPTH = 10
MIB = 1 << 20
_IMPEXPD = "/usr/share/ganeti/3.1/ganeti/impexpd/__init__.py"


@pytest.fixture(scope="module")
def servers(story: Story) -> Iterator[dict[str, Server]]:
    """A server of each provider on the second node; between tests they run there, and their guests write."""
    before = left(story)
    made = {provider: Server(story, f"kept-{provider}", provider, story.nodes[1]) for provider in PROVIDERS}
    try:
        at_once(one.add for one in made.values())
        for one in made.values():
            with one.console() as console:
                server.write(console)
        yield made
    finally:
        at_once(one.remove for one in made.values())
    assert left(story) == before


def halted(one: Server) -> int:
    """Let the guest stop to write, and the server; returns the number of the last block."""
    with one.console() as console:
        last = server.stop(console)
    one.stop()
    return last


def resumed(one: Server, known: int) -> None:
    """Start the server; the blocks that are known are there, and more are written."""
    one.gnt("startup")
    checked(one, known)


def checked(one: Server, known: int) -> None:
    """The blocks that are known are there; the guest, which does not write, goes on to."""
    with one.console() as console:
        server.write(console, server.numbers(console, known) + 1)


def findings(story: Story) -> list[dict[str, Any]]:
    return [row for node in story.nodes for row in server.findings(node)]


def refused(one: Server, verb: str, **env: str) -> str:
    """What a verb on the server's second disk says that fails on its node."""
    with pytest.raises(CommandError) as caught:
        call(one.home, one.provider, verb, one.volumes()[1], **env)
    return str(caught.value)


@pytest.fixture
def backups(story: Story) -> None:
    """gnt-backup of 3.1.0~rc2 looks for a node's name in a certificate that has another (Ganeti's issue 1839)."""
    for node in story.nodes:
        node.run("sed", "-i", "s/x509_cert_cn, _, _ = .*/x509_cert_cn = constants.X509_CERT_CN/", _IMPEXPD)


@pytest.mark.usefixtures("backups")
def test_an_export_of_a_running_server_comes_back(story: Story, servers: dict[str, Server]) -> None:
    at_once(partial(_round_trip, story, one) for one in servers.values())
    assert findings(story) == []


def _round_trip(story: Story, one: Server) -> None:
    with one.console() as console:
        proof = console.ask("dd if=/dev/urandom of=/proof bs=64k count=16 2>/dev/null; sync; md5sum < /proof")
        known = server.acknowledged(console)
    story.gnt("backup", "export", "--noshutdown", f"--node={story.master.name}", one.name)
    copy = Server(story, f"copy-{one.provider}", one.provider, story.nodes[2])
    try:
        place = (f"--src-node={story.master.name}", f"--src-dir={one.name}")
        story.gnt("backup", "import", *copy.hardware(), *copy.disks(), *place, copy.name)
        copy.gnt("startup")
        with copy.console() as console:
            assert console.ask("md5sum < /proof") == proof
            server.numbers(console, known)
    finally:
        copy.remove()
        story.gnt("backup", "remove", one.name)


def test_a_disk_outlives_its_detachment(story: Story, servers: dict[str, Server]) -> None:
    at_once(partial(_detached_and_attached, story, one) for one in servers.values())


def _detached_and_attached(story: Story, one: Server) -> None:
    known = halted(one)
    _, volume = one.volumes()
    config = json.loads(story.master.read("/var/lib/ganeti/config.data"))
    (uuid,) = (disk["uuid"] for disk in config["disks"].values() if disk["logical_id"][1] == volume)
    one.gnt("modify", "--disk=1:detach")
    assert len(one.volumes()) == 1
    assert volume not in [row["volume"] for row in findings(story)]
    one.gnt("modify", f"--disk=1:attach,uuid={uuid}")
    assert one.volumes()[1] == volume
    resumed(one, known)


def test_disks_of_a_stopped_server_move_to_the_other_store_and_back(story: Story, servers: dict[str, Server]) -> None:
    one = servers["cow"]
    for provider, access in (("rbd", "userspace"), ("cow", "kernelspace")):
        known = halted(one)
        server.storage(story.master, "migrate", one.name, provider, f"--param=access={access}")
        there = {row["name"]: row for row in server.storage(story.master, "list", f"--provider={provider}")}
        assert set(one.volumes()) <= set(there)
        resumed(one, known)
    assert findings(story) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_chain_of_ten_servers_and_snapshots_costs_no_more_than_its_levels(story: Story, provider: str) -> None:
    deep = Server(story, f"deep-{provider}", provider, story.master)
    names, costs = ["chain-0"], []
    verb = partial(call, deep.home, provider)
    verb("create", "chain-0", VOL_SIZE=str(server.SIZES[0]), EXTP_ORIGIN=f"image:{IMAGE}")
    try:
        for level in range(DEPTH):
            last, then, new = f"chain-{level}", f"chain-{level}.then", f"chain-{level + 1}"
            names += [then, new]
            looked = level in (0, DEPTH - 1)
            before = _cost(deep, last) if looked else 0
            verb("snapshot", last, VOL_SNAPSHOT_NAME=then)
            verb("create", new, VOL_SIZE=str(server.SIZES[0]), EXTP_ORIGIN=f"snapshot:{then}")
            costs += [_cost(deep, new) - before] if looked else []
        deep.add([f"volume:chain-{DEPTH}", ""])
        with deep.console() as console:
            assert console.report()["mark"] == guest.MARK
    finally:
        deep.remove()
        for name in names:
            verb("remove", name)
    # Of files no clone is in more pieces than the first; librbd opens all that an image descends from.
    assert costs[-1] <= costs[0] + {"cow": 0, "rbd": 120 * (DEPTH - 1)}[provider], costs


def _cost(one: Server, volume: str) -> int:
    """Pieces of a file, or operations of Ceph until now."""
    if one.provider == "cow":
        return int(one.home.run("filefrag", f"{SHARED}/volumes/{volume}.raw").split()[-3])
    told = pool.ceph().run("ceph", "daemon", "osd.0", "perf", "dump", "osd")
    return int(json.loads(told)["osd"]["op"])


def test_ceph_stops_and_comes_back_while_the_guest_writes(story: Story, servers: dict[str, Server]) -> None:
    one, ceph = servers["rbd"], pool.ceph()
    one.home.write("/etc/ganeti-ext/rbd.conf", "[rbd]\ntimeout = 2\n")
    with one.console() as console:
        known = server.acknowledged(console)
        for kind, name in (("osd", "0"), ("mon", "a")):
            ceph.stop(kind, name, signal.SIGKILL)
        assert "Ceph" in refused(one, "snapshot", VOL_SNAPSHOT_NAME="never")
        ceph.up()
        server.acknowledged(console, 5)
        last = server.stop(console)
        assert last > known
        server.write(console, server.numbers(console, last) + 1)
    assert findings(story) == []


def test_a_node_without_its_share_gets_no_server(story: Story, servers: dict[str, Server]) -> None:
    one, other = servers["cow"], story.nodes[2]
    other.run("mount", "-t", "tmpfs", "none", SHARED)
    try:
        said = one.fails("migrate", "--force", f"--target-node={other.name}")
        assert re.search(rf"{SHARED}.*does not exist", said), said
        with one.console() as console:
            server.acknowledged(console, 5)
    finally:
        other.run("umount", SHARED)
    one.move("migrate", other)
    one.move("migrate", story.nodes[1])
    with one.console() as console:
        last = server.stop(console)
        server.write(console, server.numbers(console, last) + 1)
    assert findings(story) == []


def test_nothing_is_lost_with_a_node_and_nothing_is_left_of_it(story: Story, servers: dict[str, Server]) -> None:
    there, here = story.nodes[1], story.master
    with contextlib.ExitStack() as opened:
        pairs = [(one, opened.enter_context(one.console())) for one in servers.values()]
        for _, console in pairs:
            server.aloud(console)
        opened.callback(story.gnt, "node", "modify", "--offline=no", "--force", "--auto-promote", there.name)
        busy = [_snapshots(one) for one in servers.values()]
        with dead(there, here):
            known = [server.heard(console) for _, console in pairs]
            for process in busy:
                process.wait()
            story.gnt("node", "modify", "--offline=yes", "--force", there.name)
            at_once(partial(one.move, "failover", here) for one in servers.values())
            for (one, _), blocks in zip(pairs, known, strict=True):
                checked(one, blocks)
    for node in story.nodes:
        server.storage(node, "repair")
    assert findings(story) == []
    for row in server.storage(here, "list", "--kind=snapshot", "--kind=volume"):
        if row["name"].startswith("busy-"):
            server.storage(here, "remove", row["name"])
    at_once(partial(one.move, "migrate", there) for one in servers.values())


def _snapshots(one: Server) -> subprocess.Popen[bytes]:
    """Its node makes snapshots without end."""
    again = 'n=0; while :; do ganeti-ext-storage snapshot "$1" "busy-$1-$((n=n+1))"; done'
    return subprocess.Popen(one.home.enter("sh", "-c", again, "sh", one.volumes()[1]), stderr=subprocess.DEVNULL)


# The shell's own words: without its disk a guest starts no program.
_ACKED = "read now < /tmp/acked; echo $now"


def test_a_node_that_is_cut_off_writes_no_more(story: Story, servers: dict[str, Server]) -> None:
    one, there, here = servers["rbd"], story.nodes[1], story.master
    with one.console() as old:
        with cut_off(there, here):
            known = int(old.ask(_ACKED))
            story.gnt("node", "modify", "--offline=yes", "--force", there.name)
            one.move("failover", here)
            checked(one, known)
            with one.console() as console:
                server.acknowledged(console, 5)
        # It goes on where it was: what it had begun to write comes to nothing.
        old.ask("until [ -e /tmp/stopped ]; do :; done")
        assert int(old.ask(_ACKED)) == known
    there.run("sh", "-c", f"kill -9 $(cat /run/ganeti/kvm-hypervisor/pid/{one.name})")
    story.gnt("node", "modify", "--offline=no", "--force", "--auto-promote", there.name)
    with one.console() as console:
        last = server.stop(console)
        server.write(console, server.numbers(console, last) + 1)
    one.move("migrate", there)
    assert findings(story) == []
