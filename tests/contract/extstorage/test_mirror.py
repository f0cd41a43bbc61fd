"""Disks of a real QEMU move to another pool while its guest writes: their content, what is killed, what fails."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from extstorage import lockfile, mirror_ssh
from extstorage.inventory_ganeti import Ganeti
from extstorage.mirror_qemu import Pair
from lab import BASES, base, layer
from lab.step import until
from tests.contract.extstorage.choice import ALL
from tests.contract.extstorage.harness import MIB, ROOT, Node, add_node, empty, loops, mounted
from tests.contract.extstorage.mirror_site import UUIDS, Site, Writer, identity, ids, same

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not BASES.exists(), reason="the nodes' Debian 13 is made by: make lab-up"),
]
SIZES = [16, 8]
TO_SLOW = ("migrate", "web", "cow", "--to-pool=slow")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with layer.mounted(base.root(), tmp_path_factory.mktemp("debian") / "layer") as found:
        yield found


@pytest.fixture(scope="module")
def slow_share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with mounted("xfs", tmp_path_factory.mktemp("slow")) as point:
        yield point


class Shares:
    """Both pools."""

    def __init__(self, node: Node, slow: Node) -> None:
        self.nodes = {"": node, "slow": slow}

    def content(self, site: Site, number: int) -> bytes:
        job = site.job()
        facts = job.config["disks"][job.disks[number]]
        return self.nodes[facts["params"].get("pool", "")].file(facts["logical_id"][1]).read_bytes()

    def volumes(self) -> list[int]:
        return [len(node.volumes()) for node in self.nodes.values()]

    def holders(self, site: Site) -> list[str]:
        """How each disk of the instance is open."""
        job = site.job()
        found = []
        for uuid in job.disks:
            facts = job.config["disks"][uuid]
            found += self.nodes[facts["params"].get("pool", "")].holders(facts["logical_id"][1])
        return found

    def locks(self) -> int:
        """How many volumes have a lock."""
        shares = (node.share for node in self.nodes.values())
        return sum(bool(lockfile.holders(str(path))) for share in shares for path in share.glob("locks/*"))


@pytest.fixture
def site(root: Path, xfs_share: Path, slow_share: Path, tmp_path: Path) -> Iterator[tuple[Site, Shares]]:
    node = add_node(xfs_share, tmp_path / "one", f"pools = slow:{slow_share}\n")
    (tmp_path / "etc").symlink_to("one")
    run = root / "run/move"
    found = Site(tmp_path, run, ["chroot", str(root)], "/run/move", SIZES)
    try:
        found.start()
        yield found, Shares(node, Node(slow_share, node.etc))
    finally:
        found.stop()
        empty(xfs_share)
        empty(slow_share)
        shutil.rmtree(run)


def is_moved(site: Site, shares: Shares, *, open_: bool = True) -> None:
    assert site.rows() == [("cow", "slow", ""), ("cow", "slow", "name1")]
    assert shares.volumes() == [0, 2]
    assert shares.holders(site) == (["one exclusive"] * 2 if open_ else [])
    assert shares.locks() == (2 if open_ else 0)
    assert len(site.job().config["disks"]) == 2


def test_a_guest_that_writes(site: tuple[Site, Shares]) -> None:
    qemu, shares = site
    devices = ids(qemu)
    assert "would move disk 0 of web" in qemu.call(*TO_SLOW, "--dry-run").stdout
    with Writer(qemu, devices) as writer:
        done = qemu.call(*TO_SLOW)
        assert done.returncode == 0, done.stderr
        assert "disk 0 of web is cow volume" in done.stdout
        count = writer.count
        until("the guest goes on", lambda: writer.count > count + 20, 20)
    assert writer.wrong == ""
    is_moved(qemu, shares)
    assert ids(qemu) == devices == [identity(uuid) for uuid in UUIDS[: len(SIZES)]]
    assert qemu.nodes() == sorted(identity(uuid) for uuid in qemu.job().disks)
    qemu.stop()
    assert [shares.content(qemu, number) == qemu.models[number] for number in (0, 1)] == [True, True]
    assert len(loops(shares.nodes[""].share)) == 0


def test_what_ganeti_does_next(site: tuple[Site, Shares]) -> None:
    """A growth finds the node by the new disk's UUID; a live migration, as a reboot, goes by the runtime file."""
    qemu, shares = site
    assert qemu.call(*TO_SLOW).returncode == 0
    job = qemu.job()
    for disk in job.disks:
        file = shares.nodes["slow"].file(job.config["disks"][disk]["logical_id"][1])
        assert file.stat().st_blocks == 0  # nobody has written to them
    uuid = job.disks[0]
    job.verb(uuid, "grow", VOL_SIZE="16", VOL_NEW_SIZE="20")
    job.config["disks"][uuid]["size"] = 20
    job.save()
    with qemu.qmp() as qmp:
        qmp.ask("block_resize", None, {"node-name": identity(uuid), "size": 20 * MIB})
    runtime = json.loads(qemu.runtime.read_text())[3]
    assert [one["uuid"] for one, *_ in runtime] == job.disks
    assert [link for _, link, _ in runtime] == [
        str(qemu.runtime.parents[2] / f"instance-disks/web:{n}") for n in (0, 1)
    ]
    assert shares.holders(qemu) == ["one exclusive"] * 2
    assert ids(qemu) == [identity(uuid) for uuid in UUIDS[: len(SIZES)]]
    qemu.migrate()
    assert ids(qemu) == [identity(one) for one in job.disks]  # and so it can be unplugged
    assert sorted(ids(qemu)) == qemu.nodes()
    with Writer(qemu, ids(qemu)) as writer:
        assert qemu.call("migrate", "web", "cow").returncode == 0
    assert writer.wrong == ""
    is_as_at_first(qemu, shares)


