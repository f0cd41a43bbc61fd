"""What deduplication on btrfs leaves of extents is stored anew: the room is free then, and no content is another."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from extstorage import btrfs_remains, btrfs_sharers, image_cow, image_dedup, image_draft, layout, reflink, usage
from extstorage.image_digest import BLOCK
from extstorage.image_report import Report
from tests.contract.extstorage.forks import here
from tests.contract.extstorage.harness import MIB, ROOT, Node, add_node, mounted, sh

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
]
COMMAND = f"{ROOT}/extstorage/ganeti-ext-storage"
SIZE = 24 * MIB + 3 * 512  # ends within a block of the file system
OWN = 6 * MIB  # what each image has for itself, in blocks all over it
SLACK = 2 * MIB  # metadata
# It may give up any privilege but that: who is not root may not ask how long extents are.
UNPRIVILEGED = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")


class Site:
    """A btrfs with images, as the command sees it."""

    def __init__(self, node: Node) -> None:
        self.node, self.by = node, tuple[str, ...]()

    def call(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        words = ("image", *words, f"--config={self.node.etc}")
        forks = here()
        if forks and not self.by:
            return forks.raw(Path(COMMAND).name, {}, *words, stdin=stdin)
        return subprocess.run([*self.by, COMMAND, *words], input=stdin, capture_output=True, timeout=120, check=False)

    def ok(self, *words: str, stdin: bytes = b"") -> list[dict[str, object]]:
        done = self.call(*words, "--json", stdin=stdin)
        assert (done.returncode, done.stderr) == (0, b""), done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def used(self) -> int:
        sh("sync", "--file-system", self.node.share)
        found = os.statvfs(self.node.share)
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def disk(self, ident: str) -> Path:
        return self.node.share / f"images/{ident}.vol/disk"

    def sums(self) -> dict[str, str]:
        return {ident: _sum(self.disk(ident).read_bytes()) for ident in ("one", "two")}

    def left(self) -> list[str]:
        return [path.name for path in (self.node.share / "images").glob(".*.making")]

    def cow(self) -> image_cow.Cow:
        return image_cow.Cow(layout.Settings(directory=str(self.node.share)))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with mounted("btrfs", tmp_path) as point:
        sh("mount", "-o", "remount,commit=1", point)  # seconds until what has no name any more is looked for
        yield Site(add_node(point, tmp_path / "n"))


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def content(number: int) -> bytes:
    """All have the same, but for blocks of their own: every fourth, and the end."""
    made = bytearray(random.Random(0).randbytes(SIZE))
    own = random.Random(number)
    for offset in range(0, SIZE - BLOCK, 4 * BLOCK):
        made[offset : offset + BLOCK] = own.randbytes(BLOCK)
    made[-512:] = own.randbytes(512)
    return bytes(made)


KEPT = ("two", "three")
KEPT_SIZE = SIZE - OWN + 2 * OWN  # what these have in common was another's, and his own blocks are gone
CONTENT = {"one": content(1), "two": content(2)}
SUMS = {ident: _sum(made) for ident, made in CONTENT.items()}


def bring(site: Site, *words: str) -> int:
    """Import both; the room that was taken before."""
    before = site.used()
    for ident, made in CONTENT.items():
        site.ok("import", ident, "-", *words, stdin=made)
    return before


def share_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As versions did that stored nothing anew."""
    with monkeypatch.context() as patch:
        patch.setattr(btrfs_remains, "rewrite", lambda *_: None)
        for ident in CONTENT:
            site.cow().share(ident, report(), again=True)


def report() -> Report:
    return Report("it", io.StringIO(), io.StringIO(), program=False)


def rests(site: Site, ident: str) -> list[btrfs_remains.Rest]:
    """What could be stored anew of an image."""
    with site.disk(ident).open("rb") as file:
        return list(btrfs_remains.rests(btrfs_remains.extents(file.fileno()), usage.mapped(file.fileno())))


@pytest.mark.parametrize("by", [(), UNPRIVILEGED], ids=["root", "user"])
def test_images_that_are_shared_as_they_come_take_what_differs(site: Site, by: tuple[str, ...]) -> None:
    site.by = by
    before = bring(site)
    assert site.used() - before < SIZE + OWN + SLACK
    assert (site.sums(), site.left()) == (SUMS, [])
    assert rests(site, "two") == []


def test_images_that_are_shared_later_take_what_differs(site: Site) -> None:
    before = bring(site, "--no-dedup")
    assert site.used() - before > 2 * SIZE
    times = [(found.st_mtime_ns, found.st_ctime_ns) for found in (site.disk(ident).stat() for ident in CONTENT)]
    site.ok("dedup")
    assert site.used() - before < SIZE + OWN + SLACK
    assert (site.sums(), site.left()) == (SUMS, [])
    assert [(found.st_mtime_ns, found.st_ctime_ns) for found in (site.disk(one).stat() for one in CONTENT)] == times
    assert site.ok("dedup") == []
    site.ok("dedup", "--again")  # what is there is good enough
    assert site.used() - before < SIZE + OWN + SLACK


