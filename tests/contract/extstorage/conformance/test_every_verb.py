"""Every verb, twice, and what each must hold to."""

from __future__ import annotations

import pytest

from tests.contract.extstorage.choice import ALL, CHAIN
from tests.contract.extstorage.conformance.site import MIB, Site
from tests.contract.extstorage.harness import eventually

pytestmark = pytest.mark.lab
CONTENT = b"".join(b"%-4096d" % number for number in range(256))  # 1 MiB


def test_the_life_of_a_volume_each_verb_twice(site: Site) -> None:
    node = site.a.programs
    site.image("i", CONTENT)
    node.ok("create", VOL_SIZE="2", EXTP_ORIGIN="image:i")
    assert "volume 'v' exists already" in node.fails("create", VOL_SIZE="2", EXTP_ORIGIN="image:i")
    device = node.ok("attach")
    assert node.ok("attach") == device
    assert len(site.devices()) <= 1
    for _ in range(2):
        assert node.ok("open", VOL_OPEN_EXCLUSIVE="True") == ""
        assert site.holders("v") == ["a exclusive"]
    for _ in range(2):
        assert node.ok("setinfo", VOL_METADATA="originstname_gx-1") == ""
        assert node.ok("grow", VOL_SIZE="2", VOL_NEW_SIZE="3") == ""
        assert site.size("v") == 3 * MIB
    assert site.read("v") == CONTENT + bytes(2 * MIB)
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s", VOL_SNAPSHOT_SIZE="3")
    assert "exists already" in node.fails("snapshot", VOL_SNAPSHOT_NAME="s")
    for _ in range(2):
        assert node.ok("close") == ""
        assert site.holders("v") == []
    for verb in ("detach", "detach", "remove", "remove"):
        assert node.ok(verb) == ""
    assert eventually(lambda: site.devices() == [])
    assert site.volumes() == ["s"]
    assert site.read("s") == CONTENT + bytes(2 * MIB)
    for _ in range(2):
        node.ok("remove", "s")
    assert site.volumes() == []


def test_a_snapshot_keeps_its_moment_and_both_go_their_ways(site: Site) -> None:
    site.a.ok("create", VOL_SIZE="2")
    site.write("v", 0, b"then")
    site.a.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    site.write("v", 0, b"now!")
    site.a.ok("create", "w", VOL_SIZE="3", EXTP_ORIGIN="snapshot:s")
    site.write("w", 0, b"w")
    assert [site.read(name)[:4] for name in ("v", "s", "w")] == [b"now!", b"then", b"when"]
    assert site.size("w") == 3 * MIB
    for name in ("v", "s"):  # a clone outlives what it was made of
        site.a.ok("detach", name)
        site.a.ok("remove", name)
    assert site.read("w")[:4] == b"when"


def test_a_chain_has_all_of_its_past(site: Site) -> None:
    site.a.ok("create", "v0", VOL_SIZE="1")
    for number in range(CHAIN):
        site.write(f"v{number}", number * 4096, b"%d" % number)
        site.a.ok("snapshot", f"v{number}", VOL_SNAPSHOT_NAME=f"s{number}")
        site.a.ok("create", f"v{number + 1}", VOL_SIZE="1", EXTP_ORIGIN=f"s{number}")
    content = site.read(f"v{CHAIN}")
    assert [content[n * 4096 : n * 4096 + 1] for n in range(CHAIN)] == [b"%d" % n for n in range(CHAIN)]


def test_what_does_not_exist_detaches_and_removes_but_does_not_open(site: Site) -> None:
    for verb in ("attach", "detach", "remove", "close"):
        assert site.a.ok(verb) == ""
    for verb in ("open", "setinfo", "grow", "snapshot"):
        told = site.a.fails(verb, VOL_NEW_SIZE="2", VOL_SNAPSHOT_NAME="s", VOL_METADATA="m", VOL_OPEN_EXCLUSIVE="True")
        assert "volume 'v' does not exist" in told
    assert site.volumes() == []