def is_as_at_first(site: Site, shares: Shares) -> None:
    assert site.rows() == [("cow", "", ""), ("cow", "", "name1")]
    assert (shares.volumes(), shares.holders(site)) == ([2, 0], ["one exclusive"] * 2)


def test_there_and_back_and_there_again(site: tuple[Site, Shares]) -> None:
    """The device has had other disks before, whose names it does not remember."""
    qemu, shares = site
    with Writer(qemu, ids(qemu)) as writer:
        for pool in ("slow", "", "slow"):
            done = qemu.call("migrate", "web", "cow", *([f"--to-pool={pool}"] if pool else []))
            assert done.returncode == 0, done.stderr
    assert writer.wrong == ""
    is_moved(qemu, shares)
    assert ids(qemu) == [identity(uuid) for uuid in UUIDS[: len(SIZES)]]
    qemu.stop()
    for number in (0, 1):
        assert shares.content(qemu, number) == qemu.models[number]


def test_a_target_that_is_full(site: tuple[Site, Shares], slow_share: Path) -> None:
    qemu, shares = site
    with contextlib.suppress(OSError), (slow_share / "filler").open("wb") as file:
        while True:
            file.write(bytes(MIB))
    try:
        with Writer(qemu, ids(qemu)) as writer:
            until("there is data", lambda: writer.count > 300, 60)
            done = qemu.call(*TO_SLOW)
    finally:
        (slow_share / "filler").unlink()
    assert (done.returncode, writer.wrong) == (1, ""), done.stderr
    assert "No space left on device" in done.stderr
    is_as_before(qemu, shares)
    assert qemu.call(*TO_SLOW).returncode == 0
    is_moved(qemu, shares)


def is_as_before(site: Site, shares: Shares) -> None:
    assert site.rows() == [("cow", "", ""), ("cow", "", "name1")]
    assert shares.volumes() == [2, 0]
    assert shares.holders(site) == ["one exclusive"] * 2
    assert shares.locks() == 2
    assert site.nodes() == sorted(identity(uuid) for uuid in UUIDS[: len(SIZES)])
    assert site.status() == "running"
    assert len(site.job().config["disks"]) == 2


