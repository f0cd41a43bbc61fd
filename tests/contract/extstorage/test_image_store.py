"""ganeti-ext-storage image on real file systems, with the real qemu-img: made whole or not at all, and found again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import BASES
from tests.contract.extstorage.choice import ALL, on
from tests.contract.extstorage.harness import MIB, empty, eventually, sh, unmount
from tests.contract.extstorage.image_site import FILES, Site, disk, rooted, shared

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root"),
    pytest.mark.skipif(not BASES.exists(), reason="the nodes' Debian 13 is made by: make lab-up"),
]
PHASES = ("receive", "check", "convert", "digest", "dedup")
# What becomes of a draft is another matter on each file system, where in a phase it was left is not.
KILLS = [
    *(("xfs", phase) for phase in PHASES if ALL or phase != "check"),
    *(("btrfs", phase) for phase in PHASES if ALL or phase in ("check", "dedup")),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with rooted(tmp_path_factory.mktemp("debian") / "node") as found:
        yield found


@contextlib.contextmanager
def cleared(root: Path, share: Path) -> Iterator[Site]:
    with shared(root, share) as site:
        yield site
        unmount(site.root / "srv/images-test")
        empty(share)
        for path in share.glob("images/.*"):
            sh("rm", "-r", path)
        sh("mount", "--bind", share, site.root / "srv/images-test")


@pytest.fixture
def any_site(root: Path, any_share: Path) -> Iterator[Site]:
    with cleared(root, any_share) as site:
        yield site


@pytest.fixture(params=["xfs", "btrfs"])
def site(request: pytest.FixtureRequest, root: Path) -> Iterator[Site]:
    """Where blocks can be shared."""
    with cleared(root, request.getfixturevalue(f"{request.param}_share")) as found:
        yield found


@pytest.fixture
def xfs(root: Path, xfs_share: Path) -> Iterator[Site]:
    with cleared(root, xfs_share) as found:
        yield found


def in_volumes(site: Site, name: str) -> Path:
    path = site.share / f"volumes/{name}"
    return path.with_suffix(".raw") if path.with_suffix(".raw").exists() else path.with_suffix(".vol") / "disk"


def sums(content: bytes) -> dict[str, str]:
    return {name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha256", "sha512")}


@pytest.mark.parametrize("any_share", on("btrfs"), indirect=True)
def test_an_image_of_each_format_is_the_disk_it_was_made_of(any_site: Site) -> None:
    content = disk()
    raw = any_site.brought("disk", content)
    files = {kind: any_site.converted(raw, kind) for kind in ("qcow2", "vmdk", "vdi", "vhdx")}
    for kind, path in {"raw": raw, **files}.items():
        made = any_site.made(kind, path, "--format", kind)
        brought = (any_site.root / path[1:]).read_bytes()
        assert {name: made[name] for name in ("md5", "sha256", "sha512")} == sums(content)
        assert made["uploaded"] == {"size": len(brought), **sums(brought)}
        assert (made["id"], made["provider"], made["format"], made["size"]) == (kind, "cow", kind, len(content))
        assert any_site.content(kind) == content
    shown = {row["id"]: row for row in any_site.ok("list")}
    assert set(shown) == {"raw", *files}
    assert {row["sha256"] for row in shown.values()} == {sums(content)["sha256"]}
    assert {row["kind"] for row in shown.values()} == {"image"}
    for kind in shown:
        any_site.ok("remove", kind)
    assert any_site.names() == []


@pytest.mark.parametrize("any_share", on("tmpfs"), indirect=True)
def test_what_comes_on_stdin_is_checked_against_what_was_told(any_site: Site) -> None:
    content = disk(3 * MIB + 512)
    told = [f"--{name}={value}" for name, value in sums(content).items()]
    made = any_site.made("a", "-", f"--size={len(content)}", *told, stdin=content)
    assert (made["size"], any_site.content("a")) == (len(content), content)
    reason, words = any_site.refused("-", f"--sha256={'0' * 64}", stdin=content)
    assert (reason, sums(content)["sha256"] in words) == ("checksum", True)
    assert any_site.refused("-", f"--size={len(content) + 1}", stdin=content)[0] == "size"
    assert any_site.refused("-", f"--size={len(content) - 1}", stdin=content)[0] == "size"
    assert any_site.refused("-", stdin=b"")[0] == "empty"
    assert any_site.refused("-", "--max-size=1M", stdin=content)[0] == "too-large"


def test_zeros_take_no_room_and_equal_blocks_are_stored_once(site: Site) -> None:
    one, two = disk(8 * MIB, 1), disk(8 * MIB, 1)[: 2 * MIB] + disk(8 * MIB, 2)[2 * MIB :]
    assert site.made("one", "-", stdin=one)["deduplicated"] == 0
    assert site.made("two", "-", stdin=two)["deduplicated"] == MIB  # its first; then zeros; then what is its own
    assert site.made("three", "-", stdin=one)["deduplicated"] == 2 * MIB
    sh("sync", "--file-system", site.share)
    used = {row["name"]: (row["physical"], row["exclusive"]) for row in site.ok("usage")}
    assert used == {"one": (2 * MIB, 0), "two": (2 * MIB, MIB), "three": (2 * MIB, 0)}
    site.ok("remove", "one")
    assert (site.content("two"), site.content("three")) == (two, one)


def test_what_was_there_before_is_deduplicated_when_it_is_asked_for(site: Site) -> None:
    content = disk()
    site.made("one", "-", stdin=content)
    site.made("two", "-", "--no-dedup", stdin=content)
    (site.images / "adopted.raw").write_bytes(content)
    done = {row["id"]: row["deduplicated"] for row in site.ok("dedup")}
    # On btrfs what was put there by hand has checksums, and images have none: these share nothing.
    assert done == {"two": 2 * MIB, "adopted": 0 if (site.images / "two.vol").exists() else 2 * MIB}
    assert site.ok("dedup") == []
    for path in site.images.glob(".blocks*"):
        path.write_bytes(b"no database of ours " * 100)  # it is made anew
    assert {row["id"] for row in site.ok("dedup")} == {"adopted", "one", "two"}
    assert {name: site.content(name) == content for name in ("one", "two", "adopted")} == dict.fromkeys(
        ("one", "two", "adopted"), True
    )


def test_where_no_blocks_can_be_shared_an_import_says_so_and_goes_well(root: Path, tmp_path: Path) -> None:
    for folder in ("images", "volumes"):
        (tmp_path / "mnt" / folder).mkdir(parents=True)
    sh("mount", "-t", "tmpfs", "images", tmp_path / "mnt")
    for folder in ("images", "volumes"):
        (tmp_path / "mnt" / folder).mkdir()
    try:
        with shared(root, tmp_path / "mnt") as site:
            site.made("one", "-", stdin=disk())
            done = site.call("import", "two", "-", "--json", stdin=disk())
            assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["deduplicated"]) == (0, 0)
            assert "images that are alike are stored as often as they are there" in done.stderr.decode()
    finally:
        sh("umount", tmp_path / "mnt")


@pytest.mark.parametrize("any_share", on("xfs"), indirect=True)
def test_an_image_that_an_administrator_puts_there_is_one(any_site: Site) -> None:
    (any_site.images / "his.raw").write_bytes(disk())
    (row,) = any_site.ok("list")
    assert (row["id"], row["origin"], row["facts"], row["sha256"]) == ("his", "image:his", None, None)
    assert any_site.ok("facts", "his") == [{}]
    any_site.ok("facts", "his", "--set", stdin=b'{"name": "Debian", "owner": "p1"}')
    assert any_site.ok("show", "his")[0]["facts"] == {"name": "Debian", "owner": "p1"}
    assert any_site.call("facts", "his", "--set", stdin=b"[1]").returncode == 2
    assert any_site.call("facts", "nobody", "--set", stdin=b"{}").returncode == 5
    assert any_site.content("his") == disk()
    part = any_site.call("export", "his", "--offset=1000", f"--length={MIB}").stdout
    assert part == disk()[1000 : 1000 + MIB]
    removed = any_site.ok("remove", "his")[0]
    assert (removed["deferred"], removed["clones"], any_site.names()) == (False, [], [])
    assert "there is no image his" in any_site.ok("remove", "his")[0]["did"]
    for verb in ("show", "export"):
        assert any_site.call(verb, "his").returncode == 5


def test_facts_and_checksums_are_there_from_the_first_moment(xfs: Site) -> None:
    facts = xfs.brought("facts", b'{"owner": "p"}')
    xfs.made("a", "-", f"--facts={facts}", stdin=disk())
    assert xfs.ok("facts", "a") == [{"owner": "p"}]
    again = xfs.call("import", "a", "-", "--json", stdin=disk(seed=2))
    assert (again.returncode, xfs.content("a")) == (5, disk())
    assert xfs.ok("facts", "a") == [{"owner": "p"}]
    xfs.ok("facts", "a", "--set", stdin=b"{}")
    assert xfs.ok("show", "a")[0]["sha256"] == sums(disk())["sha256"]


def test_the_fronts_user_and_root_make_and_remove_each_others_images(site: Site) -> None:
    os.chown(site.images, 0, 4711)
    site.images.chmod(0o775)
    user = site._replace(user="4711:4711")
    try:
        path = site.converted(site.brought("disk", disk()), "qcow2")
        (site.root / path[1:]).chmod(0o644)
        site.made("a", path)
        made = user.made("b", path)
        assert made["deduplicated"] == 2 * MIB
        assert {"landlock", "limits", "seccomp"} <= set(made["confinement"])
        assert user.content("b") == disk()
        user.ok("facts", "a", "--set", stdin=b"{}")
        assert user.ok("remove", "a")[0]["deferred"] is False
        assert site.made("c", "-", stdin=disk())["deduplicated"] == 2 * MIB
        with started(site, path) as process:
            wait_for(process, "convert")
            process.kill()
        assert eventually(lambda: len(user.ok("gc", "--dry-run")) == 1)
        assert len(user.ok("gc")) == 1
        for name in ("b", "c"):
            site.ok("remove", name)
        assert site.names() == []
    finally:
        os.chown(site.images, 0, 0)
        site.images.chmod(0o755)


@pytest.mark.parametrize("any_share", on("xfs", "btrfs"), indirect=True)
def test_the_fronts_user_reads_snapshots_that_are_images_and_no_guests_disk(any_site: Site) -> None:
    (any_site.share / "volumes").mkdir(exist_ok=True)
    os.chown(any_site.images, 0, 4711)
    user = any_site._replace(user="4711:4711")
    try:
        any_site.made("a", "-", stdin=disk())
        for words in (("clone", "image:a", "guest"), ("snapshot", "guest", "saved-1"), ("snapshot", "guest", "mine")):
            sh(*any_site.storage(*words))
        assert user.content("saved-1") == disk()
        for name in ("guest", "mine"):
            found = os.stat(in_volumes(any_site, name))
            assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o600, 0, 0)
    finally:
        os.chown(any_site.images, 0, 0)


@pytest.mark.parametrize(("site", "phase"), KILLS, indirect=["site"])
def test_killed_in_any_phase_an_image_is_whole_or_not_there_and_the_next_call_clears_up(site: Site, phase: str) -> None:
    path = site.converted(site.brought("disk", disk()), "qcow2")
    with started(site, path) as process:
        wait_for(process, phase)
        process.kill()
    there = site.names()
    shown = site.ok("list")
    assert [row["id"] for row in shown] == (["a"] if phase == "dedup" else [])
    assert all(site.content(row["id"]) == disk() for row in shown)
    assert eventually(lambda: len(site.ok("gc", "--dry-run")) == len([n for n in there if n.endswith(".making")]))
    site.made("b", "-", stdin=disk())
    assert [name for name in site.names() if name.startswith(".")] == []
    if phase != "dedup":
        site.made("a", path)
    assert site.content("a") == disk()


@pytest.mark.parametrize("phase", ["receive", "convert"])
def test_stopped_by_a_signal_an_import_leaves_nothing(site: Site, phase: str) -> None:
    path = site.converted(site.brought("disk", disk()), "qcow2")
    with started(site, path) as process:
        wait_for(process, phase)
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode in (128 + signal.SIGTERM, 0)  # 0: it had just ended
    assert site.names() == [] or process.returncode == 0


def test_two_imports_of_one_name_at_once_make_one_image(site: Site) -> None:
    first = subprocess.Popen(site.argv("import", "a", "-", "--json"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdin
    first.stdin.write(disk()[: 2 * MIB])
    first.stdin.flush()
    wait_for(first, "receive")
    second = site.call("import", "a", "-", "--json", stdin=disk(seed=2))
    assert (second.returncode, b"is being made by another call" in second.stderr) == (5, True)
    first.communicate(disk()[2 * MIB :], timeout=60)
    assert (first.returncode, site.content("a")) == (0, disk())


@contextlib.contextmanager
def started(site: Site, path: str) -> Iterator[subprocess.Popen[bytes]]:
    assert path.startswith(FILES)
    with subprocess.Popen(
        site.argv("import", "a", path, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[bytes], phase: str) -> None:
    """Returns when the import says that it is in that phase."""
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get("phase") == phase:
            return
    raise AssertionError(f"it never came to {phase}")
