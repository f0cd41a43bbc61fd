"""The words that the OpenAPI document says of a route are written with (openapi_compute.py and so on). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string", "maxLength": 255}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
LONG: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {}
WORDS: Schema = {"type": "object", "additionalProperties": TEXT}


class Said(NamedTuple):
    """What is said of a route beside what routes.py knows."""

    answer: str = ""
    """The answer's one key: `server`, or `servers[]` for a list; empty: no body, or one of any shape."""
    status: tuple[int, ...] = (200,)
    """Of success."""
    body: Schema | None = None
    """Of the request; None: it has none."""
    query: tuple[str, ...] = ()
    """Keys of the query that mean something; others are passed over."""
    refusals: tuple[int, ...] = ()
    """Beside those that every route of its kind may give."""
    text: str = ""
    """The media type of the answer when that is no JSON."""
    data: str = ""
    """The media type of the request's body when that is no JSON."""


def thing(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object; keys that are not named are passed over, and null means that a key which is not required is absent."""
    shown = {name: each if name in required else optional(each) for name, each in properties.items()}
    return {"type": "object", "properties": shown, "required": list(required)}


def optional(schema: Schema) -> Schema:
    """The same, or null."""
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else schema


def listed(schema: Schema, most: int = 100) -> Schema:
    return {"type": "array", "items": schema, "maxItems": most}


def under(key: str, schema: Schema) -> Schema:
    """A body of one key."""
    return thing((key,), **{key: schema})


def action(arguments: Mapping[str, Schema]) -> Schema:
    """A body of one key out of several, with what each holds."""
    ways = [under(name, schema) for name, schema in arguments.items()]
    return {"type": "object", "minProperties": 1, "maxProperties": 1, "oneOf": ways}
