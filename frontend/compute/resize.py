"""resize, confirmResize and revertResize.

The flavor before stands in the fact `resized` until the tenant says which one it is to be: meanwhile the status is
VERIFY_RESIZE. Ganeti gives a server more or less of everything but disk, which only grows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from frontend.compute import customflavor, flavors, quotas, serverchange
from frontend.database import db
from frontend.effect import effect, facts, translate_change
from frontend.effect.purpose import RESIZE, REVERT, Purpose
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict

Row = Mapping[str, Any]


def resize(server: Row, argument: object) -> tuple[str, int]:
    """Takes the server down while it is done; 403 when the quota does not allow it."""
    sent = schema.mapping({"resize": argument}, "resize")
    wanted = schema.reference(sent, "flavorRef")
    more = {"autodisk": serverchange.disk_config(sent)} if sent.get(serverchange.DISK_CONFIG) else {}
    effect.check(server, "resize", "ACTIVE", "SHUTOFF")
    was = customflavor.shown_id(server)
    with context.database() as connection:
        new = flavors.find(connection, wanted)
        if new is None:
            raise BadRequest(f"Flavor {wanted} could not be found.")
        _check_sizes(server, new, _flavor(connection, was))
        grows = {"cores": new["vcpus"] - server["vcpus"], "ram": new["ram"] - server["ram"]}
        quotas.check(connection, server["project_id"], {what: count for what, count in grows.items() if count > 0})
    steps = translate_change.resize(server, was, new, _timeout(), more)
    effect.several(server, "resize", steps, Purpose(RESIZE, ""))
    return "", 202


def confirm(server: Row, _: object) -> tuple[str, int]:
    effect.check(server, "confirmResize", "VERIFY_RESIZE")
    effect.told(server, "confirmResize", None, facts.change(server, {"resized": None}))
    return "", 204


def revert(server: Row, _: object) -> tuple[str, int]:
    """vcpus and memory as before; the disk stays as large as it is."""
    effect.check(server, "revertResize", "VERIFY_RESIZE")
    was = server["facts"]["resized"]
    with context.database() as connection:
        old = _flavor(connection, was)
    if old is None:
        raise Conflict(f"Cannot 'revertResize' instance {server['id']}: there is no flavor {was} any more")
    effect.several(server, "revertResize", translate_change.revert(server, old, _timeout()), Purpose(REVERT, ""))
    return "", 202


def _check_sizes(server: Row, new: Row, old: Row | None) -> None:
    if new["id"] == server["flavor_id"]:
        raise BadRequest("When resizing, instances must change flavor!")
    # A disk that is larger than its flavor says, as after a resize that was reverted, is no obstacle. 0: the image's.
    had = old["disk"] if old else server["disk"]
    if new["disk"] < had and new["disk"] < server["disk"]:
        raise BadRequest(
            f"Unable to resize disk down: flavor {new['id']} has {new['disk']} GiB of disk, {had} are there"
        )


def _flavor(connection: Connection, ident: str) -> dict[str, Any] | None:
    """Of a server that has it: whoever may use it, and if it is one of the server's own."""
    return db.row(connection, select(db.flavor).where(db.flavor.c.id == ident)) or customflavor.find(ident)


def _timeout() -> int:
    return context.services().settings.front.shutdown_timeout
