"""A running instance's disk: QEMU's words for it, Ganeti's runtime file, the lock while it moves."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from extstorage import mirror, mirror_ssh
from extstorage.inventory_ganeti import Disk, Ganeti
from extstorage.lock import (
    EXCLUSIVE,
    MOVED,
    MOVING,
    SHARED,
    Held,
    Holder,
    closed,
    from_text,
    marked,
    opened,
    to_text,
    unmarked,
)
from extstorage.mirror_guard import Guard
from extstorage.mirror_qemu import Pair
from ganeti_ext.errors import ContractError, ExtError
from lab.step import until

OLD = Disk("932df160-7a22-4067-a566-7e0ca8386133", "cow", "v", "", 8, "web", 1, "a", "up", "data", "rw", {})
NEW = OLD._replace(uuid="0b1d5f3e-1111-4222-8333-444455556666", provider="rbd", volume="w", name="copy-of-x", size=12)
BOTH = Pair(OLD, NEW)


def entry(disk: Disk, **params: str) -> list[Any]:
    facts = {"uuid": disk.uuid, "dev_type": "ext", "logical_id": [disk.provider, disk.volume], "size": disk.size}
    hvinfo = {"driver": "virtio-blk-pci", "id": mirror.node_name(disk), "bus": "pci.0", "addr": "0x9"}
    return [{**facts, "params": params, "hvinfo": hvinfo, "iv_name": "disk/1"}, "/run/x/web:1", None]


OTHER = entry(OLD._replace(uuid="f" * 8 + OLD.uuid[8:], volume="u"), access="kernelspace")
RUNTIME: list[Any] = [["kvm"], ["nic"], {"disk_aio": "io_uring"}, [OTHER, entry(OLD, access="userspace", pool="p")]]


def test_names_are_those_that_ganeti_makes() -> None:
    assert mirror.node_name(OLD) == "disk-932df160-7a22-4067"
    assert len(mirror.node_name(OLD)) <= 30


@pytest.mark.parametrize(
    ("reply", "driver"),
    [
        ("/dev/loop3", {"driver": "host_device", "filename": "/dev/loop3", "aio": "native"}),
        ("\nkvm:rbd:pool/image-1.x", {"driver": "rbd", "pool": "pool", "image": "image-1.x"}),
        (
            "\nkvm:rbd:p/i:id=me:conf=/etc/ceph/x.conf",
            {"driver": "rbd", "pool": "p", "image": "i", "user": "me", "conf": "/etc/ceph/x.conf"},
        ),
        ("\nxen:x\nkvm:/srv/a:b", {"driver": "file", "filename": "/srv/a:b", "aio": "native"}),
    ],
)
def test_what_attach_says(reply: str, driver: dict[str, str]) -> None:
    assert mirror.protocol(*mirror.answered(reply), "native") == driver


def test_a_copy_has_holes_and_no_page_cache() -> None:
    copy = mirror.tree(NEW, {"driver": "x"})
    assert (copy["discard"], copy["detect-zeroes"], copy["cache"]["direct"]) == ("unmap", "unmap", True)
    assert (copy["node-name"], copy["file"]) == (mirror.node_name(NEW), {"driver": "x"})


def test_a_qemu_that_cannot_change_a_mirror_writes_to_both_from_the_start() -> None:
    assert mirror.mirrored(OLD, NEW, {"block-job-change"})["copy-mode"] == "background"
    assert mirror.mirrored(OLD, NEW, set())["copy-mode"] == "write-blocking"


@pytest.mark.parametrize("own", [{}, {"access": "kernelspace"}, {"access": "userspace", "pool": "ssd"}])
def test_the_runtime_file_of_a_disk_that_has_moved(own: dict[str, str]) -> None:
    new = mirror.with_access(RUNTIME, OLD, NEW._replace(params=own))
    assert new.params == {"access": "userspace", **own}
    after = mirror.exchanged(RUNTIME, OLD, new, "/run/x/web:1", "rbd:p/w")
    assert after[:3] == RUNTIME[:3]
    assert after[3][0] == OTHER
    facts, link, uri = after[3][1]
    assert (facts["uuid"], facts["logical_id"], facts["size"]) == (NEW.uuid, ["rbd", "w"], 12)
    assert facts["hvinfo"] == {"driver": "virtio-blk-pci", "id": mirror.node_name(NEW), "bus": "pci.0", "addr": "0x9"}
    userspace = new.params["access"] == "userspace"
    assert (link, uri) == ((None, "rbd:p/w") if userspace else ("/run/x/web:1", None))
    assert facts["params"] == new.params
    assert mirror.exchanged(after, OLD, new, "", "") == after
    assert mirror.with_access(after, OLD, NEW).params["access"] == new.params["access"]
    assert mirror.withdrawn(after, RUNTIME[3][1], new) == RUNTIME


def test_a_disk_that_qemu_was_not_started_with() -> None:
    with pytest.raises(ExtError, match="QEMU was not started with disk 1 of instance 'web'"):
        mirror.with_access([[], [], {}, [OTHER]], OLD, NEW)


@pytest.mark.parametrize("text", ["", "[]", "[1,2,3]", '[1,2,3,[["x"]]]', '{"a": 1}', "[1,2,3,4]"])
def test_a_runtime_file_that_is_none(text: str) -> None:
    with pytest.raises(ExtError, match=r"/run/web.runtime is not Ganeti's"):
        mirror.parsed(text, "/run/web.runtime")
    assert mirror.parsed(json.dumps(RUNTIME), "") == RUNTIME


A, B = (Holder(node, EXCLUSIVE, "boot", "now") for node in "ab")


def take(before: tuple[Holder, ...], mine: Holder, dead: str = "") -> tuple[Holder, ...]:
    return opened("v", before, mine, lambda node: "off" if node == dead else "", "unlock").holders


def test_a_volume_that_moves_is_not_shared() -> None:
    moving = marked("v", (A,), A._replace(mode=MOVING))
    assert moving == (A._replace(mode=MOVING),)
    with pytest.raises(Held, match=r"'v' is being moved to another store, by a \(moving, since now\)"):
        take(moving, A._replace(mode=SHARED))
    assert take(moving, A) == moving  # activate-disks, a restart: no live migration yet
    assert take(moving, A._replace(boot="later")) == (A._replace(boot="later"),)
    with pytest.raises(Held, match="'v' is open on a"):
        take(moving, B)
    assert take(moving, B, dead="a") == (B,)
    assert closed(moving, "a") == ()
    assert unmarked(moving, "a") == (A,)


def test_a_volume_that_has_moved_is_nobodys() -> None:
    moved = marked("v", (A._replace(mode=MOVING),), A._replace(mode=MOVED))
    for mine in (A, A._replace(mode=SHARED), B):
        with pytest.raises(Held, match="'v' is not to be used: its disk was being moved"):
            take(moved, mine, dead="a")
    assert closed(moved, "a") == moved
    assert unmarked(moved, "b") == moved
    assert from_text(to_text(moved), "x") == moved
    assert marked("v", (), A._replace(mode=MOVED)) == moved


def test_what_another_node_has_is_not_marked() -> None:
    with pytest.raises(Held, match="should be open on a alone, found b"):
        marked("v", (B._replace(mode=SHARED),), A._replace(mode=MOVING))


def test_the_master_asks_by_ssh_and_says_which(tmp_path: Path) -> None:
    (tmp_path / "ssconf_cluster_name").write_text("cluster.lab\n")
    argv = mirror_ssh.command(Ganeti(str(tmp_path), ""), "node2", ["x", "y"])
    assert argv[-3:] == ["root@node2", "x", "y"]
    assert {"-oHostKeyAlias=cluster.lab", f"-oGlobalKnownHostsFile={tmp_path}/known_hosts"} < {*argv}
    assert mirror_ssh.from_text(mirror_ssh.to_text(BOTH)) == BOTH
    script = 'read line; echo "$line" >&2; printf "{\\"runs\\": true}"'
    assert mirror_ssh.ask("node2", ["sh", "-c", script], BOTH) == {"runs": True}


def test_what_went_wrong_on_the_node() -> None:
    with pytest.raises(ExtError, match=r"on node node2 it came to nothing \(exit code 3\)"):
        mirror_ssh.ask("node2", ["sh", "-c", "exit 3"], BOTH)
    for text in ("", "{}", '{"old": {}, "new": {}}'):
        with pytest.raises(ContractError, match="stdin should say which disk"):
            mirror_ssh.from_text(text)


@pytest.mark.parametrize("end", ["done", "error", "killed", "interrupted"])
def test_a_guard_ends_what_was_begun(tmp_path: Path, end: str) -> None:
    """The work writes its process: a guard adds its own if that one did not come to an end."""
    log = tmp_path / "log"

    def work() -> None:
        with log.open("a") as file:
            file.write(f"{os.getpid() == begun}\n")
        if os.getpid() == begun:
            if end == "killed":
                os.kill(begun, signal.SIGKILL)
            elif end != "done":
                raise {"error": ExtError, "interrupted": KeyboardInterrupt}[end](end)

    pid = os.fork()
    if not pid:
        begun = os.getpid()
        try:
            with Guard(work) as guard:
                guard.work()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    wanted = "True\n" if end in ("done", "error") else "True\nFalse\n"
    until("the guard has done it", lambda: log.read_text() == wanted, 10)
