"""POST /servers: the request looked up, held against the quota, translated and submitted, a job for each server."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify
from sqlalchemy import insert
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from frontend.compute import ingredients, quotas, requests, schema_server, seeding, serverdevices, serverquota
from frontend.database import db, turns
from frontend.effect import owed, payer, submission, translate, translate_create
from frontend.effect.remote import RemoteApi
from frontend.network import portstore, securitygroups
from frontend.quota import reserved
from frontend.usage import budget
from frontend.web import context, schema, view
from frontend.web.fault import Forbidden
from ganeti_ext import tags
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_NEW = insert(db.server)
_RESERVATION = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One server to be made. `facts` are all that its instance's tags are to carry but the metadata."""

    ident: str
    instance: str
    facts: Mapping[str, str]
    call: translate.Call
    kept: str
    """The request, encrypted (owed.py); empty: it is one of a chain, which is kept itself."""


def create() -> tuple[Response, int]:
    """POST /servers: the jobs are accepted when this answers; the consumer tells how it went.

    Three transactions: what it is made of is read; it is counted, set apart and its requests are kept; it is there.
    """
    wanted = schema_server.new_server(schema.body(), context.version())
    quotas.check_metadata(len(wanted.metadata))
    with context.database() as connection:
        found = ingredients.find(connection, wanted)
        budget.check(connection, context.project_id())
    rapi = context.services().clusters.known(found.cluster_row, found.cluster)
    has_seed = seeding.is_wanted(context.services().settings.front.seed, wanted)
    password = (wanted.password or seeding.password()) if has_seed else ""
    facts = {**found.facts, **({"reservation": _reservation()} if wanted.reservation else {})}
    with (
        _apart(wanted, found, lambda count: _recipes(wanted, found, count, facts, password)) as recipes,
        portstore.claim(found.ports, recipes[0].ident),
    ):
        made = _make(rapi, recipes, wanted, found)
    return _answer(wanted, made, facts, password), 202


@contextlib.contextmanager
def _apart(
    wanted: schema_server.NewServer, found: ingredients.Ingredients, ready: Callable[[int], list[Recipe]]
) -> Iterator[list[Recipe]]:
    """As many of the servers that were asked for as the quota lets be made, by `ready`; what they take is set apart.

    Whoever submits one takes it out of the list: what it took is over with its job. Those in the list at the end give
    back what they took. If this process ends before, that ends by itself (reserved.py).
    """
    project = context.project_id()
    size = {"vcpus": found.size.vcpus, "ram": found.size.ram, "ports": _ports(found), "addresses": found.public}
    # Others wait behind this transaction: what can be made before it is.
    made = ready(wanted.most) if wanted.least == wanted.most else []
    with turns.writer(context.services().engine) as connection:
        count = _allowed(connection, wanted, found)
        serverdevices.check(connection, found.devices, count)
        securitygroups.check_chosen(connection, wanted.security_groups, project, found.facts)
        recipes = made or ready(count)
        reserved.keep_new(connection, [recipe.ident for recipe in recipes], project, **size)
        owed.keep_creates(connection, {each.ident: each.kept for each in recipes if each.kept}, found.cluster)
        connection.commit()
    try:
        yield recipes
    finally:
        if recipes:
            _forget([recipe.ident for recipe in recipes])


def _forget(idents: Sequence[str]) -> None:
    """Of servers that were not submitted, or refused: what is set apart for them, and what is kept of them."""
    with context.database() as connection:
        reserved.release(connection, idents)
        owed.refused(connection, idents)
        connection.commit()


def _ports(found: ingredients.Ingredients) -> int:
    """How many a server takes that were not made beforehand."""
    return sum(wish.port is None for wish in found.nics)


def _reservation() -> str:
    """As Nova makes ids of requests, by which their servers are listed."""
    return "r-" + "".join(secrets.choice(_RESERVATION) for _ in range(8))


def _names(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(1, count + 1)] if count > 1 else [name]


def _allowed(connection: Connection, wanted: schema_server.NewServer, found: ingredients.Ingredients) -> int:
    """How many; Forbidden when they are too few. In the transaction that sets them apart."""
    size, ports = found.size, _ports(found)
    room = serverquota.Room.now(connection, context.project_id(), ports, found.public)
    for count in range(wanted.most, wanted.least - 1, -1):
        asked = {"instances": count, "cores": count * size.vcpus, "ram": count * size.ram}
        try:
            room.check(asked, count * ports, count * found.public)
        except Forbidden:
            if count == wanted.least:
                raise
        else:
            return count
    raise AssertionError(wanted)  # least is at least 1, and at most `most`


