"""ganeti-ext-storage on a real Ceph, and disks that move between it and a directory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from lab import layer
from tests.contract.extstorage.rbd_node import MIB, NEEDS, Node, cluster, node, nodes

pytestmark = NEEDS
__all__ = ["cluster", "node", "nodes"]

COMMAND = f"{layer.HERE}/extstorage/ganeti-ext-storage"
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
    return subprocess.run(
        node.ceph.enter(COMMAND, *argv, *where),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ok(node: Node, *argv: str) -> list[dict[str, Any]]:
    done = call(node, *argv, "--json")
    assert (done.returncode, done.stderr) == (0, "")
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
    ok(node, "clone", "image:debian", "v", "--size=8M")
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
