"""The hook that makes tenants' snapshots, as Ganeti runs it: on a real Ceph, and between it and a directory."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from lab import layer
from tests.contract.extstorage.rbd_node import MIB, NEEDS, Node, guest, node, nodes, quick_to_forget
from tests.contract.extstorage.test_ctl_rbd import SHARE, call, data, ok

pytestmark = NEEDS
__all__ = ["node", "nodes", "quick_to_forget"]

HOOK = f"{layer.HERE}/extstorage/instance-image"
ONE, TWO, THREE = (letter * 8 + "-0000-4000-8000-000000000000" for letter in "abc")


@pytest.fixture
def both(node: Node) -> Iterator[Node]:
    """A node with a disk of 4 MiB in Ceph, `r`, and one in a directory, `c`, of different content."""
    for name in ("volumes", "images"):
        (node.ceph.root / SHARE[1:] / name).mkdir(parents=True, exist_ok=True)
    own = f"run_directory = /run/moved\nnode = {node.name}.lab\ndata_directory = {data(node)}\n"
    node.write(f"{node.etc}/cow.conf", f"[cow]\ndirectory = {SHARE}\n{own}")
    for name, provider in (("r", "rbd"), ("c", "cow")):
        ok(node, "create", name, "4M", f"--provider={provider}")
    node.io("r", "write -P 5 0 64k")
    (node.ceph.root / f"{SHARE[1:]}/volumes/c.raw").write_bytes(b"\6" * 65536 + bytes(4 * MIB - 65536))
    yield node
    node.ceph.run("rm", "-r", SHARE)


def hook(node: Node, *tags: str) -> subprocess.CompletedProcess[str]:
    """Before an instance of `r` and `c` is modified that has these tags."""
    env = {
        "GANETI_HOOKS_PHASE": "pre",
        "GANETI_OP_CODE": "OP_INSTANCE_SET_PARAMS",
        "GANETI_OBJECT_TYPE": "INSTANCE",
        "GANETI_INSTANCE_NAME": "web",
        "GANETI_INSTANCE_STATUS": "down",
        "GANETI_INSTANCE_PRIMARY": f"{node.name}.lab",
        "GANETI_INSTANCE_TAGS": " ".join(tags),
        "GANETI_INSTANCE_DISK_COUNT": "2",
        "GANETI_DATA_DIR": data(node),
        "GANETI_EXT_CONFIG_DIR": node.etc,
    }
    for number, (provider, name) in enumerate((("rbd", "r"), ("cow", "c"))):
        known = {"NAME": f"vol-{name}", "UUID": f"u-{name}", "PROVIDER": provider, "ID": name}
        env |= {f"GANETI_INSTANCE_DISK{number}_{key}": value for key, value in known.items()}
    return node.program(HOOK, env=env)


def well(node: Node, *tags: str) -> None:
    done = hook(node, *tags)
    said = [line for line in done.stderr.splitlines() if "warning: no reflink" not in line]  # as on an overlay
    assert (done.returncode, done.stdout, said) == (0, "", [])


def saved(node: Node) -> set[str]:
    """Stores and names of what there is beside the two disks."""
    return {f"{row['store']}:{row['name']}" for row in ok(node, "list") if row["name"] not in ("r", "c")}


@pytest.mark.usefixtures("quick_to_forget")
def test_disks_of_both_stores_at_once(both: Node) -> None:
    tags = (f"ganeti-ext:saving:rbd:{ONE}:vol-r", f"ganeti-ext:saving:cow:{TWO}:vol-c")
    with guest(both, "r"):  # a volume that is open is not in its way
        for _ in range(2):
            well(both, *tags)
    assert saved(both) == {f"rbd:saved-{ONE}", f"cow:saved-{TWO}"}
    assert both.has(f"saved-{ONE}", 1)  # what the guest wrote
    both.io("r", "write -P 9 0 64k")
    assert both.has(f"saved-{ONE}", 1)
    done = hook(both, f"ganeti-ext:saving:rbd:{THREE}", f"ganeti-ext:saving:cow:{THREE}:u-r")
    assert done.returncode == 1
    assert done.stderr.startswith("instance-image: disk 0 of web is in rbd, and images are to be in cow")
    well(both, *(f"ganeti-ext:forget:{store}:{ident}" for store, ident in (("rbd", ONE), ("cow", TWO))))
    assert saved(both) == set()


def test_a_snapshot_that_clones_need_goes_with_the_last_of_them(both: Node) -> None:
    well(both, f"ganeti-ext:saving:rbd:{ONE}")
    ok(both, "clone", f"snapshot:saved-{ONE}", "clone", "--provider=rbd")
    well(both, f"ganeti-ext:forget:rbd:{ONE}")
    assert saved(both) == {"rbd:clone"}
    assert both.has("clone", 5)
    ok(both, "remove", "clone")
    ok(both, "remove", "r")
    assert both.left() == set()


@pytest.mark.parametrize(("disk", "to", "byte"), [("c", "rbd", 6), ("r", "cow", 5)])
def test_a_disk_that_goes_to_the_other_store(both: Node, disk: str, to: str, byte: int) -> None:
    """What Ganeti's job does then is to make a disk of the copy, to remove the old one, and the copy is forgotten."""
    other = {"rbd": "cow", "cow": "rbd"}[to]
    for _ in range(2):
        well(both, f"ganeti-ext:copying:{to}:{ONE}:vol-{disk}")
    assert saved(both) == {f"{to}:saved-{ONE}"}
    assert call(both, "clone", f"snapshot:saved-{ONE}", "new", f"--provider={to}", "--size=4M").returncode == 0
    ok(both, "remove", disk, f"--provider={other}")
    well(both, f"ganeti-ext:forget:{to}:{ONE}")
    assert saved(both) == {f"{to}:new"}
    if to == "rbd":
        assert both.has("new", byte) and both.has("new", 0, MIB)
    else:
        content = (both.ceph.root / f"{SHARE[1:]}/volumes/new.raw").read_bytes()
        assert content == bytes([byte]) * 65536 + bytes(4 * MIB - 65536)
    assert ok(both, "locks") == []
