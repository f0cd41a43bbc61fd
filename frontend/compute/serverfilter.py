"""Which servers a list is to show, by the request's query (api-ref, "List Servers").

What a database can compare becomes a condition; the rest is a test of each row. Filters that are not known are
ignored, as are an administrator's from others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import request
from sqlalchemy import and_, false, not_, or_, true
from sqlalchemy.sql.expression import ColumnElement

from frontend.compute import customflavor, nodes, serverview
from frontend.database import db
from frontend.effect import translate
from frontend.update import reading
from frontend.web import context
from frontend.web.fault import BadRequest, Forbidden
from frontend.web.pattern import Pattern

Row = Mapping[str, Any]
Test = Callable[[Row], bool]

_SERVER = db.server.c
_TRUE = ("true", "t", "yes", "y", "on", "1")
_FALSE = ("false", "f", "no", "n", "off", "0")

_COLUMNS: Mapping[str, ColumnElement[Any]] = {"uuid": _SERVER.id, "user_id": _SERVER.user_id}
_COLUMNS_OF_ADMINS: Mapping[str, ColumnElement[Any]] = {
    **dict.fromkeys(("host", "node", "hypervisor_hostname"), _SERVER.host),
    "instance_name": _SERVER.instance,
    "task_state": _SERVER.task,
}
_TEXTS: Mapping[str, Callable[[Row], list[str]]] = {
    "name": lambda row: [row["name"]],
    "ip": lambda row: [nic.get("ip") or "" for nic in row["nics"]],
    "ip6": lambda row: [nic.get("ip6") or "" for nic in row["nics"]],
}
_FACTS_OF_ADMINS = {"key_name": "key", "description": "description", "access_ip_v4": "ip4", "access_ip_v6": "ip6"}
# By the words of the API-WG's guideline on tags: do these labels, of which a server has some, let it through?
_LABELS: Mapping[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda wanted, has: wanted <= has,
    "tags-any": lambda wanted, has: bool(wanted & has),
    "not-tags": lambda wanted, has: not wanted <= has,
    "not-tags-any": lambda wanted, has: not wanted & has,
}


def scope() -> ColumnElement[bool]:
    """The servers that may be shown at all: the project's, or for an administrator who asks for it everybody's."""
    if not _is_set("all_tenants", empty=True, default=None):
        return _SERVER.project_id == context.project_id()
    if not context.is_admin():
        raise Forbidden("Your role does not let you list the servers of all projects.")
    project = request.args.get("project_id") or request.args.get("tenant_id")
    return _SERVER.project_id == project if project else true()


def conditions() -> Iterator[ColumnElement[bool]]:
    """What the database compares."""
    args = request.args
    yield from _alive()
    if args.getlist("status"):
        yield or_(false(), *(_has_status(each.upper()) for each in args.getlist("status")))
    if args.get("image"):
        yield _SERVER.image_id == _last(args["image"])
    if args.get("flavor"):
        yield _has_flavor(_last(args["flavor"]))
    for key, column in {**_COLUMNS, **(_COLUMNS_OF_ADMINS if context.is_admin() else {})}.items():
        if args.get(key) and column is _SERVER.host:
            cluster, name = nodes.named(args[key])
            yield and_(_SERVER.cluster == cluster, column == name)
        elif args.get(key):
            yield column == args[key]


def tests() -> list[Test]:
    """What each row has to pass besides."""
    found = [_matches(key, texts) for key, texts in _TEXTS.items() if request.args.get(key)]
    facts = {"reservation_id": "reservation", **(_FACTS_OF_ADMINS if context.is_admin() else {})}
    found += [_has_fact(fact, request.args[key]) for key, fact in facts.items() if request.args.get(key)]
    if context.version() >= (2, 26):
        found += [_has_labels(fits, request.args[key]) for key, fits in _LABELS.items() if request.args.get(key)]
    return found


def _alive() -> Iterator[ColumnElement[bool]]:
    if "changes-since" in request.args:  # with those that were deleted since
        yield _SERVER.updated >= _time(request.args["changes-since"])
        return
    wants_deleted = context.is_admin() and (
        _is_set("deleted", empty=False, default=False) or request.args.get("status", "").upper() == "DELETED"
    )
    yield _SERVER.deleted.is_not(None) if wants_deleted else _SERVER.deleted.is_(None)


def _is_set(key: str, *, empty: bool, default: bool | None) -> bool:
    """A flag of the query; `default` is what nonsense means, None: BadRequest."""
    text = request.args.get(key)
    if not text:
        return empty if text is not None else False
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    if default is None:
        raise BadRequest(f"{key}: expected true or false, got {text!r:.80}")
    return default


def _last(reference: str) -> str:
    """An id, or the id that ends a URL."""
    return reference.rstrip("/").rsplit("/", 1)[-1]


def _has_flavor(ident: str) -> ColumnElement[bool]:
    custom = customflavor.find(ident)
    if custom is None:
        return _SERVER.flavor_id == ident
    sizes = (_SERVER[size] == custom[size] for size in ("vcpus", "ram", "disk"))
    return and_(_SERVER.flavor_id == reading.CUSTOM, *sizes)


def _has_status(wanted: str) -> ColumnElement[bool]:
    """Of the status that is shown: see translate.status."""
    if wanted == "DELETED":
        if not context.is_admin():
            raise Forbidden("Only administrators may list deleted instances")
        return _SERVER.deleted.is_not(None)
    found = []
    for kept in {wanted, *translate.SHOWN}:
        shown = translate.SHOWN.get(kept, {})
        hides = _SERVER.task.in_(list(shown))
        if kept == wanted:
            found.append(and_(_SERVER.status == kept, or_(_SERVER.task.is_(None), not_(hides))))
        elif tasks := [task for task, status in shown.items() if status == wanted]:
            found.append(and_(_SERVER.status == kept, _SERVER.task.in_(tasks)))
    return and_(_SERVER.deleted.is_(None), or_(*found))


def _time(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as err:
        raise BadRequest(f"changes-since: {text!r} is no ISO 8601 time") from err


def _matches(key: str, texts: Callable[[Row], list[str]]) -> Test:
    try:
        pattern = Pattern(request.args[key])
    except ValueError as err:
        raise BadRequest(f"{key}: {err}") from err
    return lambda row: any(map(pattern.search, texts(row)))


def _has_fact(fact: str, value: str) -> Test:
    return lambda row: row["facts"].get(fact) == value


def _has_labels(fits: Callable[[set[str], set[str]], bool], said: str) -> Test:
    wanted = set(said.split(","))
    return lambda row: fits(wanted, set(serverview.labels(row)))