def begun(qemu: Site) -> subprocess.Popen[str]:
    """The command at work."""
    return subprocess.Popen(
        [str(ROOT / "extstorage/ganeti-ext-storage"), *qemu.argv(*TO_SLOW)],
        env=qemu.env(),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_no_migration_while_a_disk_moves(site: tuple[Site, Shares]) -> None:
    qemu, shares = site
    (first, *_) = qemu.job().disks
    work = begun(qemu)
    node = shares.nodes[""]
    until("the disk is marked", lambda: node.holders("v0") == ["one moving"], 30)
    with pytest.raises(Exception, match="volume 'v0' is being moved to another store"):
        qemu.job().verb(first, "open", VOL_OPEN_EXCLUSIVE="False")
    assert "are being moved already" in qemu.call(*TO_SLOW).stderr
    assert work.wait(60) == 0
    is_moved(qemu, shares)


def test_a_guest_that_ends_meanwhile(site: tuple[Site, Shares]) -> None:
    qemu, shares = site
    work = begun(qemu)
    until("the disk is marked", lambda: shares.nodes[""].holders("v0") == ["one moving"], 30)
    qemu.stop()
    told = work.communicate(timeout=60)[1]
    assert work.returncode == 1
    assert "stays as the detached disk" in told
    qemu.shut()
    assert qemu.call(*TO_SLOW).returncode == 0
    is_moved(qemu, shares, open_=False)


def test_the_node_undoes_what_nobody_waits_for(site: tuple[Site, Shares]) -> None:
    """What the master says by ssh; a master that dies closes stdin."""
    qemu, shares = site
    (first, *_) = qemu.job().disks
    facts = {"name": "copy-of-" + first, "provider": "cow", "mode": "rw", "size": "16m", "pool": "slow"}
    job = qemu.job()
    job.add(2, facts)
    new = job.disks[2]
    job.detach(2, {})
    job.save()
    configuration = Ganeti(f"{qemu.place}/data").configuration()
    assert configuration
    old, copy = (next(disk for disk in configuration.disks if disk.uuid == uuid) for uuid in (first, new))
    words = [str(ROOT / "extstorage/ganeti-ext-storage"), *qemu.argv("mirror", "run")]
    for asks in (False, True):
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            process.stdin.write(mirror_ssh.to_text(Pair(old, copy)).encode() + b"\n")
            process.stdin.flush()
            if asks:
                assert json.loads(process.stdout.read()) == {"runs": True}
            else:
                process.stdin.close()
                assert b"whoever asked for the mirror is gone" in process.stderr.read()
        assert process.returncode == (0 if asks else 1)
        nodes = [identity(new if asks else first), identity(UUIDS[1])]
        assert qemu.nodes() == sorted(nodes)
        assert shares.nodes[""].holders("v0") == ["one moved" if asks else "one exclusive"]
        assert shares.nodes["slow"].holders(copy.volume) == (["one exclusive"] if asks else [])
    assert qemu.call(*TO_SLOW).returncode == 0
    is_moved(qemu, shares)


def again(qemu: Site) -> None:
    """The same command, until it is not hindered by what a killed one left to a guard."""
    end = time.monotonic() + 30
    while (done := qemu.call(*TO_SLOW)).returncode and "moved already" in done.stderr and time.monotonic() < end:
        pass
    assert done.returncode == 0, done.stderr


# Steps of the first disk's move: see mirror_killed.py. From 11 to 22 are those of the pivot.
AGAIN = [(step, "self") for step in (1, 9, 18, 26)] + [(step, "all") for step in (14, 18, 21)]
ENDED = [(step, "self") for step in (10, 15)] + [(step, "all") for step in (13, 17, 18, 19, 21, 26)]
if ALL:
    AGAIN = ENDED = [(step, who) for step in range(32) for who in ("self", "all")]


@pytest.mark.parametrize(("step", "who"), AGAIN)
def test_killed_and_said_again(site: tuple[Site, Shares], step: int, who: str) -> None:
    qemu, shares = site
    with Writer(qemu, ids(qemu)) as writer:
        assert qemu.call(*TO_SLOW, killed=(step, who)).returncode == -9
        again(qemu)
        count = writer.count
        until("the guest goes on", lambda: writer.count > count + 5, 20)
    assert writer.wrong == ""
    is_moved(qemu, shares)
    qemu.stop()
    assert [shares.content(qemu, number) == qemu.models[number] for number in (0, 1)] == [True, True]


@pytest.mark.parametrize(("step", "who"), ENDED)
def test_killed_and_the_guest_too(site: tuple[Site, Shares], step: int, who: str) -> None:
    """The node's QEMU dies after the command did: an administrator shuts the instance down, and says it again."""
    qemu, shares = site
    with Writer(qemu, ids(qemu)) as writer:
        assert qemu.call(*TO_SLOW, killed=(step, who)).returncode == -9
        qemu.stop()
    qemu.shut()
    again(qemu)
    is_moved(qemu, shares, open_=False)
    for number in (0, 1):
        maybe = writer.last[1:] if writer.last and writer.last[0] == number else None
        assert same(shares.content(qemu, number), bytes(qemu.models[number]), maybe)
