"""Which stores a node has, which of them a volume is in, and what Ganeti's files say of disks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from extstorage import ctl_volumes, inventory, inventory_ganeti
from extstorage.inventory import Choice
from extstorage.inventory_ganeti import Ganeti
from ganeti_ext.errors import ContractError, ExtError

JOBS = Path(__file__).parents[2] / "data/jobs"
CONFIG: dict[str, Any] = {
    "nodes": {"n-1": {"name": "one.example.org"}},
    "instances": {
        "i-1": {"name": "web", "primary_node": "n-1", "admin_state": "up", "disks": ["d-2", "d-1"]},
        "i-2": {"name": "old", "primary_node": "n-1", "admin_state": "down", "disks": ["d-4"]},
    },
    "disks": {
        "d-1": {"uuid": "d-1", "dev_type": "ext", "logical_id": ["cow", "a"], "size": 10, "mode": "rw", "params": {}},
        "d-2": {
            "uuid": "d-2",
            "dev_type": "ext",
            "logical_id": ["rbd", "b"],
            "size": 20,
            "mode": "ro",
            "params": {"pool": "fast", "access": "userspace"},
        },
        "d-3": {"uuid": "d-3", "dev_type": "ext", "logical_id": ["cow", "c"], "size": 30, "name": "spare"},
        "d-4": {"uuid": "d-4", "dev_type": "plain", "logical_id": ["vg", "lv"], "size": 40, "mode": "rw"},
    },
}


@pytest.fixture
def node(tmp_path: Path) -> Choice:
    """Two directories of volumes, no Ceph."""
    for name in ("main", "slow"):
        (tmp_path / name / "volumes").mkdir(parents=True)
    (tmp_path / "cow.conf").write_text(
        f"[cow]\ndirectory = {tmp_path}/main\npools = slow:{tmp_path}/slow\nrun_directory = {tmp_path}/run\n"
    )
    (tmp_path / "rbd.conf").write_text(f"[rbd]\nconf = {tmp_path}/no-ceph.conf\n")
    return Choice(str(tmp_path))


def add(choice: Choice, pool: str, name: str) -> None:
    Path(choice.folder, pool, "volumes", f"{name}.raw").write_bytes(bytes(4096))


def test_stores_are_the_pools_of_what_this_node_can_use(node: Choice) -> None:
    assert [str(store) for store in node.stores()] == ["cow", "cow:slow"]
    assert [store.options for store in node.stores()] == ["--provider=cow", "--provider=cow --pool=slow"]
    assert [str(store) for store in node._replace(pool="slow").stores()] == ["cow:slow"]
    assert str(node.one()) == "cow"


def test_a_provider_that_is_named_or_used_must_be_usable(node: Choice) -> None:
    for choice, used in ((node._replace(provider="rbd"), set()), (node, {("rbd", "")})):
        with pytest.raises(ExtError, match=r"^rbd: .*no-ceph.conf does not exist"):
            choice.stores(used)
    with pytest.raises(ExtError, match=r"pool 'fast' is not in cow\.conf"):
        node._replace(provider="cow", pool="fast").stores()


def test_a_node_that_can_use_nothing(node: Choice) -> None:
    Path(node.folder, "main/volumes").rmdir()
    with pytest.raises(ExtError, match=r"cow: .*is the shared directory mounted.*; rbd: .*is Ceph configured"):
        node.stores()


def test_a_volume_is_looked_for_everywhere(node: Choice) -> None:
    add(node, "slow", "v")
    assert str(inventory.where("v", node)) == "cow:slow"
    add(node, "main", "v")
    with pytest.raises(ExtError, match="in more than one store; say --provider=cow or --provider=cow --pool=slow"):
        inventory.where("v", node)
    assert str(inventory.where("v", node._replace(pool="slow"))) == "cow:slow"
    with pytest.raises(ExtError, match="volume 'w' does not exist in any store"):
        inventory.where("w", node)
    with pytest.raises(ContractError, match="only letters"):
        inventory.where("a/b", node)


def test_something_new_must_know_its_place(node: Choice) -> None:
    Path(node.folder, "no-ceph.conf").touch()
    kinds = {**inventory.PROVIDERS, "rbd": inventory.PROVIDERS["rbd"]._replace(lacks=lambda _: "")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inventory, "PROVIDERS", kinds)
        with pytest.raises(ContractError, match="say where: --provider=cow or --provider=rbd"):
            node.one()
        assert str(node._replace(provider="rbd").one()) == "rbd"


def test_disks_of_the_configuration() -> None:
    found = inventory_ganeti.parse(CONFIG)
    assert [(disk.volume, disk.pool, disk.number, disk.mode) for disk in found.of("web")] == [
        ("b", "fast", 0, "ro"),
        ("a", "", 1, "rw"),
    ]
    (spare,) = (disk for disk in found.disks if not disk.instance)
    assert (spare.uuid, spare.volume, spare.name, spare.node, spare.params) == ("d-3", "c", "spare", "", {})
    assert {disk.node for disk in found.of("web")} == {"one.example.org"}
    with pytest.raises(ExtError, match="instance 'old' has disks of the template plain"):
        found.of("old")
    with pytest.raises(ExtError, match="instance 'new' is not in Ganeti's configuration"):
        found.of("new")


def test_disks_of_a_store(node: Choice) -> None:
    disks = inventory_ganeti.parse(CONFIG).disks
    plain, slow = node.stores()
    assert [disk.volume for disk in ctl_volumes.disks(plain, disks)] == ["a", "c"]
    assert ctl_volumes.disks(slow, disks) == []
    kind = inventory.PROVIDERS["rbd"].verbs
    for pool, here in (("fast", ["b"]), ("rbd", [])):  # the pool may be the configured one, or another
        store = inventory.Store("rbd", "", kind.load(f"{node.folder}/rbd.conf", {"pool": pool}))
        assert [disk.volume for disk in ctl_volumes.disks(store, disks)] == here


def test_the_files_of_ganeti(tmp_path: Path) -> None:
    ganeti = Ganeti(str(tmp_path), str(tmp_path))
    assert (ganeti.configuration(), ganeti.master(), ganeti.disks("web", "n1")) == (None, "", None)
    (tmp_path / "config.data").write_text(json.dumps(CONFIG))
    (tmp_path / "ssconf_master_node").write_text("one.example.org\n")
    (tmp_path / "conf").mkdir()
    ours = [[CONFIG["disks"][uuid], "/dev/x", ""] for uuid in ("d-2", "d-1")]
    (tmp_path / "conf/web.runtime").write_text(json.dumps([[], [], {}, ours]))
    assert ganeti.configuration() == inventory_ganeti.parse(CONFIG)
    assert ganeti.master() == "one.example.org"
    running = ganeti.disks("web", "one.example.org")
    assert running == inventory_ganeti.parse(CONFIG).of("web")
    assert ganeti.socket("web", "qmp") == f"{tmp_path}/ctrl/web.qmp"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"nodes": {}, "instances": {}}'])
def test_what_is_not_the_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.data").write_text(text)
    with pytest.raises(ExtError, match=r"config\.data is not Ganeti's configuration"):
        Ganeti(str(tmp_path)).configuration()


def test_a_running_instance_with_other_disks(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    runtime = json.dumps([[], [], {}, [[CONFIG["disks"]["d-4"], "/dev/x", ""]]])
    (tmp_path / "conf/old.runtime").write_text(runtime)
    with pytest.raises(ExtError, match="a disk of the template plain"):
        Ganeti(run=str(tmp_path)).disks("old", "n1")
    (tmp_path / "conf/old.runtime").write_text("[]")
    with pytest.raises(ExtError, match=r"old\.runtime is not Ganeti's"):
        Ganeti(run=str(tmp_path)).disks("old", "n1")


def test_since_when_jobs_make_disks(tmp_path: Path) -> None:
    ganeti = Ganeti(str(tmp_path))
    assert ganeti.busy_since() is None
    (tmp_path / "queue").mkdir()
    for number, name in enumerate(("create-success", "cluster-modify-success", "create-canceled-in-queue")):
        (tmp_path / f"queue/job-{number}").write_text((JOBS / f"{name}.json").read_text())
    (tmp_path / "queue/serial").write_text("3\n")
    (tmp_path / "queue/job-54r8loexdd.new").write_text("")
    assert ganeti.busy_since() is None
    running = json.loads((JOBS / "create-running.json").read_text())
    for number, began in ((7, 500), (8, 400)):
        running["ops"][0]["exec_timestamp"] = [began, 0]
        (tmp_path / f"queue/job-{number}").write_text(json.dumps(running))
    assert ganeti.busy_since() == 400.0
    running["ops"][0]["input"]["OP_ID"] = "OP_TEST_DELAY"
    (tmp_path / "queue/job-8").write_text(json.dumps(running))
    assert ganeti.busy_since() == 500.0
    instance = running["ops"][0]["input"]["instance_name"]
    running["ops"][0]["status"] = "queued"
    (tmp_path / "queue/job-10").write_text(json.dumps(running))
    assert ganeti.jobs(instance) == [7, 8, 10]
    assert ganeti.jobs("another") == []
    (tmp_path / "queue/job-9").write_text("{}")
    with pytest.raises(ExtError, match="job-9 is no job of Ganeti's"):
        ganeti.busy_since()
