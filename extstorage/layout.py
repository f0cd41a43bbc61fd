"""Where things lie: the shared directory, this node's hints, and which names are fit for a file's.

DIRECTORY/images/ID.raw are templates, only read; DIRECTORY/volumes/NAME.raw are disks. No verb makes these two
directories: where they lack, the share is not mounted, and a disk written to the mount point would be lost to all.
"""

from __future__ import annotations

import os
from collections import namedtuple

from extstorage.hint import Hint
from extstorage.loop import MARK_MAX
from ganeti_ext.errors import ConfigError, ContractError, ExtError

NAME_MAX = MARK_MAX - len("01234567:")  # it must fit into a loop's mark; Ganeti's have 46, of snapshots 51
ID_MAX = 200
PUNCTUATION = "._-+:@"


class Settings(namedtuple("Settings", "directory run_directory", defaults=("/srv/ganeti-ext", "/run/ganeti-ext/cow"))):
    """Section [cow] of cow.conf."""

    __slots__ = ()
    directory: str
    run_directory: str

    def checked(self) -> Settings:
        for key, path in zip(self._fields, self, strict=True):
            if not path.startswith("/"):
                raise ConfigError(f"cow.conf: {key} must be an absolute path, found {path!r}")
        return self

    def volume(self, name: str) -> str:
        """The file of a volume; ContractError for what is no name of one."""
        return f"{self.directory}/volumes/{checked_name('volume', name, NAME_MAX)}.raw"

    def image(self, name: str) -> str:
        return f"{self.directory}/images/{checked_name('origin', name, ID_MAX)}.raw"

    def hint(self, name: str) -> Hint:
        """Its lock is what all verbs on a volume take on this node."""
        self.volume(name)
        return Hint(self.run_directory, name)


def checked_name(what: str, name: str, limit: int) -> str:
    """A name that is safe as part of a file's, in one word of a log."""
    if not all(char.isascii() and (char.isalnum() or char in PUNCTUATION) for char in name):
        raise ContractError(f"{what} {name!r}: only letters, digits and {PUNCTUATION} may be in its name")
    if name.startswith("."):
        raise ContractError(f"{what} {name!r}: its name must not start with a dot")
    if len(name) > limit:
        raise ContractError(f"{what} {name!r}: its name is longer than {limit} characters")
    return name


def existing(settings: Settings, name: str) -> str | None:
    """The volume's file, or None without it. An error where that cannot be told: os.path.exists() would say no."""
    path = settings.volume(name)
    try:
        os.lstat(path)
    except FileNotFoundError:
        volumes(settings)
        return None
    return path


def volumes(settings: Settings) -> str:
    """The directory of volumes; ExtError without it."""
    path = f"{settings.directory}/volumes"
    try:
        os.lstat(path)
    except FileNotFoundError:
        raise ExtError(f"{path} does not exist: is the shared directory mounted on this node?") from None
    return path


def required(settings: Settings, name: str) -> str:
    path = existing(settings, name)
    if path is None:
        raise ExtError(f"volume {name!r} does not exist: there is no {settings.volume(name)}")
    return path


def opened(settings: Settings, name: str) -> int | None:
    """A descriptor of the volume's file, or None without it."""
    path = existing(settings, name)
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC) if path else None
    except FileNotFoundError:  # removed on another node between the two
        return None
