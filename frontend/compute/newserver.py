"""POST /servers: the request looked up, held against the quota, translated and submitted, a job for each server."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from frontend.compute import ingredients, quotas, requests, schema_server, seeding, serverdevices
from frontend.database import db
from frontend.effect import owed, payer, submission, translate, translate_create
from frontend.network import portquota, portstore
from frontend.web import context, schema, view
from frontend.web.fault import Forbidden
from ganeti_ext import files, tags
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
    with _one_create_at_a_time(context.project_id()):
        with context.database() as connection:
            count = _allowed(connection, wanted, found)
            serverdevices.check(connection, found.devices, count)
        facts = {**found.facts, **({"reservation": _reservation()} if wanted.reservation else {})}
        recipes = [_recipe(wanted, found, name, facts, password) for name in _names(wanted.name, count)]
        with portstore.claim(found.ports, recipes[0].ident):
            made = _make(recipes, wanted, found)
    return _answer(wanted, made, facts, password), 202


def _reservation() -> str:
    """As Nova makes ids of requests, by which their servers are listed."""
    return "r-" + "".join(secrets.choice(_RESERVATION) for _ in range(8))


def _names(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(1, count + 1)] if count > 1 else [name]


def _allowed(connection: Connection, wanted: schema_server.NewServer, found: ingredients.Ingredients) -> int:
    """As many of the servers that were asked for as the quota lets be made; Forbidden when they are too few."""
    size, ports = found.size, sum(wish.port is None for wish in found.nics)
    for count in range(wanted.most, wanted.least - 1, -1):
        asked = {"instances": count, "cores": count * size.vcpus, "ram": count * size.ram}
        try:
            quotas.check(connection, context.project_id(), asked)
            portquota.check(connection, context.project_id(), count * ports)
        except Forbidden:
            if count == wanted.least:
                raise
        else:
            return count
    raise AssertionError(wanted)  # least is at least 1, and at most `most`


def _recipe(
    wanted: schema_server.NewServer,
    found: ingredients.Ingredients,
    name: str,
    given: Mapping[str, str],
    password: str,
) -> Recipe:
    services = context.services()
    ident = str(uuid.uuid4())
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
            break
        _insert(recipe, found, wanted.metadata, job)
        portstore.given(found.ports, job)
        log.info("server %s: create is job %s", recipe.ident, job)
        made.append(recipe.ident)
    return made


def _submit(recipe: Recipe, found: ingredients.Ingredients) -> int | None:
    if not found.devices:
        return submission.create(recipe.ident, recipe.call)
    volumes = serverdevices.parts(found.devices)
    return serverdevices.submit(recipe.ident, recipe.instance, recipe.call, volumes)[-1]


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


def _one_create_at_a_time(project: str) -> files.Lock:
    """For a project: between what the quota is compared with and the new rows there must be no other create."""
    folder = os.path.dirname(context.services().settings.front.secret_file)
    return files.Lock(os.path.join(folder, f"create.{zlib.crc32(project.encode()) % 64}.lock"))
