"""/etc/ganeti-ext/network.conf, section [network]."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext import binding

PATH = "/etc/ganeti-ext/network.conf"


class Settings(namedtuple("Settings", "binding_directory", defaults=(binding.DIRECTORY,))):
    """What an administrator may choose."""

    __slots__ = ()
    binding_directory: str
