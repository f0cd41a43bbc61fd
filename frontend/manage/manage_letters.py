"""Dead letters: messages that could not be understood or applied."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any

from frontend.manage.manage_base import Answer, Command, Context, table_of
from frontend.update import letters
from frontend.update.mirror import Mirror
from ganeti_ext.errors import ExtError

_SHORT = 12  # digits of an id in lists: more than enough to tell them apart
_REASON = 100  # characters


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def list_letters(context: Context, options: argparse.Namespace) -> str:
    with context.engine.connect() as connection:
        found = letters.listed(connection)
    if options.json:
        return json.dumps([_shown(letter) for letter in found], indent=2) + "\n"
    lines = [
        (letter["digest"][:_SHORT], _time(letter), letter["tries"], _type(letter), letter["reason"][:_REASON])
        for letter in found
    ]
    return table_of(("ID", "TIME", "TRIES", "TYPE", "REASON"), lines)


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    _json(parser)
    parser.add_argument("id", metavar="ID", help="as letter-list prints it, or more of it")


def show(context: Context, options: argparse.Namespace) -> str:
    letter = _named(context, options.id)
    if options.json:
        return json.dumps({**_shown(letter), "body": letter["body"]}, indent=2) + "\n"
    head = {"id": letter["digest"], "time": _time(letter), "tries": letter["tries"], "reason": letter["reason"]}
    return "".join(f"{name + ':':8}{value}\n" for name, value in head.items()) + f"\n{letter['body']}\n"


def _choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="*", metavar="ID", help="as letter-list prints it, or more of it")
    parser.add_argument("--all", action="store_true", help="all there are")


def _chosen(context: Context, options: argparse.Namespace) -> list[letters.Row]:
    if options.all == bool(options.id):
        raise ExtError("which? Give one ID or more, or --all")
    if options.all:
        with context.engine.connect() as connection:
            return letters.listed(connection)
    return [_named(context, ident) for ident in dict.fromkeys(options.id)]


def _replay_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "exit code: 0 all were applied and are gone, 1 some were not"
    _choice(parser)


def replay(context: Context, options: argparse.Namespace) -> Answer:
    mirror = Mirror(context.engine, context.settings.front.instance_prefix)
    lines, code = [], 0
    for letter in _chosen(context, options):
        failure = mirror.replay(letter)
        lines.append(f"{letter['digest'][:_SHORT]}: {failure or 'applied'}\n")
        code = 1 if failure else code
    return Answer("".join(lines), code)


def delete(context: Context, options: argparse.Namespace) -> str:
    chosen = _chosen(context, options)
    with context.engine.begin() as connection:
        gone = sum(letters.drop(connection, letter["digest"]) for letter in chosen)
    return f"{gone} deleted\n"


def _named(context: Context, start: str) -> letters.Row:
    with context.engine.connect() as connection:
        found = letters.listed(connection, start.lower())
    if len(found) != 1:
        raise ExtError(f"letter {start!r}: {f'{len(found)} ids begin so' if found else 'there is none of that id'}")
    return found[0]


def _shown(letter: letters.Row) -> dict[str, Any]:
    return {
        "id": letter["digest"],
        **{name: letter[name] for name in ("time", "tries", "reason")},
        "type": _type(letter),
    }


def _time(letter: letters.Row) -> str:
    return datetime.fromtimestamp(letter["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _type(letter: letters.Row) -> str | None:
    """What the message says that it is, if it says anything."""
    try:
        said = json.loads(letter["body"])
    except (ValueError, RecursionError):
        return None
    kind = said.get("type") if isinstance(said, dict) else None
    return kind if isinstance(kind, str) else None


COMMANDS = (
    Command("letter-list", "List messages that could not be understood or applied", _json, list_letters),
    Command("letter-show", "Show such a message", _show_arguments, show),
    Command("letter-replay", "Apply such messages again; those that go through are gone", _replay_arguments, replay),
    Command("letter-delete", "Delete such messages", _choice, delete),
)
