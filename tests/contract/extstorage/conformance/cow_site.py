"""Stores of `cow`, on file systems of the suite's own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from extstorage import cow, cow_admin, provider
from tests.contract.extstorage import harness
from tests.contract.extstorage.conformance.site import ROOT, Caller, Point

# What changes something: not reads, not what is written to stdout and stderr, not questions to a terminal.
CHANGES = (
    r"^(link|linkat|unlink|unlinkat|rename|mkdir|rmdir|ftruncate|fsync|pwrite64|fsetxattr|setxattr|copy_file_range"
    r"|mknodat|flock)\(|^write\((?![12],)|^openat\(.*O_(CREAT|RDWR)|^ioctl\((?!.*(TCGETS|FIOCLEX))"
)


class CowSite:
    """A mounted directory and two nodes."""

    changes = CHANGES
    points: tuple[Point, ...] = ()

    def __init__(self, share: Path, folder: Path) -> None:
        self._share = share
        self._nodes = [harness.add_node(share, folder / name) for name in ("a", "b")]
        verbs = ROOT / "extstorage/cow"
        self.a, self.b = (Caller(verbs, {"GANETI_EXT_CONFIG_DIR": str(node.etc)}) for node in self._nodes)

    def direct(self, verb: str, name: str = "v", **more: str) -> str:
        return provider.main(cow)(verb, {**self.a.environment, "VOL_NAME": name, **more}) or ""

    def image(self, name: str, content: bytes) -> None:
        (self._share / f"images/{name}.raw").write_bytes(content)

    def drop_image(self, name: str) -> None:
        (self._share / f"images/{name}.raw").unlink()

    def volumes(self) -> list[str]:
        return self._nodes[0].volumes()

    def read(self, name: str) -> bytes:
        return self._nodes[0].file(name).read_bytes()

    def write(self, name: str, offset: int, content: bytes) -> None:
        fd = os.open(self.a.ok("attach", name), os.O_WRONLY)
        try:
            os.pwrite(fd, content, offset)
            os.fsync(fd)
        finally:
            os.close(fd)

    def size(self, name: str) -> int:
        return self._nodes[0].file(name).stat().st_size

    def devices(self) -> list[str]:
        return [device for device, _ in harness.loops(self._share)]

    def holders(self, name: str) -> list[str]:
        return self._nodes[0].holders(name)

    def offline(self, *nodes: str) -> None:
        self._nodes[0].offline(*nodes)

    def mend(self) -> None:
        for node in self._nodes:
            cow_admin.mend(cow.load(str(node.etc / "cow.conf"), {}), age=-1.0)

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        ballast, block = self._share / "ballast", os.urandom(harness.MIB)
        try:
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(block)
            os.sync()
            yield
        finally:
            ballast.unlink(missing_ok=True)
            os.sync()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        source = harness.sh("findmnt", "--noheadings", "--output=SOURCE", self._share).strip().partition("[")[0]
        subprocess.run(["umount", "--lazy", self._share], check=True)
        try:
            yield
        finally:
            subprocess.run(["mount", source, self._share], check=True)

    def empty(self) -> None:
        self.offline()
        harness.empty(self._share)


@contextlib.contextmanager
def site(kind: str, folder: Path, _: pytest.FixtureRequest) -> Iterator[CowSite]:
    """A store on a file system of that kind."""
    (folder / "share").mkdir()
    with harness.mounted(kind, folder / "share") as point:
        yield CowSite(point, folder)
