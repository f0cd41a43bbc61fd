"""createImage: a snapshot of a server's first disk, which a hook on its node makes (extstorage/image_hook.py)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from flask import Response, make_response
from sqlalchemy import delete, insert, select, update

from frontend import context, db, effect, forgetimage, images, quotas, schema, translate_image
from frontend.purpose import SNAPSHOT, Purpose
from frontend.translate import GIB
from ganeti_ext.errors import ExtError

Row = Mapping[str, Any]

# Of the properties of the image that a server was made from, those that are about its system are the new one's, too.
_OWN = frozenset(("image_type", "instance_uuid", "base_image_ref"))


def create(server: Row, argument: object) -> Response:
    """202, and the image is `saving` until the hook has said how it went."""
    asked = schema.mapping({"createImage": argument}, "createImage")
    name, metadata = schema.text(asked, "name"), schema.metadata(asked)
    quotas.check_metadata(len(metadata))
    effect.check(server, "createImage", "ACTIVE", "SHUTOFF")
    images.check_quota(server["project_id"])
    row = _row(server, name, metadata)
    # First the row, so that whatever is told of the jobs finds it.
    with context.database() as connection:
        connection.execute(insert(db.image).values(row))
        connection.commit()
    try:
        steps = translate_image.save(server["instance"], row["provider"], row["id"])
        jobs = effect.several(server, "createImage", steps, Purpose(SNAPSHOT, row["id"]))
    except ExtError:
        with context.database() as connection:
            connection.execute(delete(db.image).where(db.image.c.id == row["id"]))
            connection.commit()
        raise
    with context.database() as connection:
        connection.execute(update(db.image).where(db.image.c.id == row["id"]).values(job=jobs[-1]))
        connection.commit()
    forgetimage.again()
    answer = make_response("", 202)
    answer.headers["Location"] = f"{context.base()}/compute/v2.1/images/{row['id']}"
    return answer


def _row(server: Row, name: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    with context.database() as connection:
        base = db.row(connection, select(db.image).where(db.image.c.id == server["image_id"])) or {}
    inherited = {key: value for key, value in (base.get("properties") or {}).items() if key not in _OWN}
    ident = str(uuid.uuid4())
    refs = {"instance_uuid": server["id"], "base_image_ref": server["image_id"]}
    return {
        "id": ident,
        "name": name,
        "owner_id": server["project_id"],
        "visibility": "private",
        "size": server["disk"] * GIB,
        "sha256": "",
        "min_disk": server["disk"],
        "min_ram": base.get("min_ram", 0),
        "created": time.time(),
        "properties": {**inherited, "image_type": "snapshot", **metadata, **refs},
        "status": "saving",
        "origin": translate_image.origin(ident),
        "provider": context.services().settings.front.provider,
        "protected": False,
        "tags": [],
    }