def _recipes(
    wanted: schema_server.NewServer,
    found: ingredients.Ingredients,
    count: int,
    facts: Mapping[str, str],
    password: str,
) -> list[Recipe]:
    names = _names(wanted.name, count)
    return [_recipe(wanted, found, str(uuid.uuid4()), name, facts, password) for name in names]


def _recipe(
    wanted: schema_server.NewServer,
    found: ingredients.Ingredients,
    ident: str,
    name: str,
    given: Mapping[str, str],
    password: str,
) -> Recipe:
    services = context.services()
    instance = services.settings.front.instance_prefix + ident
    facts = {
        "server": ident,
        "created": repr(time.time()),
        "project": context.project_id(),
        "user": context.caller().user_id,
        "name": name,
        "flavor": found.flavor["id"],
        "image": found.image["id"],
        **given,
    }
    told = ""
    if password:
        facts["config"] = "1"
        told = seeding.of(wanted, ident, name, found.public_key, password, services.vault)
    call = translate_create.create(
        instance, found.size, found.disk, found.nics, facts, wanted.metadata, found.place, told
    )
    kept = "" if found.devices else services.vault.lock(call.body)
    return Recipe(ident, instance, facts, call, kept)


def _make(
    rapi: RemoteApi, waiting: list[Recipe], wanted: schema_server.NewServer, found: ingredients.Ingredients
) -> list[str]:
    """Submit those that wait, one after the other; the ids of those that are promised now.

    When Ganeti takes no more of them, those before it stay if they are enough, else none is made.
    """
    made: list[str] = []
    while waiting:
        recipe = waiting.pop(0)
        try:
            job = _submit(rapi, recipe, found)
        except ExtError as err:
            waiting.insert(0, recipe)
            if len(made) < wanted.least:
                _take_back(made)
                raise
            log.warning("%d of %d servers are made: %s", len(made), len(made) + len(waiting), err)
            break
        _insert(recipe, found, wanted.metadata, job)
        portstore.given(found.ports, job)
        log.info("server %s: create is job %s", recipe.ident, job)
        made.append(recipe.ident)
    return made


def _submit(rapi: RemoteApi, recipe: Recipe, found: ingredients.Ingredients) -> int | None:
    if not found.devices:
        return submission.create(rapi, recipe.ident, recipe.call)
    volumes = serverdevices.parts(found.devices, found.cluster)
    return serverdevices.submit(recipe.ident, recipe.instance, recipe.call, volumes, found.cluster)[-1]


def _take_back(made: Sequence[str]) -> None:
    """Remove servers that are being built; what cannot be done at once, the consumer does."""
    services = context.services()
    for ident in made:
        with context.database() as connection:
            promised = owed.promise_removal(connection, ident)
            connection.commit()
        if promised is not None:
            with contextlib.suppress(ExtError):
                payer.remove(services.engine, context.rapi(promised), promised)


def _insert(recipe: Recipe, found: ingredients.Ingredients, metadata: Mapping[str, str], job: int | None) -> None:
    facts = recipe.facts
    now = float(facts["created"])
    row = {
        "id": recipe.ident,
        "cluster": found.cluster,
        "instance": recipe.instance,
        **{f"{name}_id": facts[name] for name in ("project", "user", "flavor", "image")},
        "name": facts["name"],
        **{name: found.flavor[name] for name in ("vcpus", "ram", "disk")},
        "metadata": metadata,
        "facts": {name: value for name, value in facts.items() if name in tags.GIVEN},
        "status": "BUILD",
        "task": translate.SPAWNING,
        "nics": [],
        "created": now,
        "updated": now,
        "job": job,
    }
    with turns.writer(context.services().engine) as connection:
        try:
            connection.execute(_NEW, row)
        except IntegrityError:  # the consumer heard of the job first, and knows more
            connection.rollback()
        # In the order in which he locks these rows.
        if job is not None:
            owed.accepted(connection, recipe.ident, job)
        reserved.accepted(connection, recipe.ident, job, found.cluster)
        requests.note_new(connection, "create", recipe.ident, [] if job is None else [job])
        connection.commit()


def _answer(wanted: schema_server.NewServer, made: Sequence[str], facts: Mapping[str, str], password: str) -> Response:
    if wanted.reservation:
        return jsonify({"reservation_id": facts["reservation"]})
    base, ident = context.base(), made[0]
    shown: dict[str, Any] = {
        "id": ident,
        "links": view.links(base, "servers", ident),
        "OS-DCF:diskConfig": wanted.disk_config,
        "security_groups": [{"name": name} for name in wanted.security_groups or ("default",)],
    }
    if password:  # without a disk for it nobody would set one
        shown["adminPass"] = password
    answer = jsonify({"server": shown})
    answer.headers["Location"] = f"{base}/compute/v2.1/servers/{ident}"
    return answer
