"""Servers that several tests share: started when the first one needs them, and once a run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import kombu
import pytest

from tests.contract.ganeti_node import GanetiNode
from tests.contract.services import PostgreSql, RabbitMq


def _need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("starts a Debian 13 in namespaces, which root alone may")


@pytest.fixture(scope="session")
def ganeti() -> Iterator[GanetiNode]:
    """A Ganeti for tests that take no notice of what others have made there, under names of their own."""
    _need_root()
    with contextlib.closing(GanetiNode()) as made:
        made.write("/var/lib/ganeti/rapi/users", "front password write\n")
        yield made


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """A PostgreSQL that runs."""
    _need_root()
    with contextlib.closing(PostgreSql()) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/front.db"
    server: PostgreSql = request.getfixturevalue("postgresql")
    return server.database()


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMq]:
    """A RabbitMQ that runs; take `rabbitmq`."""
    _need_root()
    with contextlib.closing(RabbitMq()) as made:
        yield made


@pytest.fixture
def rabbitmq(rabbitmq_server: RabbitMq) -> RabbitMq:
    """A RabbitMQ that runs, without the front's queue and its exchange."""
    with kombu.Connection(rabbitmq_server.url, connect_timeout=20) as connection:
        channel = connection.channel()
        channel.queue_delete("ganeti-ext-front")
        channel.exchange_delete("ganeti")
    return rabbitmq_server
