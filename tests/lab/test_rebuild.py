"""What the front can learn from Ganeti alone: its whole database, and servers that an administrator has made."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from ganeti_ext import tags
from ganeti_ext.rapi import Rapi
from lab import inside, services
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import until
from lab.story import Story
from tests.lab import views
from tests.lab.promise import WITHIN

# All that have the database open; the package leaves none of them stopped.
_SERVICES = ("ganeti-ext-consumer", "ganeti-ext-api", "ganeti-ext-consoleproxy", "ganeti-ext-importer")
# What only an administrator can say: all the rest has to come from Ganeti.
_KEPT = ("project", "user_account", "membership", "flavor", "image")
_COLUMNS = "select json_agg(to_jsonb(server)) from server where deleted is null"
_DUMP = "/root/kept.sql"
ADDED = "made-by-hand.lab"
METADATA = {"role": "web", "who": "Zoë & co"}


@pytest.fixture
def rapi(story: Story) -> Rapi:
    return inside.remote_api(story.master)


@pytest.fixture
def project(story: Story) -> str:
    return views.sql(story.nodes[2], f"select id from project where name = '{services.PROJECT}'").strip()


@pytest.fixture
def owned(story: Story, project: str) -> Iterator[str]:
    """An instance with all that its tags may say, made without the front."""
    ident = str(uuid4())
    facts = {"project": project, "user": project, "name": "A server; with a name", "flavor": "f", "image": "i"}
    words = [*tags.encode({**facts, "created": "1700000000"}), *tags.encode_metadata(METADATA)]
    yield from _instance(story, f"gx-{ident}", words)


@pytest.fixture
def added(story: Story) -> Iterator[str]:
    """An instance of which an administrator says whose it is, and no more: by the name of the project."""
    yield from _instance(story, ADDED, [f"ganeti-ext:project:{services.PROJECT}"])


def _instance(story: Story, name: str, words: list[str]) -> Iterator[str]:
    disk = ("-t", "ext", "--disk=0:size=4M,provider=cow", "-o", "ganeti-ext+default")
    nic = ("--net", f"0:network={NETWORK},ip=pool", "-B", "memory=64,vcpus=1")
    story.gnt("instance", "add", *disk, *nic, "--no-start", f"--tags={','.join(words)}", name)
    yield name
    story.gnt("instance", "remove", "--force", "--shutdown-timeout=1", name)


def test_an_instance_that_its_owner_is_told_of_appears(story: Story, added: str) -> None:
    def listed() -> list[Mapping[str, Any]]:
        return [each for each in story.tenant.openstack("server", "list") if each["Name"] == added]

    shown = until("the tenant sees the instance", listed, WITHIN)
    assert shown[0]["Status"] == "SHUTOFF", shown
    story.gnt("instance", "start", added)
    until("the tenant sees it run", lambda: listed()[0]["Status"] == "ACTIVE", WITHIN)


def test_a_database_thrown_away_is_rebuilt(story: Story, rapi: Rapi, project: str, owned: str, added: str) -> None:
    front = story.nodes[2]
    until("the front knows its servers", lambda: _agree(rapi, front, project), 20)
    before = _servers(front)
    assert {each["instance"] for each in before} >= {owned, added}
    front.run("systemctl", "stop", *_SERVICES)
    try:
        _throw_away(front)
    finally:
        front.run("systemctl", "start", *_SERVICES)
    back = time.monotonic()
    until("the front has it all again", lambda: _agree(rapi, front, project), 30)
    assert time.monotonic() - back <= WITHIN
    assert _servers(front) == before
    (server,) = (each for each in before if each["instance"] == owned)
    assert server["metadata"] == METADATA
    assert server["name"] == "A server; with a name"
    assert server["created"] == 1700000000


def _throw_away(front: Node) -> None:
    """The database is made anew, with nothing in it but what an administrator has said."""
    postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    tables = [f"--table={name}" for name in _KEPT]
    kept = front.run(*postgres, "pg_dump", "--data-only", *tables, views.DATABASE)
    front.run(*postgres, "dropdb", views.DATABASE)
    front.run(*postgres, "createdb", "--owner=ganeti-ext", views.DATABASE)
    front.run("ganeti-ext-manage", "project-list")  # any command makes the tables
    front.run(*postgres, "psql", "--quiet", f"--dbname={views.DATABASE}", stdin=kept)


def _servers(front: Node) -> list[dict[str, Any]]:
    """All that the database has of servers that a tenant can see."""
    hidden = ("updated", "job", "job_order", "clocks", "power")
    rows = views.rows(front, _COLUMNS)
    return sorted(
        ({name: value for name, value in row.items() if name not in hidden} for row in rows), key=lambda row: row["id"]
    )


def _agree(rapi: Rapi, front: Node, project: str) -> bool:
    known, shown = views.of_ganeti(rapi, {services.PROJECT: project}), views.of_front(front)
    return all(views.agree(known.get(name), shown.get(name)) for name in known.keys() | shown.keys())
