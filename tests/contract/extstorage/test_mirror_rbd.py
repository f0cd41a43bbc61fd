"""The disk of a real QEMU moves to a real Ceph, and back, while its guest writes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import ceph, layer
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


def story(node: Node, *wishes: str) -> dict[str, Any]:
    words = ["env", "-C", layer.HERE, "python3", "-m", "tests.contract.extstorage.mirror_inside", PLACE, *wishes]
    done = subprocess.run(
        node.ceph.enter(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


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


def test_an_access_that_a_store_does_not_have(node: Node, share: Path) -> None:
    """Only cow's own file system lets QEMU at the disk of `cow`, and no kernel here maps RBD images."""
    found = story(node, "rbd:kernelspace")
    ((code, _, told, _),) = found["done"]
    assert (code, "access=userspace" in told) == (1, True)
    assert (found["same"], found["runs"], found["wrong"]) == (True, "running", "")
    assert (found["rows"], found["disks"], found["moved"]) == ([["cow", "", ""]], 1, False)
    assert node.names() == []
