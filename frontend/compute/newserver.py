"""POST /servers: the request looked up, held against the quota, translated and submitted, a job for each server."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from frontend.compute import ingredients, quotas, requests, schema_server, seeding, serverdevices
from frontend.database import db
from frontend.effect import owed, payer, submission, translate, translate_create
from frontend.network import addressquota, portquota, portstore, securitygroups
from frontend.quota import reserved
from frontend.web import context, schema, view
from frontend.web.fault import Forbidden
from ganeti_ext import tags
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_RESERVATION = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One server to be made. `facts` are all that its instance's tags are to carry but the metadata."""

    ident: str
    instance: str
    facts: Mapping[str, str]
    call: translate.Call


def create() -> tuple[Response, int]:
    """POST /servers: the jobs are accepted when this answers; the consumer tells how it went."""
    wanted = schema_server.new_server(schema.body(), context.version())
    quotas.check_metadata(len(wanted.metadata))
    with context.database() as connection:
        found = ingredients.find(connection, wanted)
    has_seed = seeding.is_wanted(context.services().settings.front.seed, wanted)
    password = (wanted.password or seeding.password()) if has_seed else ""
    facts = {**found.facts, **({"reservation": _reservation()} if wanted.reservation else {})}
    with _apart(wanted, found) as idents:
        named = zip(idents, _names(wanted.name, len(idents)), strict=True)
        recipes = [_recipe(wanted, found, ident, name, facts, password) for ident, name in named]
        with portstore.claim(found.ports, idents[0]):
            made = _make(recipes, wanted, found)
    return _answer(wanted, made, facts, password), 202


@contextlib.contextmanager
def _apart(wanted: schema_server.NewServer, found: ingredients.Ingredients) -> Iterator[list[str]]:
    """As many of the servers that were asked for as the quota lets be made: their ids, and what they take set apart.

    If the block fails, that is given back. If this process ends before, it ends by itself (reserved.py).
    """
    project, ports = context.project_id(), sum(wish.port is None for wish in found.nics)
    public = addressquota.public(wish.network for wish in found.nics if wish.port is None)
    with context.database() as connection:
        count = _allowed(connection, wanted, found, ports, public)
        serverdevices.check(connection, found.devices, count)
        securitygroups.check_chosen(connection, wanted.security_groups, project, found.facts)
        idents = [str(uuid.uuid4()) for _ in range(count)]
        for ident in idents:
            size = {"vcpus": found.size.vcpus, "ram": found.size.ram}
            reserved.keep(connection, ident, project, **size, ports=ports, addresses=public)
        connection.commit()
    try:
        yield idents
    except BaseException:
        _release(idents)
        raise


def _release(idents: Sequence[str]) -> None:
    """But of those that are being made all the same: their rows count."""
    with context.database() as connection:
        reserved.release(connection, idents)
        connection.commit()


def _reservation() -> str:
    """As Nova makes ids of requests, by which their servers are listed."""
    return "r-" + "".join(secrets.choice(_RESERVATION) for _ in range(8))


def _names(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(1, count + 1)] if count > 1 else [name]


def _allowed(
    connection: Connection, wanted: schema_server.NewServer, found: ingredients.Ingredients, ports: int, public: int
) -> int:
    """How many; Forbidden when they are too few. In the transaction that sets them apart."""
    size, project = found.size, context.project_id()
    for count in range(wanted.most, wanted.least - 1, -1):
        asked = {"instances": count, "cores": count * size.vcpus, "ram": count * size.ram}
        try:
            quotas.check(connection, project, asked)
            portquota.check(connection, project, count * ports)
            addressquota.check(connection, project, count * public)
        except Forbidden:
            if count == wanted.least:
                raise
        else:
            return count
    raise AssertionError(wanted)  # least is at least 1, and at most `most`


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
    return Recipe(ident, instance, facts, call)


def _make(recipes: Sequence[Recipe], wanted: schema_server.NewServer, found: ingredients.Ingredients) -> list[str]:
    """Submit them, one after the other; the ids of those that are promised now.

    When Ganeti takes no more of them, those before it stay if they are enough, else none is made.
    """
    made: list[str] = []
    for recipe in recipes:
        try:
            job = _submit(recipe, found)
        except ExtError as err:
            if len(made) < wanted.least:
                _take_back(made)
                raise
            log.warning("%d of %d servers are made: %s", len(made), len(recipes), err)
            _release([each.ident for each in recipes[len(made) :]])
            break
        _insert(recipe, found, wanted.metadata, job)
        portstore.given(found.ports, job)
        log.info("server %s: create is job %s", recipe.ident, job)
        made.append(recipe.ident)
    return made


def _submit(recipe: Recipe, found: ingredients.Ingredients) -> int | None:
    if not found.devices:
        return submission.create(recipe.ident, recipe.call, found.cluster)
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
    with context.database() as connection:
        try:
            connection.execute(insert(db.server).values(row))
            connection.commit()
        except IntegrityError:  # the consumer heard of the job first, and knows more
            connection.rollback()
        reserved.accepted(connection, recipe.ident, job, found.cluster)
        if job is not None:
            owed.accepted(connection, recipe.ident, job)
        requests.note(connection, "create", recipe.ident, [] if job is None else [job])
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
