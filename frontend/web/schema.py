"""Request bodies: read once, into typed values; what is wrong is named with its place and value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import current_app, request

from frontend.web import jsontext
from frontend.web.fault import BadMediaType, BadRequest, TooLarge

MAX_NAME = 255
MISSING: Any = object()
_CHUNK = 1 << 20
_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_TRUE = ("true", "1", "on", "yes")
_FALSE = ("false", "0", "off", "no")


def body() -> dict[str, Any]:
    """The request's JSON object."""
    if request.mimetype != "application/json":
        raise BadMediaType(f"Content-Type {request.mimetype!r}: only application/json is understood")
    found = parsed()
    if not isinstance(found, dict):
        raise BadRequest("The body is not a JSON object.")
    return found


def parsed() -> Any:
    """The request's body as JSON, of whatever type it is."""
    try:
        return jsontext.parse(b"".join(received(current_app.config["MAX_CONTENT_LENGTH"], "body")))
    except ValueError as err:
        raise BadRequest(f"The body cannot be read: {err}.") from err


def received(most: int, what: str) -> Iterator[bytes]:
    """What the client sends; TooLarge when it is too much, and an error of werkzeug's when he breaks off.

    Werkzeug by itself refuses what is too much since 2.3, and a chunked body only when somebody reads on behind `most`.
    """
    size = 0
    while chunk := request.stream.read(_CHUNK):
        size += len(chunk)
        if size > most:
            raise TooLarge(f"The {what} may have {most} octets at most.")
        yield chunk


def mapping(where: Mapping[str, Any], key: str, default: Any = MISSING) -> dict[str, Any]:
    return _typed(where, key, dict, "an object", default)  # type: ignore[no-any-return]


def items(where: Mapping[str, Any], key: str) -> list[Any]:
    """A list; absent and null mean an empty one."""
    return _typed(where, key, list, "a list", []) or []


def text(where: Mapping[str, Any], key: str, default: Any = MISSING, longest: int = MAX_NAME) -> str:
    """A text of printable characters (Unicode has no others in what databases and tags can hold)."""
    value = _typed(where, key, str, "a string", default)
    if value is default:
        return value  # type: ignore[no-any-return]
    if not value.strip():
        raise BadRequest(f"{key}: must not be blank")
    if len(value) > longest:
        raise BadRequest(f"{key}: {len(value)} characters, at most {longest} are allowed")
    if not value.isprintable():
        raise BadRequest(f"{key}: {value!r} has characters that cannot be printed")
    return value.strip()  # type: ignore[no-any-return]


def number(where: Mapping[str, Any], key: str, default: Any, least: int, most: int) -> int:
    """A whole number, which clients write as a string now and then; of the default's type where it lacks."""
    value = where.get(key)
    if value is None:
        if default is MISSING:
            raise BadRequest(f"{key}: is missing")
        return default  # type: ignore[no-any-return]
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(f"{key}: expected a whole number from {least} to {most}, got {json.dumps(where[key])[:80]}")
    return value


def flag(where: Mapping[str, Any], key: str, *, default: bool) -> bool:
    """True or false; clients write them as strings, too (nova/api/validation/parameter_types.py boolean)."""
    value = where.get(key)
    if value is None:
        return default
    if str(value).lower() in _TRUE:
        return True
    if str(value).lower() in _FALSE:
        return False
    raise BadRequest(f"{key}: expected true or false, got {json.dumps(value)[:80]}")


def _typed(where: Mapping[str, Any], key: str, kind: type, words: str, default: Any) -> Any:
    value = where.get(key)
    if value is None:
        if default is MISSING:
            raise BadRequest(f"{key}: is missing")
        return default
    if not isinstance(value, kind):
        raise BadRequest(f"{key}: expected {words}, got {json.dumps(value)[:80]}")
    return value


def metadata(where: Mapping[str, Any]) -> dict[str, str]:
    """The tenant's own words about a server. How many there may be, quotas.check_metadata says."""
    found = mapping(where, "metadata", {})
    for name, value in found.items():
        text({f"metadata: {name!r:.80}": name}, f"metadata: {name!r:.80}")
        if not isinstance(value, str) or len(value) > MAX_NAME or not value.isprintable():
            raise BadRequest(f"metadata: {name}: expected at most {MAX_NAME} printable characters, got {value!r:.80}")
    return found


def reference(where: Mapping[str, Any], key: str) -> str:
    """An id, or the id that ends a URL."""
    value = where.get(key)
    found = text({key: str(value) if isinstance(value, int) else value}, key, longest=2048)
    return found.rstrip("/").rsplit("/", 1)[-1]


def action(sent: Mapping[str, Any]) -> tuple[str, Any]:
    """The one key of a server action's body, and what it holds."""
    if len(sent) != 1:
        raise BadRequest(f"expected one action, got {len(sent)}: {', '.join(sorted(sent))[:200]}")
    return next(iter(sent.items()))


def reboot_type(argument: Any) -> str:
    """SOFT or HARD."""
    if not isinstance(argument, dict):
        raise BadRequest("reboot: expected an object")
    kind = text(argument, "type").upper()
    if kind not in ("SOFT", "HARD"):
        raise BadRequest(f"type: expected SOFT or HARD, got {argument['type']!r}")
    return kind


def member(place: str, value: Any) -> dict[str, Any]:
    """One of a list of objects."""
    if not isinstance(value, dict):
        raise BadRequest(f"{place}: expected a list of objects")
    return value