def test_what_another_version_shared_is_freed_when_all_are_asked_for(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bring(site, "--no-dedup")
    share_alone(site, monkeypatch)
    assert site.used() - before > 2 * SIZE - SLACK
    assert site.ok("dedup") == []
    site.ok("dedup", "--again")
    assert site.used() - before < SIZE + OWN + SLACK
    assert site.sums() == SUMS


def test_what_was_put_there_by_hand_has_checksums_and_is_freed_too(site: Site) -> None:
    before = site.used()
    for ident, made in CONTENT.items():
        (site.node.share / f"images/{ident}.raw").write_bytes(made)
    site.ok("dedup")
    assert site.used() - before < SIZE + OWN + SLACK
    assert {ident: _sum((site.node.share / f"images/{ident}.raw").read_bytes()) for ident in SUMS} == SUMS


def test_with_a_disk_that_is_a_clone_nothing_grows(site: Site) -> None:
    bring(site, "--no-dedup")
    site.node.ok("create", VOL_SIZE="40", EXTP_ORIGIN="image:two")
    device = site.node.ok("attach")
    before = site.used()
    site.ok("dedup")
    assert site.used() < before + SLACK
    assert site.sums() == SUMS
    with open(device.strip(), "rb") as disk:
        assert _sum(disk.read(SIZE)) == SUMS["two"]


def test_a_clone_that_is_made_meanwhile_lets_the_rest_stay_as_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(site, "--no-dedup")
    hide = image_draft.Draft.hide

    def after_a_clone(draft: image_draft.Draft) -> None:
        site.node.ok("create", VOL_SIZE="40", EXTP_ORIGIN="image:two")
        hide(draft)

    for ident in CONTENT:
        before = site.used()
        monkeypatch.setattr(image_draft.Draft, "hide", after_a_clone)
        assert site.cow().share(ident, report(), again=True)
        assert site.used() < before + SLACK
    assert site.node.volumes() == ["v"]
    assert site.sums() == SUMS


def lethal(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, count: int) -> None:
    """Let so many calls of a function be the end of who makes the last of them."""
    step, calls = getattr(owner, name), iter(range(1, count + 1))

    def deadly(*args: object, **options: object) -> object:
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*args, **options)

    monkeypatch.setattr(owner, name, deadly)


