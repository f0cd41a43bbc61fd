"""rebuild, rescue and unrescue: a server gets another disk to boot from, and keeps all else that it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy import select

from frontend.compute import quotas, seeding, serverchange, servers, serverview, whichcluster
from frontend.database import db
from frontend.effect import effect, facts, translate_create, translate_disk
from frontend.effect.purpose import REBUILD, RESCUE, UNRESCUE, Purpose
from frontend.effect.translate import GIB, MIB, Size
from frontend.effect.translate_create import Disk, check_image
from frontend.image import images
from frontend.volume import volumename
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict

Row = Mapping[str, Any]

_PASSWORD = 255  # characters


def rebuild(server: Row, argument: object) -> tuple[Response, int]:
    """Same id, addresses and MAC; the disk is the image's. Keys that Nova does not know here are passed over."""
    asked = schema.mapping({"rebuild": argument}, "rebuild")
    said = serverchange.asked(asked, context.version() >= (2, 19))
    metadata = schema.metadata(asked) if asked.get("metadata") is not None else None
    quotas.check_metadata(len(metadata or {}))
    given = schema.text(asked, "adminPass", "", _PASSWORD)
    image = _image(server, schema.reference(asked, "imageRef"))
    effect.check(server, "rebuild", "ACTIVE", "SHUTOFF")
    _refuse_volume(server, "rebuild")
    size = _size(server, image)
    check_image(Size(server["vcpus"], server["ram"], size), image)
    if said or metadata is not None:
        items = {**dict.fromkeys(server["metadata"]), **metadata} if metadata is not None else None
        facts.change(server, said, metadata=items)
    password, told = _password(server, given, said.get("name"))
    steps = translate_disk.rebuild(server, image["id"], _disk(image), size, told)
    effect.several(server, "rebuild", steps, Purpose(REBUILD, ""))
    now = {**servers.need(server["id"]), "image_id": image["id"]}
    shown = serverview.after(now, serverview.eye())
    answer = jsonify({"server": {**shown, "adminPass": password} if password else shown})
    answer.headers["Location"] = f"{context.base()}/compute/v2.1/servers/{server['id']}"
    return answer, 202


def rescue(server: Row, argument: object) -> tuple[Response, int]:
    """From a fresh disk of the server's image, or of the one that is named; its own disk is the second."""
    asked = schema.mapping({"rescue": argument}, "rescue", {})
    given = schema.text(asked, "adminPass", "", _PASSWORD)
    named = schema.reference(asked, "rescue_image_ref") if asked.get("rescue_image_ref") else server["image_id"]
    effect.check(server, "rescue", "ACTIVE", "SHUTOFF")
    _refuse_volume(server, "rescue")
    image = _image(server, named)
    password, told = _password(server, given)
    size = max(image["min_disk"] * (GIB // MIB), -(-image["size"] // MIB))
    steps = translate_disk.rescue(server, _disk(image), size, _timeout(), told)
    effect.several(server, "rescue", steps, Purpose(RESCUE, ""))
    return jsonify({"adminPass": password}), 200


def unrescue(server: Row, _: object) -> tuple[str, int]:
    effect.check(server, "unrescue", "RESCUE")
    effect.several(server, "unrescue", translate_disk.unrescue(server, _timeout()), Purpose(UNRESCUE, ""))
    return "", 202


def _refuse_volume(server: Row, verb: str) -> None:
    """BadRequest, as Nova's of these microversions, when the server's first disk is a volume."""
    if volumename.boots(server):
        raise BadRequest(f"Instance {server['id']} cannot be {verb}ed: Cannot {verb} a volume-backed instance")


def _image(server: Row, ident: str) -> dict[str, Any]:
    with context.database() as connection:
        found = images.find(connection, ident, context.project_id()) if ident else None
    if found is None:
        raise BadRequest(f"Image {ident} could not be found.")
    if found["status"] != "active":
        raise BadRequest(f"Image {ident} is not active.")
    with context.database() as connection:
        whichcluster.check(connection, found, server=server)
    return found


def _size(server: Row, image: Row) -> int:
    """MiB: as the flavor says; of one without a disk of its own, the image's; and never less than there was."""
    with context.database() as connection:
        flavor = db.row(connection, select(db.flavor).where(db.flavor.c.id == server["flavor_id"]))
    said = translate_create.size(0, 0, flavor["disk"] if flavor else server["disk"], image["size"]).disk
    return max(said, int(server["disk"]) * (GIB // MIB))


def _password(server: Row, given: str, name: str | None = None) -> tuple[str, dict[str, str]]:
    """The password that the new disk's guest is told with the server's seed, and how; nothing, if it has none."""
    if not server["facts"].get("config"):
        if given:
            raise Conflict(f"Instance {server['id']} has no disk that would tell its guest a password.")
        return "", {}
    password = given or seeding.password()
    changes = {"password": password, **({"host": name} if name else {})}
    return password, seeding.update(context.services().vault, server["id"], changes)


def _disk(image: Row) -> Disk:
    provider = image["provider"] or context.services().settings.front.provider
    return Disk(provider, image["origin"] or image["id"])


def _timeout() -> int:
    return context.services().settings.front.shutdown_timeout
