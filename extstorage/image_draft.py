"""An image in the making in a directory: under a name of its own, locked, until it is whole and gets its name.

Whoever is killed leaves a draft whose lock the kernel has freed, on a network's file system the server: that is how
anybody tells it from one that is worked on.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from extstorage import btrfs, image_rights
from extstorage.draft import FOLDER, NEW
from extstorage.image_error import Known
from extstorage.layout import DISK, FILE, SUBVOLUME
from ganeti_ext.errors import ExtError
from ganeti_ext.files import taken

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING = ".making"
_TRIES = 10


class Draft:
    """A file to be filled. It goes with the `with` block, unless it was published."""

    def __init__(self, folder: str, name: str) -> None:
        self._folder, self._name = folder, name

    def __enter__(self) -> Draft:
        self._directory = os.open(self._folder, FOLDER)
        try:
            self._make()
        except BaseException:
            os.close(self._directory)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        with contextlib.suppress(FileNotFoundError):
            discard(self._directory, self._draft)
        os.close(self._lock)
        os.close(self._directory)

    def hide(self) -> None:
        """Have no name: nothing is left of it whatever becomes of us. It can be published no more."""
        with contextlib.suppress(FileNotFoundError):
            discard(self._directory, self._draft)

    def publish(self) -> None:
        """Give it its name, for all to read; Known when there is one of that name."""
        for ending in (FILE, SUBVOLUME):
            if os.path.lexists(f"{self._folder}/{self._name}{ending}"):
                raise Known(f"image {self._name!r} exists already: {self._folder}/{self._name}{ending}")
        image_rights.share(self.fd, self._folder)  # QEMU's user had it
        os.fchmod(self.fd, 0o444)
        os.fsync(self.fd)
        try:
            if self._whole:
                os.rename(f"{self._folder}/{self._draft}", f"{self._folder}/{self._name}{SUBVOLUME}")
            else:
                # By its descriptor, and never over another: see draft.py.
                path = f"{self._folder}/{self._name}{FILE}"
                os.link(f"/proc/self/fd/{self.fd}", path, src_dir_fd=self._directory, follow_symlinks=True)
        except OSError as err:
            if not isinstance(err, FileExistsError) and not os.path.lexists(f"{self._folder}/{self._name}{SUBVOLUME}"):
                raise
            raise Known(f"image {self._name!r} has just been made by another") from None
        os.fsync(self._directory)

    def _make(self) -> None:
        """Make it and lock it. Known while another is at work on one of that name; what the dead left goes."""
        self._whole = btrfs.here(self._directory)
        self._draft = f".{self._name}{ENDING}"
        path = f"{self._folder}/{self._draft}"
        for _ in range(_TRIES):
            try:
                if self._whole:
                    btrfs.create(self._directory, self._draft)
                    self._lock = os.open(path, FOLDER)
                else:
                    self._lock = os.open(path, NEW, 0o600)
            except FileExistsError:
                if not _free(path):
                    raise Known(f"image {self._name!r} is being made by another call") from None
                self.hide()
                continue
            if taken(self._lock) and os.path.lexists(path):  # else somebody took it for left by the dead
                image_rights.share(self._lock, self._folder)
                break
            os.close(self._lock)
        else:
            raise ExtError(f"{path} is taken away each time it is made")
        if not self._whole:
            self.fd = os.dup(self._lock)
            return
        self.fd = os.open(f"{path}/{DISK}", NEW, 0o600)
        # Written in place but where clones share its blocks: so are volumes, which are made of it.
        btrfs.set_nocow(self.fd)


def left(folder: str) -> Iterator[str]:
    """Names of drafts that nobody is at work on."""
    for name in sorted(os.listdir(folder)):
        if name.startswith(".") and name.endswith(ENDING) and _free(f"{folder}/{name}"):
            yield name


def sweep(folder: str) -> list[str]:
    """Remove them; returns their names."""
    directory = os.open(folder, FOLDER)
    try:
        found = list(left(folder))
        for name in found:
            with contextlib.suppress(FileNotFoundError):
                discard(directory, name)
        return found
    finally:
        os.close(directory)


def discard(directory: int, name: str) -> None:
    """Remove a draft, be it a file or a subvolume; FileNotFoundError without one."""
    try:
        os.unlink(name, dir_fd=directory)
        return
    except (IsADirectoryError, PermissionError):
        pass
    try:
        if not btrfs.destroy(directory, name):
            raise FileNotFoundError(name)
    except PermissionError:  # who is not root may remove one that is empty
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{name}/{DISK}", dir_fd=directory)
        os.rmdir(name, dir_fd=directory)


def _free(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # gone meanwhile, or another user's
        return False
    try:
        return taken(fd)
    finally:
        os.close(fd)
