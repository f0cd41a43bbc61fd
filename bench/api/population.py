"""Who has servers, and what their rows say: the same at each run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

USERS = 4500
FEW, MANY = 10, 1000  # servers of the tenant whose list is measured, and of the project that fills a page
TENANT, BIG, ADMIN = "tenant", "big", "admin"
MAKERS = 50  # users that make servers, and have none before
FLAVOR, IMAGE = "1c0ffee0-0000-4000-8000-000000000001", "1c0ffee0-0000-4000-8000-000000000002"
RUNNING = {"flavor_id": FLAVOR, "image_id": IMAGE, "vcpus": 1, "ram": 512, "disk": 5, "status": "ACTIVE",
           "power": "ACTIVE"}  # fmt: skip
"""Columns of a server that runs."""
NETWORK = "6d0e3f70-3a4c-4d1f-8a5e-000000000001"
NODES = 20
_BEGAN = 1_750_000_000.0  # when the oldest server was made
_GIB = 1 << 30
_GOLDEN = 0.618034  # its multiples are spread evenly over 0 to 1


def shares(servers: int, users: int = USERS) -> list[int]:
    """How many each user has: the first FEW, the second MANY, the others as many as they are left, one more or less.

    ValueError when there are too few.
    """
    left, others = servers - FEW - MANY, users - 2
    if left < 0 or others < 1:
        raise ValueError(f"{servers} servers of {users} users: at least {FEW + MANY} of 3 are needed")
    return [FEW, MANY, *(left // others + (number < left % others) for number in range(others))]


def owners(servers: int, users: int = USERS) -> list[int]:
    """Whose each server is, the oldest first: those of each user are spread over the whole time."""
    places = (
        ((number + user * _GOLDEN % 1) / count, user)
        for user, count in enumerate(shares(servers, users))
        for number in range(count)
    )
    return [user for _, user in sorted(places)]


def name(user: int) -> str:
    """Of a user, and of his project."""
    return {0: TENANT, 1: BIG}.get(user, f"user-{user}")


def maker(number: int) -> str:
    """Of one that makes servers."""
    return f"maker-{number}"


def ident(kind: str, text: str) -> str:
    """The id of a project or user."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}:{text}"))


def accounts(password_hash: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Rows of a project, its user, and his membership, of everybody."""
    for each in (ADMIN, *map(name, range(USERS)), *map(maker, range(MAKERS))):
        yield account(each, password_hash)


def account(each: str, password_hash: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The same of one user."""
    project, user = ident("project", each), ident("user", each)
    quota = {f"max_{what}": 1_000_000 for what in ("servers", "cores", "ram")}
    return (
        {"id": project, "name": each, **quota},
        {"id": user, "name": each, "password_hash": password_hash, "enabled": True},
        {"user_id": user, "project_id": project, "role": "admin" if each == ADMIN else "member"},
    )


def servers(count: int) -> Iterator[dict[str, Any]]:
    """Rows of servers as they are when Ganeti runs them."""
    for number, user in enumerate(owners(count)):
        server = ident("server", str(number))
        low = f"{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        nic = {"network": "blue", "ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", "ip6": None}
        yield {
            "id": server,
            "instance": f"gx-{server}",
            "project_id": ident("project", name(user)),
            "user_id": ident("user", name(user)),
            "name": f"server-{number}",
            **RUNNING,
            "host": f"node{number % NODES}.example.org",
            "nics": [{**nic, "mac": f"aa:00:00:{low}", "uuid": ident("nic", str(number))}],
            "created": _BEGAN + number * 60,
            "updated": _BEGAN + number * 60 + 30,
            "job": number + 1,
            "metadata": {"role": "web"},
            "facts": {"key": "laptop", "config": "1"},
        }


def offered() -> dict[str, dict[str, Any]]:
    """By table, the rows of what servers are made of."""
    return {
        "flavor": {"id": FLAVOR, "name": "small", "vcpus": 1, "ram": 512, "disk": 5},
        "image": {
            "id": IMAGE,
            "name": "debian-13",
            "visibility": "public",
            "size": _GIB,
            "sha256": "0" * 64,
            "min_disk": 0,
            "min_ram": 0,
            "created": _BEGAN,
            "properties": {},
        },
        "network": {
            "id": NETWORK,
            "name": "blue",
            "subnet": "10.0.0.0/8",
            "gateway": "10.0.0.1",
            "tags": [],
            "updated": _BEGAN,
        },
    }


def nodes() -> list[dict[str, Any]]:
    """Rows of the nodes that the servers are on."""
    alike = {"zone": "default", "offline": False, "drained": False, "vm_capable": True, "updated": _BEGAN}
    return [{"name": f"node{number}.example.org", **alike} for number in range(NODES)]


def jobs(count: int, now: float) -> list[dict[str, Any]]:
    """Rows of jobs that go on."""
    alike = {"cluster": "bench", "op_index": 0, "operation": "OP_INSTANCE_REBOOT", "kind": "instance"}
    times = {"status": "running", "rank": 2, "began": now, "updated": now}
    return [{**alike, **times, "job": 1_000_000 + number, "name": f"other-{number}"} for number in range(count)]
