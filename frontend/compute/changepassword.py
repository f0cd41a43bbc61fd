"""changePassword: the agent in the guest sets it, by way of its node, while the tenant waits.

The one action without a job: Ganeti has nothing to change, and what it is told all can read. So it is over when it is
answered, as Nova's is, and no task is shown meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select

from frontend.compute import requests
from frontend.console import consolenode
from frontend.database import db
from frontend.effect import clusters, effect
from frontend.volume import volumename, volumestate
from frontend.web import context
from frontend.web.fault import BadRequest, Conflict, Unavailable
from ganeti_ext import consolewire
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

_ACTION = "changePassword"
_LONGEST = 255  # characters
_WHY = {
    consolewire.NO_SOCKET: "QEMU guest agent is not enabled",
    consolewire.SILENT: "no guest agent answers in it",
    consolewire.LOST: "its guest agent did not say whether it has; look whether it is set",
    consolewire.REFUSED: "its guest agent said: ",
}


class Turns:
    """Who waits for a guest. Each takes a thread of this process, for as long as a guest likes it to."""

    def __init__(self, most: int, of_project: int) -> None:
        self._most, self._of_project = most, of_project
        self._lock = threading.Lock()
        self._waiting: Counter[str] = Counter()

    @contextlib.contextmanager
    def take(self, project: str) -> Iterator[None]:
        """For the length of a `with` block; Unavailable when there are enough already."""
        with self._lock:
            if self._waiting.total() >= self._most or self._waiting[project] >= self._of_project:
                raise Unavailable("Other passwords are being set just now. Try again later.")
            self._waiting[project] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[project] -= 1


_TURNS = Turns(4, 2)


def change(server: Mapping[str, Any], argument: object) -> tuple[str, int]:
    """Of the user that Nova's libvirt driver would take."""
    password = given(argument)
    effect.check(server, _ACTION, "ACTIVE")
    services = context.services()
    nodes = consolenode.of(services.clusters, clusters.of(server), services.settings.console)
    with _TURNS.take(server["project_id"]):
        requests.note(services.engine, _ACTION, server["id"], [])
        try:
            _set(nodes, server, password)
        except ExtError:
            requests.note(services.engine, _ACTION, server["id"], [], "Error")
            raise
    log.info("server %s: its guest's agent has set a password", server["id"])
    return "", 202


def given(argument: object) -> str:
    """The password as it was given, blanks and all; what is wrong is named without it."""
    if not isinstance(argument, dict):
        raise BadRequest(f"{_ACTION}: expected an object")
    if unknown := sorted(set(argument) - {"adminPass"}):
        raise BadRequest(f"{_ACTION}: there is no {unknown[0]!r:.80}")
    found = argument.get("adminPass")
    if not isinstance(found, str):
        raise BadRequest("adminPass: expected a string")
    if not 0 < len(found) <= _LONGEST:
        raise BadRequest(f"adminPass: {len(found)} characters, 1 to {_LONGEST} are allowed")
    if not found.isprintable():
        raise BadRequest("adminPass: has characters that cannot be printed")
    return found


def user(properties: Mapping[str, Any]) -> str:
    """By the image's properties (nova/virt/libvirt/driver.py, set_admin_password)."""
    named = properties.get("os_admin_user")
    if named:
        return str(named)
    return "Administrator" if str(properties.get("os_type", "")).lower() == "windows" else "root"


def _set(nodes: consolenode.Nodes, server: Mapping[str, Any], password: str) -> None:
    try:
        nodes.set_password(server["instance"], user(_properties(server)), password)
    except consolenode.Unable as err:
        log.info("server %s: %s", server["id"], err)
        said = err.said if err.why == consolewire.REFUSED else ""
        raise _failed(server, _WHY[err.why] + said) from err
    except consolenode.Absent as err:
        log.info("server %s: %s", server["id"], err)
        raise _failed(server, "Ganeti has no instance for it") from err
    except consolenode.Unreachable as err:
        log.warning("server %s: %s", server["id"], err)
        raise Unavailable("The guest of this server cannot be reached now. Try again later.") from err


def _failed(server: Mapping[str, Any], why: str) -> Conflict:
    """In the words of Nova's InstancePasswordSetFailed."""
    return Conflict(f"Failed to set admin password on {server['id']} because {why}")


def _properties(server: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the image that its root disk was made of, whoever may see that now; none where that is not known any more."""
    with context.database() as connection:
        if volumename.boots(server):
            ident = volumename.of_disk(server["disks"][0]["name"])
            volume = db.row(connection, select(db.volume).where(db.volume.c.id == ident))
            return volumestate.image_metadata(volume) if volume else {}
        query = select(db.image.c.properties).where(db.image.c.id == server["image_id"])
        found: Mapping[str, Any] | None = connection.execute(query).scalar()
    return found or {}
