"""Where things lie: the shared directory, this node's hints, and which names are fit for a file's.

DIRECTORY/images are templates, only read; DIRECTORY/volumes are disks; DIRECTORY/locks says who has them open. An image
or a disk is the file NAME.raw or, on btrfs, the file `disk` in the subvolume NAME.vol, whose snapshots cost nothing.
No verb makes the first two directories: where they lack, the share is not mounted, and a disk written to the mount
point would be lost to all.
"""

from __future__ import annotations

import os

from extstorage.hint import Hint
from extstorage.loop import MARK_MAX
from ganeti_ext.errors import ConfigError, ContractError, ExtError
from ganeti_ext.named import NamedTuple

NAME_MAX = MARK_MAX - len("01234567:")  # it must fit into a loop's mark; Ganeti's have 46, of snapshots 51
ID_MAX = 200
PUNCTUATION = "._-+:@"
POOL = "/.pool-"
FILE = ".raw"
SUBVOLUME = ".vol"
DISK = "disk"


class Settings(NamedTuple):
    """Section [cow] of cow.conf."""

    directory: str = "/srv/ganeti-ext"
    run_directory: str = "/run/ganeti-ext/cow"
    pools: tuple[str, ...] = ()
    userspace: bool = False
    node: str = ""
    data_directory: str = "/var/lib/ganeti"

    def checked(self) -> Settings:
        pools = [(f"directory of pool {name!r}", path) for name, path in self.directories()[1:]]
        own = [(key, getattr(self, key)) for key in ("directory", "run_directory", "data_directory")]
        for key, path in (*own, *pools):
            if not path.startswith("/"):
                raise ConfigError(f"cow.conf: {key} must be an absolute path, found {path!r}")
        return self

    def directories(self) -> list[tuple[str, str]]:
        """Names of pools and their directories; the first, without a name, is what disks without a pool are in."""
        pairs = [word.partition(":") for word in self.pools]
        return [("", self.directory), *((name, path) for name, _, path in pairs)]

    def of(self, pool: str) -> Settings:
        """The settings for one pool, which has directories of its own."""
        for name, path in self.directories():
            if name == pool:
                run = f"{self.run_directory}{POOL}{pool}" if pool else self.run_directory
                return self._replace(directory=path, run_directory=run)
        known = ", ".join(name for name, _ in self.directories()[1:])
        raise ContractError(f"pool {pool!r} is not in cow.conf; known: {known or 'none'}")

    def volume(self, name: str) -> str:
        """The file of a volume that is no subvolume; ContractError for what is no name of one."""
        return f"{self.directory}/volumes/{checked_name('volume', name, NAME_MAX)}{FILE}"

    def image(self, name: str) -> str:
        return f"{self.directory}/images/{checked_name('origin', name, ID_MAX)}{FILE}"

    def locks(self, name: str) -> str:
        """The directory with a volume's lock."""
        return f"{self.directory}/locks/{checked_name('volume', name, NAME_MAX)}"

    def late(self) -> str:
        """Of all pools: what extstorage/late.py notes down."""
        return self.run_directory.partition(POOL)[0] + "/.late"

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


def in_subvolume(path: str) -> str:
    """The disk of the subvolume that stands for a file NAME.raw."""
    return f"{path.removesuffix(FILE)}{SUBVOLUME}/{DISK}"


def subvolume(path: str) -> str:
    """The subvolume of a disk's path, or an empty text for a disk that is a file of its own."""
    folder, name = os.path.split(path)
    return folder if name == DISK and folder.endswith(SUBVOLUME) else ""


def existing(settings: Settings, name: str) -> str | None:
    """The volume's file, or None without it. An error where that cannot be told: os.path.exists() would say no."""
    file = settings.volume(name)
    for path in (file, in_subvolume(file)):
        try:
            os.lstat(path)
        except FileNotFoundError:
            continue
        return path
    volumes(settings)
    return None


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
