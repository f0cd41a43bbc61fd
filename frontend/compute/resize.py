"""resize, confirmResize and revertResize.

The flavor before stands in the fact `resized` until the tenant says which one it is to be: meanwhile the status is
VERIFY_RESIZE. Ganeti gives a server more or less of everything but disk, which only grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from frontend.compute import customflavor, flavors, quotas, serverchange
from frontend.database import db
from frontend.effect import clusters, effect, facts, translate_change
from frontend.effect.chain import UnfinishedError
from frontend.effect.purpose import RESIZE, REVERT, Purpose
from frontend.effect.translate import Step
from frontend.quota import reserved
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Conflict
from ganeti_ext.errors import ExtError

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
    steps = translate_change.resize(server, was, new, _timeout(), more)
    _grow(server, new, "resize", steps, Purpose(RESIZE, ""))
    return "", 202


def confirm(server: Row, _: object) -> tuple[str, int]:
    effect.check(server, "confirmResize", "VERIFY_RESIZE")
    effect.told(server, "confirmResize", None, facts.change(server, {"resized": None}))
    return "", 204


def revert(server: Row, _: object) -> tuple[str, int]:
    """vcpus and memory as before, if the quota lets it have them again; the disk stays as large as it is."""
    effect.check(server, "revertResize", "VERIFY_RESIZE")
    was = server["facts"]["resized"]
    with context.database() as connection:
        old = _flavor(connection, was)
    if old is None:
        raise Conflict(f"Cannot 'revertResize' instance {server['id']}: there is no flavor {was} any more")
    _grow(server, old, "revertResize", translate_change.revert(server, old, _timeout()), Purpose(REVERT, ""))
    return "", 202


def _grow(server: Row, new: Row, verb: str, steps: Sequence[Step], purpose: Purpose) -> None:
    """What it is to have counts from here on, until the last of the jobs is over; 403 when that is too much."""
    grows = {"cores": new["vcpus"] - server["vcpus"], "ram": new["ram"] - server["ram"]}
    with context.database() as connection:
        quotas.check(connection, server["project_id"], grows)
        reserved.keep(connection, server["id"], server["project_id"], vcpus=new["vcpus"], ram=new["ram"])
        connection.commit()
    try:
        jobs = effect.several(server, verb, steps, purpose)
    except UnfinishedError:
        with context.database() as connection:
            reserved.accepted(connection, server["id"], None, clusters.of(server))
            connection.commit()
        raise
    except ExtError:
        with context.database() as connection:
            reserved.release(connection, [server["id"]])
            connection.commit()
        raise
    with context.database() as connection:
        reserved.accepted(connection, server["id"], jobs[-1], clusters.of(server))
        connection.commit()


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
