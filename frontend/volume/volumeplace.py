"""On which node a new volume's holder is. It never runs there, and the disk goes to whichever node has its server."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from frontend.compute import nodes
from frontend.effect import clusters
from frontend.effect.translate_create import Place
from frontend.web import context


def place(row: Mapping[str, Any], wanted: Place) -> Place:
    """A node that is up, each volume another; without one that is known, what was wanted.

    Ganeti's allocator is not asked: it gives no place to what has less memory than the policy lets a server have,
    whatever `ignore_ipolicy` says (htools, FailMem).
    """
    if wanted.node:
        return wanted
    with context.database() as connection:
        mine = [node for node in nodes.all_rows(connection) if node["cluster"] == clusters.of(row)]
        known = [node for node in mine if nodes.is_up(node)]
    names = [node["name"] for node in known if wanted.zone in (None, node["zone"])]
    return wanted._replace(node=names[uuid.UUID(row["id"]).int % len(names)]) if names else wanted
