"""The provider's verbs, called as Ganeti calls them, on a real Ceph."""

from __future__ import annotations

import json
import time

import pytest

from ganeti_ext.command import run
from tests.contract.extstorage.choice import CHAIN
from tests.contract.extstorage.rbd_node import MIB, NEEDS, VERBS, Node, full, node, nodes

pytestmark = NEEDS
__all__ = ["node", "nodes"]


def test_the_life_of_a_volume_each_verb_twice(node: Node) -> None:
    node.image("debian")
    before = node.left()
    node.ok("create", VOL_SIZE="8", EXTP_ORIGIN="debian", VOL_CNAME="c", VOL_UUID="u")
    assert "volume 'v' exists already" in node.fails("create", VOL_SIZE="8", EXTP_ORIGIN="debian")
    for _ in range(2):
        assert node.ok("attach") == "\nkvm:rbd:rbd/v:id=ganeti:conf=/etc/ceph/ceph.conf"
        assert node.ok("open", VOL_OPEN_EXCLUSIVE="True") == ""
        assert node.ok("setinfo", VOL_METADATA="originstname_gx-1") == ""
        assert node.ok("grow", VOL_SIZE="8", VOL_NEW_SIZE="12") == ""
    assert node.has("v", 7) and node.has("v", 0, 4 * MIB)
    assert node.ceph.run("rbd", "image-meta", "get", "v", "ganeti.info").strip() == "originstname_gx-1"
    assert '"size":12582912,' in node.ceph.run("rbd", "info", "v", "--format=json")
    assert "is not cut to 4" in node.call("grow", VOL_SIZE="12", VOL_NEW_SIZE="4").stderr
    for verb in ("close", "close", "detach", "detach", "remove", "remove"):
        assert node.ok(verb) == ""
    assert node.ok("attach") == ""
    assert node.names() == ["image.debian"]
    # The image has the snapshot now that all its clones share.
    assert {name.partition(".")[0] for name in node.left() - before} <= {"rbd_object_map"}


def test_images_have_the_features_that_make_removal_quick(node: Node) -> None:
    node.image("debian")
    node.ok("create", VOL_SIZE="8")
    node.ok("create", "w", VOL_SIZE="8", EXTP_ORIGIN="image:debian")
    for name in ("v", "w"):
        found = json.loads(node.ceph.run("rbd", "info", name, "--format=json"))["features"]
        assert sorted(set(found) - {"operations"}) == [
            "deep-flatten",
            "exclusive-lock",
            "fast-diff",
            "layering",
            "object-map",
        ]


def test_a_snapshot_is_a_volume_of_its_own_and_of_one_moment(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.io("v", "write -P 1 0 64k")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="v.snap", VOL_SNAPSHOT_SIZE="4")
    node.io("v", "write -P 2 0 64k")
    assert "volume 'v.snap' exists already" in node.fails("snapshot", VOL_SNAPSHOT_NAME="v.snap")
    node.ok("create", "w", VOL_SIZE="4", EXTP_ORIGIN="volume:v")
    node.ok("create", "x", VOL_SIZE="4", EXTP_ORIGIN="snapshot:v.snap")
    assert "'snapshot:v' is a volume, no snapshot" in node.fails("create", "y", VOL_SIZE="4", EXTP_ORIGIN="snapshot:v")
    assert node.has("v.snap", 1) and node.has("w", 2) and node.has("x", 1)
    node.io("v.snap", "write -P 3 0 64k")
    assert node.has("v", 2) and node.has("x", 1)
    kinds = node.admin("[(f.name, f.kind, f.origin) for f in a.listing(s)]")
    assert kinds == [
        ("v", "volume", None),
        ("v.snap", "snapshot", "volume:v"),
        ("w", "volume", "volume:v"),
        ("x", "volume", "snapshot:v.snap"),
    ]


def test_what_is_removed_lives_on_for_its_clones_and_no_longer(node: Node) -> None:
    before = node.left()
    node.image("debian")
    node.ok("create", VOL_SIZE="4", EXTP_ORIGIN="debian")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    node.ok("create", "w", VOL_SIZE="4", EXTP_ORIGIN="s")
    node.ceph.run("rbd", "snap", "rm", "--no-progress", "image.debian@ganeti-ext")
    node.ceph.run("rbd", "rm", "--no-progress", "image.debian")
    for name in ("v", "s"):
        node.ok("remove", name)
    assert node.names() == ["w"]
    assert node.admin("[f.origin for f in a.listing(s)]") == [None]
    assert node.has("w", 7)
    node.ok("remove", "w")
    assert node.left() <= before


