"""The disk of a real QEMU moves to a real Ceph, and back, while its guest writes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import ceph, layer
from lab.step import until
from tests.contract.extstorage.harness import free, sh
from tests.contract.extstorage.mirror_site import identity
from tests.contract.extstorage.rbd_node import NEEDS, Node, node, nodes

pytestmark = NEEDS
__all__ = ["node", "nodes"]

PLACE = "/run/mirror"
SHARE = "/srv/mirror"


@pytest.fixture
def share(node: Node) -> Iterator[Path]:
    """The directory of cow's in Ceph's root."""
    point = node.ceph.root / SHARE[1:]
    point.mkdir(parents=True)
    sh("mount", "-t", "tmpfs", "mirror-test", point)
    node.ceph.run("mount", "-t", "sysfs", "sysfs", "/sys")
    try:
        for name in ("volumes", "images"):
            (point / name).mkdir()
        own = f"run_directory = {PLACE}/run-NAME\nnode = one\ndata_directory = {PLACE}/data\n"
        for name, keys in (("cow", f"directory = {SHARE}"), ("rbd", f"user = {ceph.USER}\ntimeout = 5")):
            node.write(f"{PLACE}/etc/{name}.conf", f"[{name}]\n{keys}\n{own.replace('NAME', name)}")
        node.write(f"{PLACE}/data/ssconf_node_list", "one\n")
        yield point
    finally:
        free(point)
        node.ceph.run("umount", "--lazy", "/sys")
        sh("umount", "--lazy", point)
        point.rmdir()
        node.ceph.run("rm", "-r", PLACE)


def begun(node: Node, *wishes: str) -> subprocess.Popen[str]:
    words = ["env", "-C", layer.HERE, "python3", "-m", "tests.contract.extstorage.mirror_inside", PLACE, *wishes]
    return subprocess.Popen(
        node.ceph.enter(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    told, why = process.communicate(timeout=120)
    assert process.returncode == 0, why
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def story(node: Node, *wishes: str) -> dict[str, Any]:
    return ended(begun(node, *wishes))


def test_to_ceph(node: Node, share: Path) -> None:
    found = story(node, "rbd:userspace")
    assert [one[0] for one in found["done"]] == [0], found["done"]
    assert (found["same"], found["runs"], found["wrong"]) == (True, "running", "")
    assert found["count"] > found["done"][0][3] or found["count"] > 50
    assert (found["rows"], found["disks"], found["moved"]) == ([["rbd", "", ""]], 1, False)
    assert found["nodes"] == [identity(found["uuid"])]
    facts, link, uri = found["entry"]
    assert (facts["logical_id"][0], facts["uuid"], facts["params"]["access"]) == ("rbd", found["uuid"], "userspace")
    assert (link, uri.startswith("rbd:rbd/")) == (None, True)
    assert (list(share.glob("volumes/*")), len(node.names())) == ([], 1)


def test_to_ceph_and_back(node: Node, share: Path) -> None:
    found = story(node, "rbd:userspace", "cow:kernelspace")
    assert [one[0] for one in found["done"]] == [0, 0], found["done"]
    assert (found["same"], found["runs"], found["wrong"]) == (True, "running", "")
    assert (found["rows"], found["disks"], found["moved"]) == ([["cow", "", ""]], 1, False)
    facts, link, uri = found["entry"]
    assert (facts["logical_id"][0], link, uri) == ("cow", f"{PLACE}/ganeti/instance-disks/web:0", None)
    assert (len(list(share.glob("volumes/*"))), node.names()) == (1, [])


def test_a_ceph_that_does_not_answer(node: Node, share: Path) -> None:
    with node.ceph.frozen():
        found = story(node, "rbd:userspace")
    ((code, _, told, _),) = found["done"]
    assert code == 1
    assert "rbd" in told
    assert (found["same"], found["runs"], found["wrong"]) == (True, "running", "")
    assert (found["rows"], found["disks"], found["moved"]) == ([["cow", "", ""]], 1, False)


@pytest.mark.parametrize("open_", [False, True])
def test_a_ceph_that_halts_for_a_while(node: Node, share: Path, *, open_: bool) -> None:
    """While a disk is mirrored to it, its guest may have to wait, and no longer."""
    process = begun(node, "rbd:userspace")

    def mirrored() -> bool:
        locks = (path.read_text() for path in share.glob("locks/v0/[0-9]*"))
        return any(" moving " in text for text in locks) and (not open_ or bool(node.names()))

    until("the disk is mirrored", mirrored, 30, pause=0.01)
    with node.ceph.frozen():
        assert not until_ended(process, 3)
    found = ended(process)
    assert [one[0] for one in found["done"]] == [0], found["done"]
    assert (found["same"], found["runs"], found["wrong"]) == (True, "running", "")
    assert (found["rows"], found["disks"], found["moved"]) == ([["rbd", "", ""]], 1, False)


def until_ended(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_an_access_that_a_store_does_not_have(node: Node, share: Path) -> None:
    """Only cow's own file system lets QEMU at the disk of `cow`, and no kernel here maps RBD images."""
    found = story(node, "rbd:kernelspace")
    ((code, _, told, _),) = found["done"]
    assert (code, "access=userspace" in told) == (1, True)
    assert (found["same"], found["runs"], found["wrong"]) == (True, "running", "")
    assert (found["rows"], found["disks"], found["moved"]) == ([["cow", "", ""]], 1, False)
    assert node.names() == []
