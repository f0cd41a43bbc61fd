"""Actions of several jobs, on a real Ganeti of one node: what the front submits is what Ganeti does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from frontend.effect import chain, translate_change, translate_create, translate_disk, translate_image
from frontend.effect.purpose import Purpose
from frontend.effect.translate import Size, Step
from frontend.effect.translate_create import Disk
from ganeti_ext import tags
from ganeti_ext.rapi import Rapi
from lab import ROOT, layer
from tests.contract.ganeti_node import NAME, GanetiNode
from tests.contract.kvm_ifup_node import needs_node

pytestmark = [pytest.mark.lab, needs_node]

IDENT, IMAGE = "0aaaaaaa-0000-4000-8000-000000000001", "0bbbbbbb-0000-4000-8000-000000000001"
INSTANCE = f"gx-{IDENT}"
STORE, HOOK = "/srv/ganeti-ext", "/etc/ganeti/hooks/instance-modify-pre.d/50-ganeti-ext-image"
FACTS = {"server": IDENT, "name": "web", "flavor": "f-small", "image": "i"}
MIB = 1 << 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[GanetiNode]:
    made = GanetiNode()
    try:
        _prepare(made)
        yield made
        for name in instances(made):  # its loop devices are the machine's
            made.run("gnt-instance", "remove", "--force", name, patience=60)
    finally:
        made.close()


def _prepare(made: GanetiNode) -> None:
    folders = (f"{STORE}/images", f"{STORE}/volumes", "/usr/share/ganeti/extstorage", "/srv/ganeti/os/ganeti-ext",
               "/var/log/ganeti/extstorage")  # fmt: skip
    made.run("mkdir", "-p", *folders)
    for name in ("i", "j"):
        made.write(f"{STORE}/images/{name}.raw", f"image {name}".ljust(64))
        made.run("truncate", "--size=8M", f"{STORE}/images/{name}.raw")
    made.run("ln", "-s", f"{layer.HERE}/extstorage/cow", "/usr/share/ganeti/extstorage/cow")
    for path in (ROOT / "extstorage/os").iterdir():
        if not path.name.startswith("__"):
            made.run("ln", "-s", f"{layer.HERE}/extstorage/os/{path.name}", f"/srv/ganeti/os/ganeti-ext/{path.name}")
    bounds = "disk-count={},disk-size=1,memory-size=1,nic-count=0,spindle-use=1"
    most = "cpu-count=8,disk-count=16,disk-size=1048576,memory-size=32768,nic-count=8,spindle-use=12"
    made.run("gnt-cluster", "modify", "--enabled-disk-templates=diskless,ext",
             "--ipolicy-disk-templates=diskless,ext",
             f"--ipolicy-bounds-specs=min:cpu-count=1,{bounds.format(0)}/max:{most}")  # fmt: skip
    made.write("/var/lib/ganeti/rapi/users", "front password write\n")
    hook = (ROOT / "debian/ganeti-ext-extstorage.instance-image").read_text()
    made.write(HOOK, hook.replace("/usr/share/ganeti-ext", str(layer.HERE)), 0o755)


def rapi(cluster: GanetiNode) -> Rapi:
    return Rapi("https://127.0.0.1:5080", "front", "password", str(cluster.path("/var/lib/ganeti/rapi.pem")))


def done(cluster: GanetiNode, steps: Sequence[Step], purpose: Purpose, *, ends: str = "") -> list[dict[str, Any]]:
    """The jobs of a chain when all are over; `ends`: how, if not all well."""
    with cluster.network():
        jobs = chain.submit(rapi(cluster), steps, purpose)
    # The last one waits for all others.
    cluster.run("sh", "-c", f"gnt-job watch {jobs[-1]} >/dev/null 2>&1 || true", patience=60)
    with cluster.network():
        found = [rapi(cluster).get(f"jobs/{job}") for job in jobs]
    how = " ".join(job["status"] for job in found)
    assert how == (ends or " ".join(["success"] * len(jobs))), json.dumps([job["opresult"] for job in found])
    return found


def instances(cluster: GanetiNode) -> list[str]:
    return cluster.run("gnt-instance", "list", "--no-headers", "-o", "name").split()


def read(cluster: GanetiNode, name: str = INSTANCE) -> dict[str, Any]:
    with cluster.network():
        found: dict[str, Any] = rapi(cluster).get(f"instances/{name}")
    return found


def server(cluster: GanetiNode, **more: Any) -> dict[str, Any]:
    """The instance as the front's database has it."""
    there = read(cluster)
    known = tags.decode(there["tags"])
    return {
        "id": IDENT,
        "instance": INSTANCE,
        "status": "ACTIVE" if there["oper_state"] else "SHUTOFF",
        "power": "ACTIVE" if there["oper_state"] else "SHUTOFF",
        "disk": sum(there["disk.sizes"]) // 1024,
        "flavor_id": known["flavor"],
        "image_id": known["image"],
        "facts": {name: value for name, value in known.items() if name in tags.GIVEN},
        **more,
    }


