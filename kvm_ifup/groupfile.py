"""Ganeti's file of the cluster's tags, which it takes to every node by itself: groups.py says what of it is ours."""

from __future__ import annotations

import os

DIRECTORY = "/var/lib/ganeti"
NAME = "ssconf_cluster_tags"


def path() -> str:
    return os.path.join(DIRECTORY, NAME)


def stamp() -> object:
    """Which file it is now: another one, if anything of it has changed. None without one."""
    try:
        seen = os.stat(path())
    except FileNotFoundError:
        return None
    return (seen.st_ino, seen.st_mtime_ns, seen.st_size)