def test_a_long_chain_and_what_flattening_makes_of_it(node: Node) -> None:
    node.image("debian")
    node.configure(depth=CHAIN - 2)
    node.ok("create", "v0", VOL_SIZE="8", EXTP_ORIGIN="debian")
    for number in range(CHAIN):
        node.io(f"v{number}", f"write -P {number + 10} {(number + 1) * 64}k 64k")
        done = node.call("create", f"v{number + 1}", VOL_SIZE="8", EXTP_ORIGIN=f"v{number}")
        assert done.returncode == 0
        assert ("clones away from data of its own" in done.stderr) == (number + 2 > CHAIN - 2)
    checks = [f"read -P {number + 10} {(number + 1) * 64}k 64k" for number in range(CHAIN)]
    for number in range(CHAIN):
        node.ok("remove", f"v{number}")
    last = f"v{CHAIN}"
    assert node.has(last, 7)
    assert "verification failed" not in node.io(last, *checks)
    assert f"'{last}' is {CHAIN + 1} clones away" in node.call("verify").stderr
    node.admin(f"a.flatten(s, {last!r})")
    assert node.call("verify").stderr == ""
    assert '"parent"' not in node.ceph.run("rbd", "info", last, "--format=json")
    assert node.ceph.run("rbd", "trash", "ls", "--all").strip() == ""
    assert "verification failed" not in node.io(last, *checks)
    node.ok("create", "next", VOL_SIZE="8", EXTP_ORIGIN=last)
    assert node.admin("len(a.leaks(s))") == 0


def test_a_chain_that_was_cut_above_is_not_long_any_more(node: Node) -> None:
    node.configure(depth=2)
    node.ok("create", "v0", VOL_SIZE="4")
    for number in range(4):
        node.ok("create", f"v{number + 1}", VOL_SIZE="4", EXTP_ORIGIN=f"v{number}")
    assert node.call("verify").stderr.count("clones away") == 2
    node.admin("a.flatten(s, 'v2')")
    assert node.call("verify").stderr == ""
    done = node.call("create", "w", VOL_SIZE="4", EXTP_ORIGIN="v4")
    assert (done.returncode, "'w' is 3 clones away" in done.stderr) == (0, True)


