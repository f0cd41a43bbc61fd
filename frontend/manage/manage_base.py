"""What the commands of ganeti-ext-manage share."""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Table, insert, select
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError

from frontend.database import db
from frontend.settings import Settings
from ganeti_ext.errors import ConfigError, ExtError

SERVICE_USER = "ganeti-ext"


class Owner:
    """Who works. Root works as the user of the front's services, so that the database stays theirs.

    Only the effective ids change: the image store and the administrator's own files are root's to touch, and
    root takes its rights back for these (`raised`). Anybody else works as himself.
    """

    def __init__(self, name: str = SERVICE_USER) -> None:
        self._user: pwd.struct_passwd | None = None
        if os.geteuid() == 0:
            # In a checkout there is no such user, and everything is root's.
            with contextlib.suppress(KeyError):
                self._user = pwd.getpwnam(name)

    @contextlib.contextmanager
    def lowered(self) -> Iterator[Owner]:
        self._lower()
        try:
            yield self
        finally:
            self._raise()

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        self._raise()
        try:
            yield
        finally:
            self._lower()

    def _lower(self) -> None:
        if self._user is not None:
            os.initgroups(self._user.pw_name, self._user.pw_gid)
            os.setegid(self._user.pw_gid)
            os.seteuid(self._user.pw_uid)

    def _raise(self) -> None:
        if self._user is not None:
            os.seteuid(0)
            os.setegid(0)


class Context:
    """The settings, the database and whose rights are used."""

    def __init__(self, settings: Settings, owner: Owner) -> None:
        self.settings = settings
        self.owner = owner

    @cached_property
    def engine(self) -> Engine:
        """The database; made where it lacks, and brought up to date."""
        return db.connect_writer(self._url())

    @cached_property
    def engine_as_is(self) -> Engine:
        """The database of whatever version its tables are."""
        return db.open_engine(self._url())

    def _url(self) -> str:
        url = self.settings.front.database
        try:
            parts = make_url(url)
        except ArgumentError:
            raise ConfigError("[front] database: not an SQLAlchemy URL") from None
        if parts.get_backend_name() == "sqlite" and parts.database:
            folder = os.path.dirname(parts.database) or "."
            if not os.access(folder, os.W_OK, effective_ids=True):
                raise ExtError(f"database {parts.database}: cannot write in {folder} as user {_me()}")
        return url


class Answer(NamedTuple):
    """What a command has to say on stdout, with an exit code of its own."""

    text: str
    code: int


class Command(NamedTuple):
    """One command: what its parser is given, and what it does; it returns the text for stdout."""

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Context, argparse.Namespace], str | Answer]


def no_arguments(_: argparse.ArgumentParser) -> None:
    """For a command that takes none."""


def if_missing(parser: argparse.ArgumentParser) -> None:
    """The option of every command that creates."""
    parser.add_argument(
        "--if-missing", action="store_true", help="succeed without a change when there is one of that name already"
    )


def create(context: Context, table: Table, what: str, values: Mapping[str, Any], *, if_missing: bool) -> str:
    """Insert a row of a new name and return its id; the id of the one that is there with `if_missing`."""
    with context.engine.begin() as connection:
        there = connection.execute(select(table.c.id).where(table.c.name == values["name"])).scalar()
        if there is None:
            _insert(connection, table, what, values)
            return str(values["id"])
    if not if_missing:
        raise ExtError(f"{what} {values['name']!r} exists already")
    return str(there)


def _insert(connection: Connection, table: Table, what: str, values: Mapping[str, Any]) -> None:
    try:
        connection.execute(insert(table).values(values))
    except IntegrityError as err:
        raise ExtError(f"{what} {values['name']!r}: id {values['id']} exists already") from err


def named(connection: Connection, table: Table, what: str, name: str) -> dict[str, Any]:
    """The row of this name or id; ExtError when there is none."""
    found = db.rows(connection, select(table).where((table.c.id == name) | (table.c.name == name)))
    if not found:
        raise ExtError(f"{what} {name!r}: there is none of that name or id")
    exact = [row for row in found if row["id"] == name]
    if len(found) > 1 and len(exact) != 1:
        raise ExtError(
            f"{what} {name!r}: {len(found)} have that name, say which id: {', '.join(r['id'] for r in found)}"
        )
    return (exact or found)[0]


def table_of(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligned columns under a head."""
    lines = [[*head], *([("-" if cell is None else str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def whole(text: str) -> int:
    """A number from 0 on, for argparse."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def positive(text: str) -> int:
    """A number from 1 on, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def label(text: str) -> str:
    """A name of 1 to 255 characters without control characters, for argparse."""
    if not text.strip() or len(text) > 255 or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r} is no name: 1 to 255 printable characters")
    return text


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE, for argparse."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or len(name) > 255 or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=VALUE")
    return name, value


def _me() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