def volume(cluster: GanetiNode, number: int, name: str = INSTANCE) -> bytes:
    """How the volume of a disk begins."""
    info = json.loads(cluster.path("/var/lib/ganeti/config.data").read_text())
    (instance,) = (each for each in info["instances"].values() if each["name"] == name)
    disk = info["disks"][instance["disks"][number]]
    return cluster.path(f"{STORE}/volumes/{disk['logical_id'][1]}.raw").read_bytes()[:7]


def saved(cluster: GanetiNode) -> list[str]:
    return sorted(path.name for path in cluster.path(f"{STORE}/volumes").glob("saved-*"))


@pytest.fixture
def web(cluster: GanetiNode) -> dict[str, Any]:
    """One that runs, made as the front makes it; with a second disk, which stays."""
    if INSTANCE not in instances(cluster):
        place = translate_create.Place(node=NAME)
        call = translate_create.create(INSTANCE, Size(1, 128, 1024), Disk("cow", "i"), [], FACTS, {}, place)
        (call.body or {})["disks"].append({"size": 4, "name": f"{INSTANCE}-seed", "provider": "cow"})
        done(cluster, [Step(call)], Purpose("resize", ""))
    return server(cluster)


def test_the_reason_of_a_job_is_what_it_is_for(cluster: GanetiNode, web: dict[str, Any]) -> None:
    (job,) = done(cluster, [Step(translate_change.tag(web["instance"], {"description": "d"}))], Purpose("rescue", ""))
    assert job["ops"][0]["reason"][0][:2] == ["gnt:user", "ganeti-ext:rescue"]


def test_a_resize_and_its_way_back(cluster: GanetiNode, web: dict[str, Any]) -> None:
    large, small = {"id": "f-large", "vcpus": 2, "ram": 256, "disk": 2}, {"vcpus": 1, "ram": 128}
    done(cluster, translate_change.resize(web, "f-small", large, 1), Purpose("resize", ""))
    there = read(cluster)
    sizes = {name: there["beparams"][name] for name in ("vcpus", "maxmem")}
    assert (sizes, there["disk.sizes"]) == ({"vcpus": 2, "maxmem": 256}, [2048, 4])
    assert there["oper_state"] is True
    now = server(cluster)
    assert (now["flavor_id"], now["facts"]["resized"]) == ("f-large", "f-small")
    done(cluster, translate_change.revert(now, small, 1), Purpose("revert", ""))
    there, now = read(cluster), server(cluster)
    assert (there["beparams"]["vcpus"], there["disk.sizes"], there["oper_state"]) == (1, [2048, 4], True)
    assert (now["flavor_id"], now["facts"].get("resized")) == ("f-small", None)


