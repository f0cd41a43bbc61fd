"""POST /servers: the request looked up, held against the quota, translated and submitted."""

from __future__ import annotations

import logging
import os
import time
import uuid
import zlib
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from frontend import context, db, flavors, images, netview, networks, owed, schema, translate, view
from frontend.fault import BadRequest, Forbidden
from ganeti_ext import files
from ganeti_ext.errors import RapiError

log = logging.getLogger(__name__)


def create() -> tuple[Response, int]:
    """POST /servers: the job is accepted when this answers; the consumer tells how it went."""
    wanted = schema.new_server(schema.body())
    project, services = context.project_id(), context.services()
    with context.database() as connection:
        flavor, image, nics = _looked_up(connection, wanted, project)
    ident, now = str(uuid.uuid4()), time.time()
    facts = {
        "server": ident,
        "created": repr(now),
        "project": project,
        "user": context.caller().user_id,
        "name": wanted.name,
        "flavor": flavor["id"],
        "image": image["id"],
    }
    size = translate.size(flavor["vcpus"], flavor["ram"], flavor["disk"], image["size"])
    translate.check_image(size, image)
    instance = services.settings.front.instance_prefix + ident
    provider = services.settings.front.provider
    call = translate.create(instance, size, image["id"], nics, facts, provider, wanted.metadata)
    with _one_create_at_a_time(project):
        with context.database() as connection:
            check_quota(connection, project, size)
        job = _submit(ident, call)
        _insert(ident, instance, facts, {**flavor, "metadata": wanted.metadata}, job)
    log.info("server %s: create is job %d", ident, job)
    base = context.base()
    shown = {
        "id": ident,
        "links": view.links(base, "servers", ident),
        "OS-DCF:diskConfig": "MANUAL",
        "security_groups": [{"name": "default"}],
    }
    answer = jsonify({"server": shown})
    answer.headers["Location"] = f"{base}/compute/v2.1/servers/{ident}"
    return answer, 202


def check_quota(connection: Connection, project: str, size: translate.Size) -> None:
    """Forbidden when one more server of this size is more than the project may have."""
    limit = connection.execute(select(db.project).where(db.project.c.id == project)).mappings().one()
    used = connection.execute(
        select(
            func.count().label("servers"),
            func.coalesce(func.sum(db.server.c.vcpus), 0).label("cores"),
            func.coalesce(func.sum(db.server.c.ram), 0).label("ram"),
        ).where(db.server.c.project_id == project, db.server.c.deleted.is_(None))
    ).one()
    asked = {"servers": 1, "cores": size.vcpus, "ram": size.ram}
    for what, more in asked.items():
        allowed, now = limit[f"max_{what}"], int(getattr(used, what))
        if now + more > allowed:
            unit = " MiB" if what == "ram" else ""
            raise Forbidden(
                f"Quota exceeded for {what}: requested {more}{unit}, but already used {now} of {allowed}{unit}"
            )


def _looked_up(
    connection: Connection, wanted: schema.NewServer, project: str
) -> tuple[dict[str, Any], dict[str, Any], list[translate.Wish]]:
    """The flavor, image and networks that were named; BadRequest names the one that there is not."""
    flavor = flavors.find(connection, wanted.flavor_id)
    if flavor is None:
        raise BadRequest(f"Flavor {wanted.flavor_id} could not be found.")
    image = images.find(connection, wanted.image_id, project)
    if image is None:
        raise BadRequest(f"Image {wanted.image_id} could not be found.")
    for group in wanted.groups:
        if group not in ("default", netview.default_group_id(project)):
            raise BadRequest(f"Security group {group} not found.")
    known = networks.all_rows(connection)
    wishes = wanted.networks or (schema.Attachment(_default_network(known), None),)
    return flavor, image, [_wish(known, each) for each in wishes]


def _default_network(known: list[dict[str, Any]]) -> str:
    named = context.services().settings.front.default_network
    found = [row["id"] for row in known if not named or named in (row["id"], row["name"])]
    if len(found) != 1:
        raise BadRequest("networks: name one by its uuid; there is no default network")
    return str(found[0])


def _wish(known: list[dict[str, Any]], wanted: schema.Attachment) -> translate.Wish:
    for row in known:
        if row["id"] == wanted.network_id:
            return translate.Wish(row["id"], row["subnet"], wanted.fixed_ip)
    raise BadRequest(f"Network {wanted.network_id} could not be found.")


def _one_create_at_a_time(project: str) -> files.Lock:
    """For a project: between what the quota is compared with and the new row there must be no other create."""
    folder = os.path.dirname(context.services().settings.front.secret_file)
    return files.Lock(os.path.join(folder, f"create.{zlib.crc32(project.encode()) % 64}.lock"))


def _submit(ident: str, call: translate.Call) -> int:
    """The job. The request is kept until it ends, as it may have to be submitted once more (owed.py)."""
    services = context.services()
    body = services.vault.lock(call.body)
    with context.database() as connection:
        owed.keep_create(connection, ident, body)
        connection.commit()
    try:
        return services.rapi.submit(*call)
    except RapiError:
        with context.database() as connection:
            owed.refused(connection, ident)
            connection.commit()
        raise


def _insert(ident: str, instance: str, facts: Mapping[str, str], asked: Mapping[str, Any], job: int) -> None:
    """`asked` gives vcpus, ram, disk and metadata."""
    now = float(facts["created"])
    row = {
        "id": ident,
        "instance": instance,
        **{f"{name}_id": facts[name] for name in ("project", "user", "flavor", "image")},
        "name": facts["name"],
        **{name: asked[name] for name in ("vcpus", "ram", "disk", "metadata")},
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
        owed.accepted(connection, ident, job)
        connection.commit()
