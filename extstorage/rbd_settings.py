"""What the provider `rbd` is told: its configuration, and which names are fit for an RBD image's."""

from __future__ import annotations

from extstorage import node as nodes
from ganeti_ext import config
from ganeti_ext.errors import ConfigError, ContractError
from ganeti_ext.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NAME = "rbd"
NAME_MAX = 90  # librbd and the kernel take 95; an image has its prefix
PUNCTUATION = "._-+"
IMAGE = "image."  # how the RBD images begin that are not volumes
CHANGEABLE = ("pool", "user", "conf")  # by a disk's own parameters


class Settings(NamedTuple):
    """Section [rbd] of rbd.conf.

    `timeout` is for one answer of Ceph, in seconds, `patience` for that of a client that has a volume open, before it
    counts as dead. `remember` is for how many seconds `attach` trusts this node's memory that a volume exists. A volume
    more than `depth` clones away from data of its own is worth to be flattened.
    """

    pool: str = "rbd"
    user: str = "admin"
    conf: str = "/etc/ceph/ceph.conf"
    timeout: int = 15
    patience: int = 10
    remember: int = 30
    depth: int = 8
    run_directory: str = "/run/ganeti-ext/rbd"
    data_directory: str = nodes.DATA_DIRECTORY
    node: str = ""

    def checked(self) -> Settings:
        for key in ("pool", "user"):
            value = getattr(self, key)
            if not value or not _plain(value) or value[0] in ".-":
                raise ConfigError(f"rbd: {key} must be a name of letters, digits and {PUNCTUATION}, found {value!r}")
        for key in ("conf", "run_directory", "data_directory"):
            value = getattr(self, key)
            # QEMU gets the first in an option of its command line.
            if not value.startswith("/") or not _plain(value.replace("/", "")):
                raise ConfigError(f"rbd: {key} must be an absolute path without blanks or commas, found {value!r}")
        for key in ("timeout", "patience"):
            if getattr(self, key) <= 0:
                raise ConfigError(f"rbd: {key} must be a positive number of seconds, found {getattr(self, key)}")
        return self

    def this(self) -> nodes.Node:
        return nodes.this(self.data_directory, self.node)


def load(path: str, params: Mapping[str, str]) -> Settings:
    """The settings of a disk: its own parameters go before the file's."""
    own: dict[str, Any] = {key: params[key] for key in CHANGEABLE if params.get(key)}
    return config.load(path, NAME, Settings)._replace(**own).checked()


def volume_name(name: str) -> str:
    """The name of a volume's RBD image, which is its own; ContractError for what is fit for none."""
    if name.startswith(IMAGE):
        raise ContractError(f"volume {name!r}: names that begin with {IMAGE} are not for volumes")
    return _checked("volume", name)


def image_name(identity: str) -> str:
    """The name of the RBD image of an image, which is what new volumes are cloned from."""
    return IMAGE + _checked("image", identity)


def _checked(what: str, name: str) -> str:
    if not _plain(name):
        raise ContractError(f"{what} {name!r}: only letters, digits and {PUNCTUATION} may be in its name")
    if not name or name[0] in ".-":
        raise ContractError(f"{what} {name!r}: its name must begin with a letter, a digit, _ or +")
    if len(name) > NAME_MAX:
        raise ContractError(f"{what} {name!r}: its name is longer than {NAME_MAX} characters")
    return name


def _plain(text: str) -> bool:
    return all(char.isascii() and (char.isalnum() or char in PUNCTUATION) for char in text)