def test_what_fails_half_way_leaves_a_server_that_is_what_it_was(cluster: GanetiNode, web: dict[str, Any]) -> None:
    monster = {"id": "f-monster", "vcpus": 64, "ram": 256, "disk": 1}
    ends = "success error error error success"
    done(cluster, translate_change.resize(web, "f-small", monster, 1), Purpose("resize", ""), ends=ends)
    there, now = read(cluster), server(cluster)
    assert (there["beparams"]["vcpus"], there["oper_state"]) == (1, True)
    assert (now["flavor_id"], now["facts"].get("resized")) == ("f-small", None)


@pytest.mark.parametrize("runs", [True, False])
def test_an_image_of_a_server(cluster: GanetiNode, web: dict[str, Any], runs: bool) -> None:
    if not runs:
        cluster.run("gnt-instance", "stop", "--timeout=0", INSTANCE, patience=60)
    done(cluster, translate_image.save(INSTANCE, "cow", IMAGE), Purpose("snapshot", IMAGE))
    assert saved(cluster) == [f"saved-{IMAGE}.raw"]
    assert not [tag for tag in read(cluster)["tags"] if "saving" in tag]
    name, place = "gx-copy", translate_create.Place(node=NAME)
    disk = Disk("cow", translate_image.origin(IMAGE))
    call = translate_create.create(name, Size(1, 128, 2048), disk, [], {}, {}, place)
    done(cluster, [Step(call)], Purpose("rebuild", ""))
    assert volume(cluster, 0, name) == b"image i"
    cluster.run("gnt-instance", "remove", "--force", name, patience=60)
    done(cluster, translate_image.forget(INSTANCE, "cow", IMAGE), Purpose("forget", IMAGE))
    assert saved(cluster) == []
    if not runs:
        cluster.run("gnt-instance", "start", INSTANCE, patience=60)


def test_the_job_of_an_image_fails_when_the_snapshot_does(cluster: GanetiNode, web: dict[str, Any]) -> None:
    steps = translate_image.save(INSTANCE, "rbd", IMAGE)
    _, job, _ = done(cluster, steps, Purpose("snapshot", IMAGE), ends="success error success")
    assert "images are to be in rbd" in json.dumps(job["opresult"])
    assert not [tag for tag in read(cluster)["tags"] if "saving" in tag]
    assert saved(cluster) == []


def test_rescued_and_back(cluster: GanetiNode, web: dict[str, Any]) -> None:
    done(cluster, translate_disk.rescue(web, Disk("cow", "j"), 16, 1, {}), Purpose("rescue", ""))
    assert (volume(cluster, 0), volume(cluster, 1)) == (b"image j", b"image i")
    now = server(cluster)
    assert (now["facts"]["rescued"], now["power"]) == ("1", "ACTIVE")
    done(cluster, translate_disk.unrescue(now, 1), Purpose("unrescue", ""))
    assert (volume(cluster, 0), len(read(cluster)["disk.sizes"])) == (b"image i", 2)
    assert "rescued" not in server(cluster)["facts"]


def test_rebuilt_from_another_image(cluster: GanetiNode, web: dict[str, Any]) -> None:
    before = read(cluster)
    done(cluster, translate_disk.rebuild(web, "j", Disk("cow", "j"), 1024, {}), Purpose("rebuild", ""))
    there = read(cluster)
    assert volume(cluster, 0) == b"image j"
    assert (there["disk.names"], there["disk.sizes"][1]) == ([f"{INSTANCE}-root", f"{INSTANCE}-seed"], 4)
    assert (there["oper_state"], there["uuid"], there["disk.uuids"][1]) == (
        *(True, before["uuid"]),
        before["disk.uuids"][1],
    )
    assert server(cluster)["image_id"] == "j"


def test_the_disk_stays_when_there_is_no_such_image(cluster: GanetiNode, web: dict[str, Any]) -> None:
    was = volume(cluster, 0)
    steps = translate_disk.rebuild(web, "none", Disk("cow", "none"), 1024, {})
    done(cluster, steps, Purpose("rebuild", ""), ends="success error error error success")
    assert (volume(cluster, 0), read(cluster)["oper_state"]) == (was, True)
    assert server(cluster)["image_id"] == web["image_id"]