def test_growing_goes_one_way(site: Site) -> None:
    site.a.ok("create", VOL_SIZE="2")
    for size in ("3", "3", "1"):
        site.a.ok("grow", VOL_SIZE="2", VOL_NEW_SIZE=size)
        assert site.size("v") == 3 * MIB


def test_an_existing_volume_is_reused_when_asked_for(site: Site) -> None:
    site.a.ok("create", VOL_SIZE="2")
    site.write("v", 0, b"kept")
    site.a.ok("detach")
    for _ in range(2):
        site.b.ok("create", VOL_SIZE="2", EXTP_REUSE_DATA="True")
    assert site.read("v")[:4] == b"kept"
    assert "cannot be reused" in site.b.fails("create", VOL_SIZE="3", EXTP_REUSE_DATA="True")
    assert "volume 'w' does not exist" in site.b.fails("create", "w", VOL_SIZE="3", EXTP_REUSE_DATA="True")
    site.a.ok("attach")
    site.a.ok("open", VOL_OPEN_EXCLUSIVE="True")
    assert "is open on a" in site.b.fails("create", VOL_SIZE="2", EXTP_REUSE_DATA="True")


@pytest.mark.parametrize("origin", ["nix", "image:nix", "volume:nix", "snapshot:nix"])
def test_a_missing_origin_is_named(site: Site, origin: str) -> None:
    assert f"origin '{origin}' does not exist" in site.a.fails("create", VOL_SIZE="1", EXTP_ORIGIN=origin)
    assert site.volumes() == []


def test_an_origin_that_is_gone_or_too_long_leaves_nothing(site: Site) -> None:
    site.image("i", CONTENT + CONTENT)
    told = site.a.fails("create", VOL_SIZE="1", EXTP_ORIGIN="i")
    assert "2097152 bytes: more than the 1048576 (1 MiB) asked for" in told
    site.drop_image("i")
    assert "origin 'i' does not exist" in site.a.fails("create", VOL_SIZE="2", EXTP_ORIGIN="i")
    assert site.volumes() == []


VERBS = ("create", "attach", "detach", "remove", "grow", "setinfo", "snapshot", "open", "close")
HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    "a b",
    "a\nb",
    "caf\u00e9",
    "-x\ty",
    "a;b",
    "$(id)",
    "a'b",
    'a"b',
    "a\\b",
    "%s",
]


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_hostile_names_do_nothing(site: Site, name: str) -> None:
    more = {"VOL_SIZE": "1", "VOL_NEW_SIZE": "2", "VOL_SNAPSHOT_NAME": "s", "VOL_METADATA": "m"}
    start = HOSTILE.index(name)
    for verb in VERBS if ALL else (VERBS[start % len(VERBS)], VERBS[(start + 4) % len(VERBS)]):  # each has three names
        done = site.a.call(verb, name, **more)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert "VOL_NAME is not set" in done.stderr if not name else repr(name) in done.stderr
    if name:
        site.a.ok("create", VOL_SIZE="1")
        assert site.a.call("snapshot", VOL_SNAPSHOT_NAME=name).returncode == 2
        assert site.a.call("create", "w", VOL_SIZE="1", EXTP_ORIGIN=name).returncode in {1, 2}
    assert site.volumes() == (["v"] if name else [])


@pytest.mark.parametrize("size", ["0", "-1", "x", "1.5", ""])
def test_a_size_that_is_none_is_refused(site: Site, size: str) -> None:
    assert "VOL_SIZE" in site.a.fails("create", VOL_SIZE=size)
    assert site.volumes() == []


def test_sixteen_tebibytes_are_made_or_refused_with_the_reason(site: Site) -> None:
    done = site.a.call("create", VOL_SIZE=str(16 << 20))
    if done.returncode == 0:
        assert site.size("v") == 16 << 40
        site.a.ok("attach")
        site.write("v", (16 << 40) - 4096, b"end")
        site.a.ok("detach")
        site.a.ok("remove")
    else:
        assert done.returncode == 1
        assert "16777216 MiB are more than" in done.stderr
    assert site.volumes() == []
