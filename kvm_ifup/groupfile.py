"""Ganeti's file of the cluster's tags, which it takes to every node by itself: groups.py says what of it is ours."""

from __future__ import annotations

import os

from ganeti_ext import files

DIRECTORY = "/var/lib/ganeti"
NAME = "ssconf_cluster_tags"


def path() -> str:
    return os.path.join(DIRECTORY, NAME)


def stamp() -> object:
    """Which file it is now (files.stamp)."""
    return files.stamp(path())