def killed(work: Callable[[], object]) -> None:
    """Do it in a process of its own, which must not come to its end."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("owner", "name", "count"),
    [
        (image_draft.Draft, "hide", 1),
        (btrfs_remains, "copy", 1),
        (btrfs_remains, "copy", 60),
        (os, "fdatasync", 1),
        (reflink, "dedupe", 140),
        (image_dedup, "_state", 2),
    ],
)
def test_killed_anywhere_an_image_is_whole_and_the_next_call_makes_up_for_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, count: int
) -> None:
    before = bring(site, "--no-dedup")
    site.ok("dedup", "one")
    monkeypatch.setattr(btrfs_remains, "BATCH", 2 * MIB)
    lethal(monkeypatch, owner, name, count)
    killed(lambda: site.cow().share("two", report(), again=False))
    monkeypatch.undo()
    assert site.sums() == SUMS
    assert len(site.left()) == (name == "hide")
    assert len(site.ok("gc")) == (name == "hide")
    assert site.left() == []
    assert [row["id"] for row in site.ok("dedup")] == ["two"]
    sh("btrfs", "subvolume", "sync", site.node.share)
    assert site.used() - before < SIZE + OWN + SLACK
    assert site.sums() == SUMS


def filled(site: Site, free: int) -> Path:
    """A file that leaves so much room."""
    path = site.node.share / "filler"
    with path.open("wb") as file, contextlib.suppress(OSError):
        for offset in range(0, 512 * MIB, MIB):
            os.posix_fallocate(file.fileno(), offset, MIB)
    os.truncate(path, path.stat().st_size - free)
    site.used()
    return path


def test_without_room_images_stay_as_they_are_and_it_is_said_until_there_is_some(site: Site) -> None:
    before = bring(site, "--no-dedup")
    filler = filled(site, MIB)
    done = site.call("dedup")
    assert (done.returncode, site.sums(), site.left()) == (0, SUMS, [])
    assert b"keeps its room until: ganeti-ext-storage image dedup" in done.stderr, done.stderr
    filler.unlink()
    assert site.ok("dedup")
    assert site.used() - before < SIZE + OWN + SLACK
    assert site.sums() == SUMS


def test_it_takes_little_more_room_than_it_frees(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of each extent is given up, and the other halves are more than there is room for."""
    piece, count = 4 * MIB, 24
    monkeypatch.setattr(btrfs_remains, "BATCH", piece)
    folder = f"{site.node.share}/images"
    with image_draft.Draft(folder, "it") as it, image_draft.Draft(folder, "other") as other:
        for draft in (it, other):
            for number in range(count):
                os.pwrite(draft.fd, random.Random(number).randbytes(piece), number * piece)
                os.fsync(draft.fd)
        known = btrfs_remains.extents(it.fd)
        assert len(known) == count
        for number in range(count):
            reflink.dedupe(other.fd, it.fd, number * piece, number * piece, piece // 2)
        filled(site, 5 * piece)
        before = site.used()
        btrfs_remains.rewrite(folder, "it", it.fd, known, report())
        assert before - site.used() > count * piece // 2 - SLACK
        for number in range(count):
            assert os.pread(it.fd, piece, number * piece) == random.Random(number).randbytes(piece)


def test_who_is_not_root_is_told_the_same_of_a_new_file(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with image_draft.Draft(f"{site.node.share}/images", "it") as it:
        for number in (0, 1, 2, 5):
            os.pwrite(it.fd, b"x" * MIB, number * MIB)
            os.fsync(it.fd)
        os.posix_fallocate(it.fd, 8 * MIB, MIB)
        known = btrfs_remains.extents(it.fd)
        assert [length for _, length in known] == [MIB] * 4
        assert len(usage.mapped(it.fd)) < 5  # neighbours are told as one
        monkeypatch.setattr(btrfs_remains, "searched", denied)
        assert btrfs_remains.extents(it.fd) == known


@pytest.fixture
def left_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[Site, int]:
    """Two images share what they have in common with one that is gone; and the room that was taken before."""
    before = bring(site)
    site.ok("import", "three", "-", stdin=content(3))
    site.ok("remove", "one")
    sh("btrfs", "subvolume", "sync", site.node.share)
    for ident in KEPT:  # its blocks of its own are in extents of which both have parts
        site.ok("dedup", ident)
    assert site.used() - before > KEPT_SIZE + OWN - SLACK
    monkeypatch.setattr(btrfs_remains, "BATCH", 4 * MIB)
    return site, before


def kept(site: Site) -> bool:
    wanted = {"two": SUMS["two"], "three": _sum(content(3))}
    return {ident: _sum(site.disk(ident).read_bytes()) for ident in KEPT} == wanted


def test_what_only_images_have_of_one_that_is_gone_is_stored_anew_once(left_over: tuple[Site, int]) -> None:
    site, before = left_over
    site.by = UNPRIVILEGED
    site.ok("dedup", "--again")
    assert site.used() - before > KEPT_SIZE + OWN - SLACK
    site.by = ()
    site.ok("dedup", "--again")
    assert site.used() - before < KEPT_SIZE + SLACK
    assert (kept(site), site.left()) == (True, [])
    with site.disk("two").open("rb") as two, site.disk("three").open("rb") as three:
        assert not list(btrfs_sharers.extents([two.fileno(), three.fileno()]))


def test_with_a_clone_of_one_of_them_nothing_grows(left_over: tuple[Site, int]) -> None:
    site, _ = left_over
    site.node.ok("create", VOL_SIZE="40", EXTP_ORIGIN="image:three")
    before = site.used()
    site.ok("dedup", "--again")
    assert site.used() < before + SLACK
    assert (kept(site), site.left()) == (True, [])


@pytest.mark.parametrize(
    ("owner", "name", "count"),
    [(image_draft.Draft, "hide", 1), (btrfs_remains, "copy", 2), (os, "fdatasync", 1), (reflink, "dedupe", 100)],
)
def test_killed_while_it_is_stored_anew_for_all_each_is_whole(
    left_over: tuple[Site, int], monkeypatch: pytest.MonkeyPatch, owner: object, name: str, count: int
) -> None:
    site, before = left_over
    lethal(monkeypatch, owner, name, count)
    killed(lambda: site.cow().settle(report()))
    monkeypatch.undo()
    assert kept(site)
    assert len(site.ok("gc")) == (name == "hide")
    sh("btrfs", "subvolume", "sync", site.node.share)
    site.ok("dedup", "--again")
    assert site.used() - before < KEPT_SIZE + SLACK
    assert (kept(site), site.left()) == (True, [])


def test_without_room_for_it_all_stay_as_they_are(left_over: tuple[Site, int]) -> None:
    site, before = left_over
    filler = filled(site, MIB)
    done = site.call("dedup", "--again")
    assert (done.returncode, kept(site), site.left()) == (0, True, [])
    assert b"keeps its room until: ganeti-ext-storage image dedup --again" in done.stderr
    filler.unlink()
    site.ok("dedup", "--again")
    assert site.used() - before < KEPT_SIZE + SLACK
    assert kept(site)


def denied(_fd: int) -> list[tuple[int, int]]:
    raise PermissionError
