"""Images with what a Debian has on its disks: ext4 with the files of this very root, the same ones in each run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from ganeti_ext.command import run

BLOCK = 64 << 10  # of what the store shares
_PAGE = 4096
_UUID = "6f0b5e0c-3c1c-4a53-9f0f-0d9a6a2c7e11"
_FULL = 0.75  # of a disk that is data
_OWN = 0.06  # of a disk that each variant has for itself, in files of other packages
_CHANGED = 0.01  # and in places all over the disk: logs, lists, a database


def disk(root: Path, file: str, size: int) -> None:
    """An ext4 of so many octets in a file of the root, three quarters of it the root's own files."""
    _format(root, file, size)
    with _mounted(root, file) as tree:
        _copy(root, tree, chosen(sizes(root), 0, int(_FULL * size)))


def variant(root: Path, base: str, file: str, number: int) -> None:
    """A copy of a disk that shares no block with it, and has been used since: with packages and changes of its own."""
    run(["cp", "--reflink=never", "--sparse=always", str(root / base[1:]), str(root / file[1:])], timeout=300)
    size = (root / file[1:]).stat().st_size
    chance = random.Random(number)
    with _mounted(root, file) as tree:
        _copy(root, tree / "more", chosen(sizes(root), int(_FULL * size) + number * int(_OWN * size), int(_OWN * size)))
        old = sorted(path for path in (tree / "usr").rglob("*") if path.is_file() and path.stat().st_size > BLOCK)
        for _ in range(max(1, int(_CHANGED * size) // BLOCK)):
            _touch(chance.choice(old), chance)


def sizes(root: Path) -> list[tuple[str, int]]:
    """The regular files of /usr in the order of their names, and the octets that they take in an ext4."""
    found = []
    for folder, _, files in os.walk(root / "usr"):
        for name in files:
            path = f"{folder}/{name}"
            facts = os.lstat(path)
            if stat.S_ISREG(facts.st_mode) and facts.st_size:
                found.append((os.path.relpath(path, root), -(-facts.st_size // _PAGE) * _PAGE))
    return sorted(found)


def chosen(files: Iterable[tuple[str, int]], start: int, octets: int) -> list[tuple[str, int]]:
    """Those files that come after so many octets of others and fit into so many; begins anew where they end."""
    rows = list(files)
    start %= max(1, sum(length for _, length in rows))
    place = 0
    for first, (_, length) in enumerate(rows):
        if place >= start:
            rows = rows[first:] + rows[:first]
            break
        place += length
    found: list[tuple[str, int]] = []
    left = octets
    while fits := [row for row in rows if row[1] <= left]:
        for name, length in fits:
            if length <= left:
                found.append((name, length))
                left -= length
    return found


def data(path: Path) -> Iterator[bytes]:
    """The blocks of a file that are not all zeros."""
    zeros = bytes(BLOCK)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if block != zeros[: len(block)]:
                yield block


def unlike(paths: Iterable[Path]) -> tuple[int, int]:
    """Octets of these files in blocks that are not zeros, and in those of them that no other is like."""
    every, known = 0, set()
    for path in paths:
        for block in data(path):
            every += len(block)
            known.add(hashlib.sha256(block).digest())
    return every, len(known) * BLOCK


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _format(root: Path, file: str, size: int) -> None:
    with (root / file[1:]).open("wb") as made:
        made.truncate(size)
    options = ["-U", _UUID, "-E", f"hash_seed={_UUID},lazy_itable_init=0,lazy_journal_init=0", "-m", "0"]
    run(["chroot", str(root), "mkfs.ext4", "-q", *options, file], timeout=120)


def _copy(root: Path, target: Path, files: Iterable[tuple[str, int]]) -> None:
    """Each with its folder. What is there already, as the names begin anew, gets another name, and is another file."""
    for number, (name, _) in enumerate(files):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            shutil.copyfile(root / name, place)
        else:
            salt = random.Random(number).randbytes(BLOCK)
            place.with_name(f"{place.name}.{number}").write_bytes(salt + (root / name).read_bytes()[BLOCK:])


def _touch(file: Path, chance: random.Random) -> None:
    """Some octets of a file are others now."""
    with file.open("r+b") as changed:
        changed.seek(chance.randrange(file.stat().st_size - 4096))
        changed.write(chance.randbytes(4096))


@contextlib.contextmanager
def _mounted(root: Path, file: str) -> Iterator[Path]:
    path = root / file[1:]
    tree = path.with_name(f"{path.name}.mount")
    tree.mkdir()
    try:
        run(["mount", "-o", "loop,noatime", str(path), str(tree)])
        try:
            yield tree
        finally:
            run(["umount", str(tree)], timeout=300)
    finally:
        tree.rmdir()
