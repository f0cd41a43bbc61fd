"""A node's root with qemu-img in it and a directory of images, for ganeti-ext-storage image; and files to bring."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lab import ceph, layer
from tests.contract.extstorage.choice import ALL
from tests.contract.extstorage.forks import FORKS, PYTHON, Forks
from tests.contract.extstorage.harness import MIB, sh, unmount

COMMAND = f"{layer.HERE}/extstorage/ganeti-ext-storage"
SHARE, FILES = "/srv/images-test", "/srv/brought"
ROOT = "0:0"
ENV = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
_forks: dict[Path, Forks] = {}  # of the roots that there are


class Site(NamedTuple):
    """`root` is the node's, `share` its directory as this process sees it; `user`: who gives the commands there.

    `forks`: what calls them for root, who need not be started for each.
    """

    root: Path
    share: Path
    user: str = ROOT
    forks: Forks | None = None

    @property
    def images(self) -> Path:
        return self.share / "images"

    @property
    def files(self) -> Path:
        """Where files are brought from: FILES of the node."""
        return self.root / FILES[1:]

    def argv(self, *words: str) -> list[str]:
        return self.storage("image", *words)

    def storage(self, *words: str) -> list[str]:
        """The command with these words, as its user gives it."""
        return ["chroot", f"--userspec={self.user}", str(self.root), *ENV, COMMAND, *words, "--config=/etc/it"]

    def call(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        if self.forks and self.user == ROOT:
            return self.forks.raw(Path(COMMAND).name, {}, "image", *words, "--config=/etc/it", stdin=stdin)
        return subprocess.run(self.argv(*words), input=stdin, capture_output=True, timeout=120, check=False)

    def ok(self, *words: str, stdin: bytes = b"") -> list[dict[str, Any]]:
        done = self.call(*words, "--json", stdin=stdin)
        assert done.returncode == 0, done
        return [json.loads(line) for line in done.stdout.splitlines()]

    def made(self, ident: str, *words: str, stdin: bytes = b"") -> dict[str, Any]:
        """The last line of an import that goes well."""
        return self.ok("import", ident, *words, stdin=stdin)[-1]

    def refused(self, *words: str, stdin: bytes = b"") -> tuple[str, str]:
        """The reason why an import is refused, which leaves nothing; and how it is said to who brought it."""
        before = self.names()
        done = self.call("import", "refused", *words, "--json", stdin=stdin)
        self.call("remove", "refused")
        assert done.returncode == 65, (done.returncode, done.stdout[-300:], done.stderr[-300:])
        last = json.loads(done.stdout.splitlines()[-1])
        assert self.names() == before
        assert last["refused"] in done.stderr.decode()
        assert "/" not in last["refused"].replace("qemu-img", "")
        return last["reason"], last["refused"]

    def names(self) -> list[str]:
        """All that is in the directory, drafts too."""
        return sorted(path.name for path in self.images.iterdir() if not path.name.startswith(".blocks"))

    def content(self, ident: str) -> bytes:
        return self.call("export", ident).stdout

    def qemu(self, *words: str) -> None:
        sh("chroot", self.root, "qemu-img", *words)

    def brought(self, name: str, content: bytes, length: int = 0) -> str:
        """A file with this content, and zeros up to its length; its path on the node."""
        with (self.files / name).open("wb") as file:
            file.write(content)
            file.truncate(max(length, len(content)))
        return f"{FILES}/{name}"

    def converted(self, source: str, kind: str, *options: str) -> str:
        """The same as another file in FILES, in another format."""
        target = f"{source}.{kind}"
        self.qemu("convert", "-O", kind, *options, source, target)
        return target

    def patched(self, source: str, *changes: tuple[int, bytes]) -> str:
        """A copy of a file, with these octets at these places."""
        content = bytearray((self.root / source[1:]).read_bytes())
        for offset, data in changes:
            content[offset : offset + len(data)] = data
        return self.brought("patched", bytes(content))

    def cut(self, source: str, length: int) -> str:
        return self.brought("cut", (self.root / source[1:]).read_bytes()[:length])


@contextlib.contextmanager
def rooted(place: Path) -> Iterator[Path]:
    """The root of a node with qemu-img."""
    with layer.mounted(layer.lower("ceph", ceph.PACKAGES), place) as root:
        for path in (SHARE, FILES, "/etc/it"):
            (root / path[1:]).mkdir(parents=True)
        (root / "etc/it/cow.conf").write_text(f"[cow]\ndirectory = {SHARE}\nrun_directory = /run/it\nnode = n\n")
        if not ALL:
            _forks[root] = Forks(["chroot", str(root), *ENV, *PYTHON, FORKS])
        try:
            yield root
        finally:
            if root in _forks:
                _forks.pop(root).close()


@contextlib.contextmanager
def shared(root: Path, share: Path) -> Iterator[Site]:
    """A file system as that node's directory."""
    sh("mount", "--bind", share, root / SHARE[1:])
    try:
        yield Site(root, share, forks=_forks.get(root))
    finally:
        unmount(root / SHARE[1:])


def disk(size: int = 4 * MIB, seed: int = 1) -> bytes:
    """A disk's content: data, zeros, data. No block of it is another's."""
    line = b"".join(b"%-64d" % (seed * 1_000_000 + number) for number in range(MIB // 64))
    return (line + bytes(MIB) + line[::-1]).ljust(size, b"\0")
