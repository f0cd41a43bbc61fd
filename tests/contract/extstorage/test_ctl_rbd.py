"""ganeti-ext-storage on a real Ceph, and disks that move between it and a directory."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from lab import layer
from tests.contract.extstorage.harness import complaints
from tests.contract.extstorage.rbd_node import (
    COMMAND,
    MIB,
    NEEDS,
    Node,
    guest,
    node,
    nodes,
    quick_to_forget,
    steps,
    write,
)

pytestmark = NEEDS
__all__ = ["node", "nodes", "quick_to_forget"]

SHARE = "/srv/moved"
# What `gnt-instance modify` does to disks of an instance, and its configuration; volumes by the providers' own verbs.
GANETI = f"""#!/usr/bin/python3
import json, os, subprocess, sys, uuid
option, instance = sys.argv[-2:]
path = "DATA/config.data"
config = json.load(open(path))
owner = config["instances"]["i"]
def call(verb, disk):
    env = {{"GANETI_EXT_CONFIG_DIR": "ETC", "VOL_NAME": disk["logical_id"][1], "VOL_SIZE": str(disk["size"]),
           "EXTP_ACCESS": "userspace"}}
    subprocess.run(["{layer.HERE}/extstorage/" + disk["logical_id"][0] + "/" + verb], env=env, check=True)
if option in ("--offline", "--online"):
    owner["admin_state"] = {{"--offline": "offline", "--online": "down"}}[option]
else:
    number, _, words = option.removeprefix("--disk=").partition(":")
    verb, *pairs = words.split(",")
    params = dict(pair.split("=") for pair in pairs)
    if verb == "add":
        size = int(params["size"].removesuffix("m"))
        disk = {{"uuid": str(uuid.uuid4()), "dev_type": "ext", "size": size, "name": params["name"], "params": {{}},
                "logical_id": [params["provider"], str(uuid.uuid4()) + ".ext.disk" + number]}}
        call("create", disk)
        config["disks"][disk["uuid"]] = disk
        owner["disks"].insert(int(number), disk["uuid"])
    elif verb == "remove":
        call("remove", config["disks"].pop(owner["disks"].pop(int(number))))
    else:
        config["disks"][owner["disks"][int(number)]]["name"] = None
