"""os-getConsoleOutput: what a server wrote to its serial port, from its node."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify

from frontend.console import consolenode
from frontend.effect import clusters
from frontend.web import context
from frontend.web.fault import BadRequest, Conflict, NotFound, Unavailable

log = logging.getLogger(__name__)

# What neither XML nor a terminal should get; Nova takes the same away (console_output.py), carriage returns, too.
_REMOVED = re.compile(r"[\x00-\x08\x0b-\x1f]")
_UNLIMITED = -1


def show(server: Mapping[str, Any], argument: object) -> Response:
    length = lines(argument)
    if server["status"] == "BUILD":
        raise Conflict(f"Instance {server['id']} is not ready")
    services = context.services()
    nodes = consolenode.of(services.clusters, clusters.of(server), services.settings.console)
    try:
        found = nodes.log(server["instance"])
    except consolenode.Absent as err:
        log.info("server %s: %s", server["id"], err)
        raise NotFound("Guest does not have a console available.") from err
    except consolenode.Unreachable as err:
        log.warning("server %s: %s", server["id"], err)
        raise Unavailable("The console of this server cannot be reached now. Try again later.") from err
    return jsonify({"output": tail(found, length)})


def lines(argument: object) -> int:
    """How many lines are wanted, -1 for all; absent and null mean all."""
    if not isinstance(argument, dict):
        raise BadRequest("os-getConsoleOutput: expected an object")
    length = argument.get("length")
    if length is None:
        return _UNLIMITED
    if isinstance(length, bool) or not re.fullmatch(r"-?[0-9]{1,18}", str(length)):
        raise BadRequest(f"length: expected a number, got {str(length)[:40]!r}")
    if int(length) < _UNLIMITED:
        raise BadRequest(f"length: {length} is less than {_UNLIMITED}")
    return int(length)


def tail(log_: bytes, length: int) -> str:
    """The last lines, as Nova counts: behind a line's end stands another line, if an empty one."""
    text = _REMOVED.sub("", log_.decode(errors="replace"))
    if length == _UNLIMITED:
        return text
    return "\n".join(text.split("\n")[-length:]) if length else ""
