"""The copy of what Ganeti has, and whether the parts that keep it true work."""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from frontend.database import db
from frontend.effect import clusters, remote
from frontend.manage import manage_cluster
from frontend.manage.manage_base import Command, Context, no_arguments, table_of
from ganeti_ext.errors import ExtError


def server_list(context: Context, _: argparse.Namespace) -> str:
    server = db.server.c
    joined = db.server.outerjoin(db.project, db.project.c.id == server.project_id)
    project = func.coalesce(db.project.c.name, server.project_id)
    columns = (server.cluster, server.instance, server.name, project, server.status, server.task, server.host)
    query = select(*columns).select_from(joined).where(server.deleted.is_(None)).order_by(server.created, server.id)
    with context.engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(query)]
        several = clusters.every(connection)
    head = ("INSTANCE", "NAME", "PROJECT", "STATUS", "TASK", "HOST")
    if not several:
        return table_of(head, [row[1:] for row in found])
    names = {row["id"]: clusters.shown(row) for row in several}
    return table_of(("CLUSTER", *head), [(names.get(row[0], row[0]), *row[1:]) for row in found])


def status(context: Context, _: argparse.Namespace) -> str:
    checks: dict[str, Callable[[Context], str]] = {"database": _database, "broker": _broker, "rapi": _rapi}
    checks |= {f"cluster {row['name']}": partial(_cluster, row) for row in _others(context)}
    lines, failed = [], []
    for name, check in checks.items():
        try:
            lines.append(f"{name}: ok, {check(context)}\n")
        except ExtError as err:
            failed.append(f"{name}: {err}")
        except SQLAlchemyError as err:
            failed.append(f"{name}: {str(err).splitlines()[0]}")
    if failed:
        raise ExtError("\n".join([*failed, *(line.rstrip() for line in lines)]))
    return "".join(lines)


def _database(context: Context) -> str:
    with context.engine.connect() as connection:
        alive = select(func.count()).select_from(db.server).where(db.server.c.deleted.is_(None))
        servers = connection.execute(alive).scalar()
        letters = connection.execute(select(func.count()).select_from(db.dead_letter)).scalar()
    return f"{servers} servers, {letters} messages that could not be understood"


def _broker(context: Context) -> str:
    url = context.settings.broker.url
    if not url.startswith("outbox:"):
        from frontend.update.amqp import backlog  # noqa: PLC0415 (kombu is not needed without a broker)

        return f"{backlog(url)} messages wait"
    path = url.removeprefix("outbox:")
    if not os.path.exists(path):
        raise ExtError(f"{path} does not exist: neither ganeti-ext-eventd nor ganeti-ext-consumer ran here")
    try:
        # Read only: the file must not be made, or changed in its mode, by who only looks.
        with contextlib.closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as connection:
            count = connection.execute("SELECT count(*) FROM message").fetchone()[0]
    except sqlite3.Error as err:
        raise ExtError(f"{path}: {err}") from err
    return f"{count} messages wait"


def _rapi(context: Context) -> str:
    info = remote.of(context.settings).get("info")
    return f"cluster {info['name']}, Ganeti {info['software_version']}"


def _others(context: Context) -> list[dict[str, Any]]:
    """The clusters besides that of [rapi]; none while the database does not tell."""
    with contextlib.suppress(SQLAlchemyError, ExtError), context.engine.connect() as connection:
        return [row for row in clusters.every(connection) if row["id"] != clusters.HOME]
    return []


def _cluster(row: dict[str, Any], context: Context) -> str:
    if row["state"] == clusters.OFFLINE:
        return "offline, as an administrator wants it"
    info = manage_cluster.apis(context).plain(row).get("info")
    return f"{row['state']}, Ganeti {info['software_version']}"


COMMANDS = (
    Command("server-list", "List servers", no_arguments, server_list),
    Command("status", "Tell whether the database, the broker and the remote API answer", no_arguments, status),
)