json.dump(config, open(path + ".new", "w"))
os.rename(path + ".new", path)
"""


def call(node: Node, *argv: str) -> subprocess.CompletedProcess[str]:
    where = [f"--config={node.etc}", f"--ganeti-data={data(node)}", "--ganeti-run=/run/none"]
    return node.program(COMMAND, *argv, *where, env={})


def ok(node: Node, *argv: str) -> list[dict[str, Any]]:
    done = call(node, *argv, "--json")
    assert (done.returncode, complaints(done.stderr)) == (0, [])
    return [json.loads(line) for line in done.stdout.splitlines()]


def data(node: Node) -> str:
    return f"/var/lib/ganeti-{node.name}"


def disks(node: Node) -> list[tuple[str, str]]:
    """Providers and volumes of the instance."""
    config = json.loads((node.ceph.root / f"{data(node)[1:]}/config.data").read_text())
    found = [config["disks"][uuid] for uuid in config["instances"]["i"]["disks"]]
    assert (config["instances"]["i"]["admin_state"], {disk["name"] for disk in found}) == ("down", {None})
    assert len(config["disks"]) == len(found)
    return [tuple(disk["logical_id"]) for disk in found]


@pytest.fixture
def ganeti(node: Node) -> Iterator[Node]:
    """A master with an instance whose disks, of 8 MiB, are in a directory."""
    for name in ("volumes", "images"):
        (node.ceph.root / SHARE[1:] / name).mkdir(parents=True, exist_ok=True)
    own = f"run_directory = /run/moved\nnode = {node.name}.lab\ndata_directory = {data(node)}\n"
    node.write(f"{node.etc}/cow.conf", f"[cow]\ndirectory = {SHARE}\n{own}")
    node.write(f"{data(node)}/ssconf_master_node", f"{node.name}.lab\n")
    made = {}
    for number in range(2):
        name = f"disk-{number}-0000-0000-0000-000000000000-xyz"[:36]
        ok(node, "create", f"v{number}", "8M", "--provider=cow")
        with (node.ceph.root / f"{SHARE[1:]}/volumes/v{number}.raw").open("r+b") as file:
            file.seek(4 * MIB)
            file.write(bytes([number + 1]) * MIB)
        made[name] = {"uuid": name, "dev_type": "ext", "logical_id": ["cow", f"v{number}"], "size": 8, "name": None}
    owner = {"name": "web", "primary_node": "n", "admin_state": "down", "disks": list(made)}
    config = {"nodes": {"n": {"name": f"{node.name}.lab"}}, "instances": {"i": owner}, "disks": made}
    node.write(f"{data(node)}/config.data", json.dumps(config))
    node.write("/usr/local/sbin/gnt-instance", GANETI.replace("DATA", data(node)).replace("ETC", node.etc))
    (node.ceph.root / "usr/local/sbin/gnt-instance").chmod(0o755)
    yield node
    for path in (SHARE, f"{data(node)}/config.data", f"{data(node)}/ssconf_master_node"):
        node.ceph.run("rm", "-r", path)


def test_a_server_that_moves_to_ceph_and_back(ganeti: Node) -> None:
    node = ganeti
    assert [row["disk"] for row in ok(node, "migrate", "web", "rbd", "--dry-run")] == [0, 1]
    rows = ok(node, "migrate", "web", "rbd")
    assert [(row["was"]["volume"], row["is"]["provider"]) for row in rows] == [("v0", "rbd"), ("v1", "rbd")]
    volumes = [name for _, name in disks(node)]
    assert (sorted(volumes), ok(node, "list", "--provider=cow")) == (sorted(node.names()), [])
    for number, name in enumerate(volumes):
        assert node.has(name, number + 1, 4 * MIB) and node.has(name, 0, 3 * MIB) and node.has(name, 0, 7 * MIB)
    used = {row["name"]: row["physical"] for row in ok(node, "list", "--provider=rbd")}
    assert set(used.values()) == {4 * MIB}  # one object of two: zeros were not written
    assert ok(node, "verify") == []
    ok(node, "migrate", "web", "cow")
    assert [provider for provider, _ in disks(node)] == ["cow", "cow"]
    for number, (_, name) in enumerate(disks(node)):
        content = (node.ceph.root / f"{SHARE[1:]}/volumes/{name}.raw").read_bytes()
        assert content == bytes(4 * MIB) + bytes([number + 1]) * MIB + bytes(3 * MIB)
        assert (node.ceph.root / f"{SHARE[1:]}/volumes/{name}.raw").stat().st_blocks * 512 <= MIB + 65536
    assert (node.names(), ok(node, "locks")) == ([], [])


def test_a_move_that_fails_is_undone(ganeti: Node) -> None:
    node = ganeti
    before = disks(node)
    with (node.ceph.root / f"{SHARE[1:]}/volumes/v1.raw").open("r+b") as file:
        file.truncate(16 * MIB)  # longer than Ganeti has it for
    done = call(node, "migrate", "web", "rbd")
    assert (done.returncode, done.stdout) == (1, "")
    assert "16777216 bytes do not go into a volume of 8388608" in done.stderr
    assert (disks(node), node.names(), ok(node, "locks")) == (before, [], [])


def test_volumes_of_ceph(node: Node) -> None:
    node.image("debian")
    ok(node.programs, "clone", "image:debian", "v", "--size=8M")
    ok(node, "snapshot", "v", "s")
    ok(node, "clone", "snapshot:s", "w")
    shown = [(row["depth"], row["kind"], row["name"]) for row in ok(node, "tree")]
    assert shown == [(0, "image", "debian"), (1, "volume", "v"), (2, "snapshot", "s"), (3, "volume", "w")]
    node.io("v", "write -P 9 0 64k")
    ok(node, "rollback", "v", "s")
    assert node.has("v", 7)
    ok(node, "flatten", "w")
    ok(node, "grow", "w", "12M")
    (row,) = (row for row in ok(node, "list") if row["name"] == "w")
    assert (row["origin"], row["logical"]) == (None, 12 * MIB)
    (room,) = ok(node, "df")
    assert (room["store"], room["volumes"], room["snapshots"], room["images"]) == ("rbd", 2, 1, 1)
    assert room["total"] is None  # this Ceph has no manager, which counts
    node.ok("open", "v", VOL_OPEN_EXCLUSIVE="True")
    (lock,) = ok(node, "locks")
    assert (lock["volume"], lock["node"], lock["mode"]) == ("v", f"{node.name}.lab", "exclusive")
    assert call(node, "remove", "v", "--force").returncode == 1
    ok(node, "unlock", "v", "--yes")
    for name in ("s", "v", "w"):
        ok(node, "remove", name, "--force")
    assert node.names() == ["image.debian"]


def test_what_a_dead_node_has_left(nodes: tuple[Node, Node]) -> None:
    node, other = nodes
    ok(node, "create", "v", "8M")
    other.ok("open", VOL_OPEN_EXCLUSIVE="True")
    assert ok(node, "verify") == []
    node.ssconf("b.lab")
    done = call(node, "verify", "--json")
    (found,) = map(json.loads, done.stdout.splitlines())
    assert (done.returncode, found["kind"], found["volume"]) == (4, "lock", "v b.lab")
    (mended,) = ok(node, "repair")
    assert (mended["volume"], mended["done"]) == ("v b.lab", True)
    assert (ok(node, "verify"), ok(node, "locks")) == ([], [])


def test_what_ganeti_has_beside_what_is_there(node: Node) -> None:
    orphan = "0a1b2c3d-0000-4000-8000-00000000000a.ext.disk0"
    for name in ("short", orphan, "named-by-hand"):
        ok(node, "create", name, "4M", "--provider=rbd")
    made: dict[str, dict[str, Any]] = {
        name: {"uuid": name, "dev_type": "ext", "logical_id": ["rbd", name], "size": 8, "params": {}}
        for name in ("short", "lost")
    }
    owner = {"name": "web", "primary_node": "n", "admin_state": "down", "disks": list(made)}
    config = {"nodes": {"n": {"name": f"{node.name}.lab"}}, "instances": {"i": owner}, "disks": made}
    node.write(f"{data(node)}/config.data", json.dumps(config))
    try:
        done = call(node, "verify", "--json", "--age=-60")
        found = {(row["kind"], row["volume"]) for row in map(json.loads, done.stdout.splitlines())}
        assert found == {("size", "short"), ("missing", "lost"), ("orphan", orphan)}
        assert call(node, "repair", "short").returncode == 0
        assert node.eye.ask("size('short')") == 8 * MIB
        assert "disk 0 of instance web" in call(node, "remove", "short").stderr
        assert (ok(node, "show", "short")[0]["disk"], call(node, "verify").returncode) == ("disk 0 of instance web", 4)
        assert node.names() == [orphan, "named-by-hand", "short"]
    finally:
        node.ceph.run("rm", f"{data(node)}/config.data")


def test_what_killed_calls_have_left_is_told_mended_and_swept(nodes: tuple[Node, Node], quick_to_forget: None) -> None:
    node, other = nodes
    for name in ("v", "w", "x"):
        ok(node, "create", name, "8M")
    for name, target in (("v", "s"), ("w", "t")):
        done = steps(node, "after", 3, "snapshot", VOL_NAME=name, VOL_SNAPSHOT_NAME=target)
        assert done.returncode == -signal.SIGKILL
    other.ok("open", "x", VOL_OPEN_EXCLUSIVE="True")
    node.ssconf("b.lab")
    left = {("call", "s"), ("call", "t"), ("lock", "x b.lab")}
    leaks = {("snapshot", "v ganeti-ext.s"), ("snapshot", "w ganeti-ext.t")}
    assert told(node, "verify") == left | leaks
    assert {row["what"] for row in ok(node, "gc")} == {name for kind, name in left | leaks if kind != "lock"}
    assert call(node, "repair", "--dry-run").returncode == 4
    assert call(node, "repair", "s").returncode == 0
    assert told(node, "verify") == (left | leaks) - {("call", "s")}
    ok(node, "gc", "--yes")
    assert told(node, "verify") == {("lock", "x b.lab")}
    assert call(node, "repair").returncode == 0
    assert (told(node, "verify"), node.names()) == (set(), ["v", "w", "x"])


def test_a_volume_is_taken_from_a_node_that_may_live_only_if_that_is_said(nodes: tuple[Node, Node]) -> None:
    node, other = nodes
    ok(node, "create", "v", "8M")
    other.ok("open", VOL_OPEN_EXCLUSIVE="True")
    with guest(other) as lost:
        done = call(node, "unlock", "v", "b.lab")
        assert (done.returncode, "does not know to be down" in done.stderr) == (1, True)
        assert "wrote" in write(lost, 2)
        assert call(node, "unlock", "v", "b.lab", "--yes").returncode == 0
        assert "failed" in write(lost, 3)
    assert (ok(node, "locks"), node.has("v", 2)) == ([], True)


def test_flatten_frees_the_origin(node: Node) -> None:
    ok(node, "create", "v", "8M")
    node.io("v", "write -P 5 0 64k")
    ok(node, "snapshot", "v", "s")
    ok(node, "remove", "v", "--force")
    assert [one.split()[1] for one in node.ceph.run("rbd", "trash", "ls", "--all").splitlines()] == ["v"]
    with guest(node, "s") as running:
        ok(node, "flatten", "s")
        assert "wrote" in write(running, 6)
    assert node.ceph.run("rbd", "trash", "ls", "--all").strip() == ""
    assert node.has("s", 6)


def told(node: Node, *argv: str) -> set[tuple[str, str]]:
    """Kinds and names of findings."""
    return {(row["kind"], row["volume"]) for row in map(json.loads, call(node, *argv, "--json").stdout.splitlines())}
