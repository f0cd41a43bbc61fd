"""ganeti-ext-storage image on a real Ceph: what is the same is stored once, and goes with the last that needs it."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contract.extstorage.image_site import disk
from tests.contract.extstorage.rbd_node import BARE, COMMAND, MIB, NEEDS, Node, node, nodes, quick_to_forget

pytestmark = NEEDS
__all__ = ["node", "nodes", "quick_to_forget"]


def argv(node: Node, *words: str) -> list[str]:
    return node.ceph.enter(COMMAND, "image", *words, "--provider=rbd", f"--config={node.etc}")


def call(node: Node, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    if node.forks:
        name, where = Path(COMMAND).name, ("--provider=rbd", f"--config={node.etc}")
        return node.forks.raw(name, {}, "image", *words, *where, stdin=stdin)
    return subprocess.run(argv(node, *words), input=stdin, capture_output=True, timeout=120, check=False)


def ok(node: Node, *words: str, stdin: bytes = b"") -> list[dict[str, Any]]:
    done = call(node, *words, "--json", stdin=stdin)
    assert done.returncode == 0, done
    return [json.loads(line) for line in done.stdout.splitlines()]


def qcow2(node: Node, content: bytes) -> str:
    (node.ceph.root / "tmp/disk").write_bytes(content)
    node.ceph.run("qemu-img", "convert", "-O", "qcow2", "/tmp/disk", "/tmp/disk.qcow2")
    return "/tmp/disk.qcow2"


def test_an_image_is_made_cloned_shown_and_removed(node: Node) -> None:
    content = disk(8 * MIB)
    made = ok(node, "import", "one", qcow2(node, content))[-1]
    assert (made["provider"], made["size"], made["format"]) == ("rbd", 8 * MIB, "qcow2")
    assert made["sha256"] == hashlib.sha256(content).hexdigest()
    assert (node.names(), call(node, "export", "one").stdout == content) == (["image.one"], True)
    node.ok("create", "v", VOL_SIZE="8", EXTP_ORIGIN="image:one")
    assert node.eye.ask("read('v')") == content
    ok(node, "facts", "one", "--set", stdin=b'{"name": "Debian"}')
    (shown,) = ok(node, "list")
    assert (shown["id"], shown["facts"], shown["md5"]) == ("one", {"name": "Debian"}, made["md5"])
    again = call(node, "import", "one", "-", "--json", stdin=content)
    assert again.returncode == 5
    removed = ok(node, "remove", "one")[0]
    assert (removed["deferred"], removed["clones"]) == (True, ["volume:v"])
    assert (node.names(), node.eye.ask("read('v')") == content) == (["v"], True)
    node.ok("remove", "v")
    assert node.left() - BARE == set()


def test_the_same_content_is_stored_once(node: Node) -> None:
    content = disk(8 * MIB)
    first = ok(node, "import", "one", "-", stdin=content)[-1]
    second = ok(node, "import", "two", qcow2(node, content))[-1]
    assert (first["deduplicated"], second["deduplicated"]) == (0, 8 * MIB)
    own = {row["name"]: row["exclusive"] for row in ok(node, "usage")}
    assert own == {"one": 4 * MIB, "two": 0}  # one object of 4 MiB has data
    assert ok(node, "remove", "one")[0]["clones"] == ["image:two"]
    assert call(node, "export", "two").stdout == content
    node.ok("create", "v", VOL_SIZE="8", EXTP_ORIGIN="image:two")
    assert node.eye.ask("read('v')") == content
    ok(node, "remove", "two")
    node.ok("remove", "v")
    assert node.left() - BARE == set()


def test_an_administrators_image_is_one_and_found_to_be_the_same(node: Node) -> None:
    node.image("his", mib=4)
    (row,) = ok(node, "list")
    assert (row["id"], row["facts"], row["sha256"]) == ("his", None, None)
    assert ok(node, "dedup")[0]["examined"] == 4 * MIB
    assert ok(node, "dedup") == []
    content = bytes([7]) * MIB + bytes(3 * MIB)
    assert ok(node, "import", "mine", "-", stdin=content)[-1]["deduplicated"] == 4 * MIB
    assert call(node, "export", "mine").stdout == content


def test_a_snapshot_that_is_an_image_is_listed_with_its_facts(node: Node) -> None:
    node.ok("create", "v", VOL_SIZE="4")
    node.ok("snapshot", "v", VOL_SNAPSHOT_NAME="saved-1")
    ok(node, "facts", "saved-1", "--set", stdin=b'{"owner": "p"}')
    (row,) = ok(node, "list")
    assert (row["id"], row["kind"], row["origin"], row["facts"]) == (
        *("saved-1", "snapshot", "snapshot:saved-1"),
        {"owner": "p"},
    )
    assert len(call(node, "export", "saved-1").stdout) == 4 * MIB


@pytest.mark.usefixtures("quick_to_forget")
@pytest.mark.parametrize("phase", ["convert", "store"])
def test_killed_an_import_leaves_no_image_and_the_next_clears_up(node: Node, phase: str) -> None:
    path = qcow2(node, disk(16 * MIB))
    with subprocess.Popen(argv(node, "import", "a", path, "--json"), stdout=subprocess.PIPE) as process:
        assert process.stdout
        for line in process.stdout:
            if json.loads(line).get("phase") == phase:
                break
        process.send_signal(signal.SIGKILL)
    assert ok(node, "list") == []
    ok(node, "import", "b", "-", stdin=disk(8 * MIB, seed=3))
    ok(node, "import", "a", path)
    assert (node.names(), call(node, "export", "a").stdout == disk(16 * MIB)) == (["image.a", "image.b"], True)
    assert ok(node, "gc") == []
