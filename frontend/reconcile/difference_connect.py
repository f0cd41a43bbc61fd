"""Tenants' networks that lack in a node group, as one that was added later: they are connected as in the others.

Values in, differences out; what is to be done the front owes from then on (frontend/effect/owed.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy.engine import Engine

from frontend.effect import owed
from frontend.reconcile.difference import Difference, Snapshot
from ganeti_ext import tags

KIND, TWICE = "network-connect", "link-twice"


def is_ours(name: str, some: object) -> bool:
    """Whether a network with these tags is a tenant's."""
    return bool(name) and "project" in tags.decode(some if isinstance(some, list) else ())


def connections(found: Snapshot) -> Iterator[Difference]:
    """One that is connected nowhere is being made or taken away, or nobody knows its bridge: network-groups tells."""
    for listed in found.networks.values():
        without = [group for group in found.groups if group not in {group for group, *_ in listed["group_list"]}]
        if not is_ours(listed["name"], list(listed["tags"])) or not listed["group_list"]:
            continue
        link = listed["group_list"][0][2]
        for group in without:
            after = {"id": listed["uuid"], "network": listed["name"], "group": group, "link": link}
            words = f"not connected to node group {group}, as to others by {link}"
            yield Difference(KIND, "connection", listed["name"], None, after, words)
    yield from _shared(found)


def _shared(found: Snapshot) -> Iterator[Difference]:
    """Bridges that are one tenant's network's alone, by what they are not: shared by MACs."""
    users = defaultdict[str, set[str]](set)
    for listed in found.networks.values():
        for _, _, link, *_ in listed["group_list"]:
            users[link].add(listed["name"])
    for listed in found.networks.values():
        if is_ours(listed["name"], list(listed["tags"])) and tags.PRIVATE_FILTERED not in listed["tags"]:
            for link in sorted({link for _, _, link, *_ in listed["group_list"]}):
                if others := sorted(users[link] - {listed["name"]}):
                    words = f"its bridge {link} is also that of {' and '.join(others)}"
                    yield Difference(TWICE, "network", listed["name"], None, None, words)


def promise(engine: Engine, each: Difference, now: float, cluster: str) -> bool:
    """Have it connected later, if it lacks then, too; whether nobody had promised that yet."""
    after = each.after or {}
    with engine.begin() as connection:
        body = f"{after['network']} {after['group']} {after['link']}"
        return owed.promise_connect(connection, after["id"], body, now, cluster)