def test_a_rollback_that_fails_leaves_the_old_content(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.io("v", "write -P 1 0 64k")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    node.io("v", "write -P 2 0 64k")
    try:
        full(node, is_so=True)
        with pytest.raises(AssertionError, match="No space left on device"):
            node.admin("a.rollback(s, 'v', 's')")
    finally:
        full(node, is_so=False)
    assert (node.names(), node.admin("len(a.leaks(s))")) == (["s", "v"], 0)
    assert node.has("v", 2)
    node.admin("a.rollback(s, 'v', 's')")
    assert (node.names(), node.has("v", 1)) == (["s", "v"], True)


def test_faults_name_what_was_wrong_and_leave_nothing(node: Node) -> None:
    node.image("debian")
    node.ok("create", "w", VOL_SIZE="8")
    before = node.left()
    for origin, words in (
        ("debain", "origin 'debain' does not exist: there is no RBD image image.debain or debain in pool rbd"),
        ("image:w", "origin 'image:w' does not exist: there is no RBD image rbd/image.w"),
        ("volume:debian", "origin 'volume:debian' does not exist"),
        ("debian", "origin 'debian': image.debian has 4194304 bytes: more than the 3145728 (3 MiB) asked for"),
        ("w", "origin 'w': w has 8388608 bytes: more than the 3145728 (3 MiB) asked for"),
    ):
        assert words in node.fails("create", VOL_SIZE="3", EXTP_ORIGIN=origin)
    assert "origin 'image:' names no image" in node.call("create", VOL_SIZE="3", EXTP_ORIGIN="image:").stderr
    for verb in ("open", "setinfo", "grow", "snapshot"):
        words = node.fails(verb, VOL_NEW_SIZE="4", VOL_SNAPSHOT_NAME="s", VOL_METADATA="m")
        assert "volume 'v' does not exist: there is no RBD image rbd/v" in words
    assert {name for name in node.left() - before if not name.startswith("rbd_object_map")} == set()
    assert "pool 'nopool' does not exist" in node.fails("create", VOL_SIZE="1", EXTP_POOL="nopool")
    assert "client.nobody: its key is not in the keyring" in node.fails("create", VOL_SIZE="1", EXTP_USER="nobody")
    assert "/etc/no.conf" in node.fails("create", VOL_SIZE="1", EXTP_CONF="/etc/no.conf")
    done = node.call("attach", EXTP_CONF="/etc/a,b")
    assert (done.returncode, done.stdout) == (3, "")
    assert "conf must be an absolute path without blanks or commas, found '/etc/a,b'" in done.stderr


@pytest.mark.parametrize(
    "name",
    ["", "..", ".x", "-x", "image.x", "a/b", "a@b", "a:b", "a b", "a\nb", "a,b", "a\\b", "a%b", "café", "x" * 91],
)
def test_garbage_names_do_nothing(node: Node, name: str) -> None:
    done = node.call("create", name, VOL_SIZE="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "VOL_NAME is not set" in done.stderr if not name else "volume " in done.stderr


@pytest.mark.parametrize("name", ["x" * 90, "0", "_", "+a.b-c_D+", "f" * 36 + ".ext.disk0.snap-1"])
def test_odd_names_are_served(node: Node, name: str) -> None:
    node.ok("create", name, VOL_SIZE="1")
    node.io(name, "write -P 5 0 64k")
    node.ok("snapshot", name, VOL_SNAPSHOT_NAME="s")
    assert node.has("s", 5)
    assert node.ok("remove", name) == ""
    assert node.names() == ["s"]


def test_sizes(node: Node) -> None:
    assert "VOL_SIZE has a bad value '0'" in node.call("create", VOL_SIZE="0").stderr
    for size in (1 << 30, 1 << 44, (1 << 44) + 1):  # MiB; 2^64 bytes are none for librbd
        assert f"{size} MiB are more than the 1024000000" in node.fails("create", VOL_SIZE=str(size))
    assert node.names() == []
    node.ok("create", VOL_SIZE="1")
    node.ok("create", "big", VOL_SIZE=str(1 << 24))
    node.io("big", f"write -P 9 {(1 << 44) - 65536} 64k")
    assert "MiB are more than" in node.fails("grow", VOL_SIZE="1", VOL_NEW_SIZE=str((1 << 44) + 8))
    node.ok("grow", VOL_SIZE="1", VOL_NEW_SIZE=str(1 << 24))
    assert node.has("big", 9, (1 << 44) - 65536)
    start = time.monotonic()
    node.ok("remove", "big")
    assert time.monotonic() - start < 30  # without the object map it asks for four million objects


def test_an_existing_volume_is_taken_only_if_that_is_asked_for(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.io("v", "write -P 6 0 64k")
    assert "cannot be reused: it has 4194304 bytes, not 8388608" in node.fails(
        "create", VOL_SIZE="8", EXTP_REUSE_DATA="True"
    )
    assert "bad value 'perhaps'" in node.call("create", VOL_SIZE="4", EXTP_REUSE_DATA="perhaps").stderr
    node.ok("open", VOL_OPEN_EXCLUSIVE="True")
    assert "is open on a.lab (exclusive, since 20" in node.fails("create", VOL_SIZE="4", EXTP_REUSE_DATA="True")
    node.ok("close")
    node.ok("create", VOL_SIZE="4", EXTP_REUSE_DATA="True")
    assert node.has("v", 6)


def test_without_a_kernel_device_the_error_says_what_to_do(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    words = node.fails("attach", EXTP_ACCESS="kernelspace")
    assert "this kernel maps no RBD images" in words and "ext:access=userspace" in words
    assert node.ok("attach", "nothing", EXTP_ACCESS="kernelspace") == ""


def test_attach_asks_ceph_only_for_what_it_has_not_seen_lately(nodes: tuple[Node, Node]) -> None:
    node, other = nodes
    node.ok("create", VOL_SIZE="4")
    other.ok("remove")
    assert node.ok("attach") != ""  # remembered, for 30 s; who would use it asks
    assert "does not exist" in node.fails("open")
    node.configure(remember=0)
    assert node.ok("attach") == ""
    node.ok("create", VOL_SIZE="4")
    with node.ceph.frozen():
        node.configure(remember=30, timeout=1)
        other.configure(timeout=1)
        assert node.ok("attach") != ""
        assert "as client.ganeti: Connection timed out" in other.fails("attach")


def test_a_snapshot_rolls_a_volume_back(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.io("v", "write -P 1 0 64k")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    node.io("v", "write -P 2 0 64k")
    node.ok("grow", VOL_SIZE="4", VOL_NEW_SIZE="8")
    node.ok("open", VOL_OPEN_EXCLUSIVE="True")
    with pytest.raises(AssertionError, match=r"is open on a\.lab"):
        node.admin("a.rollback(s, 'v', 's')")
    node.ok("close")
    node.admin("a.rollback(s, 'v', 's')")
    assert node.has("v", 1) and node.has("v", 0, 4 * MIB)
    assert node.admin("[(f.name, f.origin, f.logical) for f in a.listing(s)]") == (
        [("s", None, 4194304), ("v", "snapshot:s", 8388608)]
    )
    node.admin("a.clone(s, 'w', origin.parse('s'))")
    node.admin("a.remove(s, 's')")
    assert node.has("w", 1) and node.has("v", 1)
    assert node.admin("len(a.leaks(s))") == 0


def test_verify_tries_the_pool_and_tells_of_leaks(node: Node) -> None:
    before = node.left()
    done = node.call("verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert node.left() == before
    node.configure(pool="nopool")
    assert "pool 'nopool' does not exist" in node.fails("verify")


def test_the_verbs_are_what_ganeti_looks_for(node: Node) -> None:
    listed = run(["ls", f"{node.ceph.root}{VERBS}"]).split()
    words = "create attach detach remove grow setinfo snapshot open close verify parameters.list"
    assert set(words.split()) <= set(listed)
