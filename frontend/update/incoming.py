"""What has to hold of a message before anything is made of it."""

from __future__ import annotations

from typing import Any

from frontend.database import fastjson
from frontend.update import actions
from ganeti_ext import event, tags

Message = dict[str, Any]

# No message of eventd's comes near it; who sends more does not get it into the memory of all who read it later.
LARGEST = 4 << 20  # octets

_NAMED = {**actions.KINDS, event.NET_STATUS: "instance", event.PROGRESS: "instance"}


def parsed(body: str | bytes) -> Message:
    """The message in a body; ValueError, TypeError, KeyError or RecursionError when it cannot be understood."""
    if len(body) > LARGEST:
        raise ValueError(f"{len(body)} octets, and {LARGEST} are allowed")
    message = event.checked(fastjson.loads(body), body)
    named = _NAMED.get(message["type"])
    if named is not None:
        _text(message, named)
    if message["type"] in actions.KINDS:
        _check_opcode(message)
    return message


def _check_opcode(message: Message) -> None:
    for name in ("cluster", "operation", "status"):
        _text(message, name)
    order, status = message["order"], message["status"]
    if status not in event.RANKS:
        raise ValueError(f"unknown status {status!r}")
    if not (isinstance(order, list) and len(order) == 5 and all(isinstance(part, int) for part in order)):
        raise ValueError(f"order {order!r} is no list of five integers")
    for name in ("read_at", "seq"):
        stamp = message.get(name)
        if stamp is not None and not (len(stamp) == 2 and all(isinstance(part, int) for part in stamp)):
            raise ValueError(f"{name} {stamp!r} is no list of two integers")
    # Every reader of these takes them for what they are; here is where others are laid aside.
    tags.decode(_part(message, "instance_state").get("tags") or ())
    tags.decode(_part(message, "job_fields").get("tags") or ())


def _text(message: Message, name: str) -> str:
    value = message[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} {value!r:.80} is no text")
    return value


def _part(message: Message, name: str) -> Message:
    value = message.get(name) or {}
    if not isinstance(value, dict):
        raise TypeError(f"{name} {value!r:.80} is no object")
    return value


def is_rehearsal(message: Message) -> bool:
    """Whether the job only tried what it would do."""
    return bool((message.get("job_fields") or {}).get("dry_run"))
