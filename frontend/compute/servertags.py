"""A server's labels, which Nova calls tags (from microversion 2.26): short texts to find it by.

They are one fact of the server, joined by commas, which no label has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

from flask import Response, jsonify

from frontend.compute import servers
from frontend.compute.serverview import labels
from frontend.effect import facts
from frontend.web import context, schema
from frontend.web.fault import BadRequest, NotFound

MOST = 50
LONGEST = 60
_FORBIDDEN = frozenset(",/")
_SINCE = (2, 26)


def routes(url: str, reader: str, member: str) -> tuple[tuple[str, str, Callable[..., Any], str], ...]:
    """`url`: a server's tags; `reader` and `member`: who may read and change them."""
    return (
        ("GET", url, list_all, reader),
        ("PUT", url, replace, member),
        ("DELETE", url, clear, member),
        ("GET", f"{url}/<tag>", check, reader),
        ("PUT", f"{url}/<tag>", add, member),
        ("DELETE", f"{url}/<tag>", remove, member),
    )


def list_all(server_id: str) -> Response:
    """GET /servers/ID/tags."""
    return jsonify({"tags": labels(_need(server_id))})


def replace(server_id: str) -> Response:
    """PUT /servers/ID/tags."""
    server = _need(server_id)
    wanted = checked(schema.body().get("tags"))
    facts.change(server, {"label": _joined(wanted)})
    return jsonify({"tags": wanted})


def clear(server_id: str) -> tuple[str, int]:
    """DELETE /servers/ID/tags."""
    facts.change(_need(server_id), {"label": None})
    return "", 204


def check(server_id: str, tag: str) -> tuple[str, int]:
    """GET /servers/ID/tags/TAG: whether it has it."""
    _need_label(_need(server_id), tag)
    return "", 204


def add(server_id: str, tag: str) -> tuple[Response, int]:
    """PUT /servers/ID/tags/TAG; 201 when it is new."""
    server = _need(server_id)
    checked([tag])
    is_new = tag not in labels(server)

    def more(row: Mapping[str, Any]) -> dict[str, str | None]:
        return {"label": _joined(checked([*labels(row), tag]))}

    facts.change(server, more)
    answer = Response(status=201 if is_new else 204)
    answer.headers["Location"] = f"{context.base()}/compute/v2.1/servers/{server_id}/tags/{quote(tag, safe='')}"
    return answer, answer.status_code


def remove(server_id: str, tag: str) -> tuple[str, int]:
    """DELETE /servers/ID/tags/TAG."""
    server = _need(server_id)
    _need_label(server, tag)
    facts.change(server, lambda row: {"label": _joined([other for other in labels(row) if other != tag])})
    return "", 204


def checked(wanted: Any) -> list[str]:
    """Labels without repetitions, if they can be some."""
    if not isinstance(wanted, list):
        raise BadRequest("tags: expected a list")
    for label in wanted:
        if not isinstance(label, str) or not 0 < len(label) <= LONGEST or not label.isprintable():
            raise BadRequest(f"tags: expected 1 to {LONGEST} printable characters, got {label!r:.80}")
        if _FORBIDDEN & set(label):
            raise BadRequest(f"tags: {label!r} has a comma or a slash, which no tag may have")
    found = list(dict.fromkeys(wanted))
    if len(found) > MOST:
        raise BadRequest(f"tags: {len(found)}, and a server may have {MOST}")
    return found


def _joined(wanted: Collection[str]) -> str | None:
    return ",".join(wanted) or None


def _need(server_id: str) -> dict[str, Any]:
    if context.version() < _SINCE:
        raise NotFound("The resource could not be found.")
    return servers.need(server_id)


def _need_label(server: Mapping[str, Any], label: str) -> None:
    if label not in labels(server):
        raise NotFound(f"Server {server['id']} has no tag '{label}'")
