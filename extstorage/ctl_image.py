"""ganeti-ext-storage image: what administrators and the front do with images. docs/images.md is its contract."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

from extstorage import image_import, image_record, image_usage, tell
from extstorage.image_cow import Cow
from extstorage.image_error import Refused, Unknown
from extstorage.image_rbd import Ceph
from extstorage.image_report import Report
from extstorage.inventory_ganeti import Ganeti
from ganeti_ext.errors import ContractError, ExtError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping
    from types import FrameType
    from typing import Any

    from extstorage.image_place import Entry, Place
    from extstorage.inventory import Choice, Store

    Facts = dict[str, Any]

PLACES: Mapping[str, Callable[[Any], Place]] = {"cow": Cow, "rbd": Ceph}
CHUNK = 4 << 20
_STOPPED = 128 + signal.SIGTERM


def run(arguments: Namespace, choice: Choice) -> int:
    """Do what is said; the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    return VERBS[arguments.image_verb](arguments, choice)


def _import(arguments: Namespace, choice: Choice) -> int:
    ident = arguments.ident or arguments.id
    report = Report(f"import {ident}", sys.stdout, sys.stderr, program=arguments.json)
    try:
        store = choice.one()
        made = _imported(arguments, store, ident, report)
    except ExtError as err:
        report.end()
        if arguments.json:
            words: Facts = {"failed": str(err), "id": ident}
            if isinstance(err, Refused):
                words = {"refused": str(err), "reason": err.reason, "id": ident}
            _say(words)
        raise
    report.end()
    did = f"made image {ident} in {store}: {tell.size(made['size'])}, {tell.size(made['deduplicated'])} were there"
    _print(arguments, {"did": did, "id": ident, **_where(store), **made})
    return 0


def _imported(arguments: Namespace, store: Store, ident: str, report: Report) -> Facts:
    order = image_import.Order(
        arguments.format,
        arguments.size,
        arguments.max_size,
        {name: value for name in ("md5", "sha256", "sha512") if (value := getattr(arguments, name))},
        arguments.hash,
        image_record.facts(_text(arguments.facts)) if arguments.facts else None,
        not arguments.no_dedup,
        arguments.work,
    )
    fd = sys.stdin.fileno() if arguments.file == "-" else _opened(arguments.file)
    try:
        return image_import.run(_place(store), ident, fd, order, report)
    except OSError as err:
        raise ExtError(f"image {ident!r}: {err}") from err
    finally:
        if arguments.file != "-":
            os.close(fd)


def _export(arguments: Namespace, choice: Choice) -> int:
    store = _found(choice, arguments.id)
    sys.stdout.flush()
    with _place(store).opened(arguments.id) as content:
        end = content.size if arguments.length is None else min(content.size, arguments.offset + arguments.length)
        for offset in range(arguments.offset, end, CHUNK):
            left = memoryview(content.read(offset, min(CHUNK, end - offset)))
            while left:
                left = left[os.write(sys.stdout.fileno(), left) :]
    return 0


def _list(arguments: Namespace, choice: Choice) -> int:
    rows = [_shown(store, entry) for store in choice.stores() for entry in _place(store).entries()]
    lines = tell.images(rows) if not arguments.json else map(json.dumps, rows)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _show(arguments: Namespace, choice: Choice) -> int:
    store = _found(choice, arguments.id)
    entry = _place(store).entry(arguments.id)
    if entry is None:
        raise Unknown(f"image {arguments.id!r} has just been removed")
    shown = _shown(store, entry)
    if arguments.json:
        _say(shown)
    else:
        sys.stdout.write(json.dumps(shown, indent=4) + "\n")
    return 0


def _remove(arguments: Namespace, choice: Choice) -> int:
    for store in _having(choice, arguments.id):
        removed = _place(store).remove(arguments.id)
        if removed is not None:
            clones = list(removed.clones)
            did = f"removed image {arguments.id} from {store}"
            if clones:
                did += f"; its data goes with the last of {len(clones)} clones: {', '.join(clones)}"
            row = {"did": did, "id": arguments.id, **_where(store), "deferred": bool(clones), "clones": clones}
            _print(arguments, row)
            return 0
    did = f"there is no image {arguments.id}"
    row = {"did": did, "id": arguments.id, "provider": choice.provider, "deferred": False, "clones": []}
    _print(arguments, row)
    return 0


def _facts(arguments: Namespace, choice: Choice) -> int:
    stores = _having(choice, arguments.id)
    if not arguments.set:
        record = _place(stores[0]).record(arguments.id) if stores else image_record.Record()
        _say(dict(record.facts or {}))
        return 0
    told = image_record.facts(sys.stdin.read())
    if not stores:
        raise Unknown(f"image {arguments.id!r} does not exist in any store of this node")
    place = _place(stores[0])
    place.put(arguments.id, place.record(arguments.id)._replace(facts=told))
    return 0


def _dedup(arguments: Namespace, choice: Choice) -> int:
    pairs = [(_found(choice, ident), ident) for ident in arguments.ids] or [
        (store, entry.id) for store in choice.stores() for entry in _place(store).entries() if entry.kind == "image"
    ]
    for store, ident in pairs:
        report = Report(f"dedup {ident}", sys.stdout, sys.stderr, program=False)
        place = _place(store)
        found = place.share(ident, report, again=arguments.again or bool(arguments.ids))
        report.end()
        if found is not None:
            examined, shared = found
            did = f"image {ident} in {store} {tell.shared(examined, shared, merges=place.MERGES)}"
            row = {"did": did, "id": ident, **_where(store), "examined": examined, "deduplicated": shared}
            _print(arguments, row)
    for store in choice.stores() if arguments.again and not arguments.ids else ():
        report = Report(f"dedup {store}", sys.stdout, sys.stderr, program=False)
        _place(store).settle(report)
        report.end()
    return 0


def _usage(arguments: Namespace, choice: Choice) -> int:
    rows = list(image_usage.rows(choice, Ganeti(arguments.ganeti_data, arguments.ganeti_run)))
    lines = tell.usage(rows) if not arguments.json else map(json.dumps, rows)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _gc(arguments: Namespace, choice: Choice) -> int:
    for store in choice.stores():
        place = _place(store)
        for name in list(place.left()) if arguments.dry_run else place.sweep():
            did = f"{store}: {'found' if arguments.dry_run else 'removed'} {name}"
            _print(arguments, {"did": did, **_where(store), "what": name, "done": not arguments.dry_run})
    return 0


VERBS: Mapping[str, Callable[[Namespace, Choice], int]] = {
    "import": _import,
    "export": _export,
    "list": _list,
    "show": _show,
    "remove": _remove,
    "facts": _facts,
    "dedup": _dedup,
    "usage": _usage,
    "gc": _gc,
}


def _stop(_number: int, _frame: FrameType | None) -> None:
    """As a signal that ends us would, but with all that is undone at the end."""
    raise SystemExit(_STOPPED)


def _place(store: Store) -> Place:
    return PLACES[store.provider](store.settings)


def _having(choice: Choice, ident: str) -> list[Store]:
    """The stores with an image of that name; ContractError for what is no name of one."""
    found: list[Store] = []
    refused: list[ContractError] = []
    for store in choice.stores():
        try:
            if _place(store).has(ident):
                found.append(store)
        except ContractError as err:  # no name for this provider
            refused.append(err)
    if len(found) > 1:
        raise ExtError(f"image {ident!r} is in more than one store; say {' or '.join(one.options for one in found)}")
    if not found and refused:
        raise refused[0]
    return found


def _found(choice: Choice, ident: str) -> Store:
    stores = _having(choice, ident)
    if not stores:
        raise Unknown(f"image {ident!r} does not exist in any store of this node")
    return stores[0]


def _shown(store: Store, entry: Entry) -> Facts:
    kept = entry.record.store
    facts = entry.record.facts
    return {
        "id": entry.id,
        "kind": entry.kind,
        "origin": f"{entry.kind}:{entry.id}",
        **_where(store),
        "size": entry.logical,
        "physical": entry.physical,
        "exclusive": entry.exclusive,
        "created": kept.get("created", entry.created),
        **{key: kept.get(key) for key in ("md5", "sha256", "sha512", "format")},
        "parent": entry.origin,
        "facts": None if facts is None else dict(facts),
    }


def _where(store: Store) -> Facts:
    return {"provider": store.provider, "pool": store.pool, "store": str(store)}


def _opened(path: str) -> int:
    try:
        # Not blocked by a FIFO without a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        raise ExtError(str(err)) from err
    os.set_blocking(fd, True)
    return fd


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as err:
        raise ContractError(f"{path}: {err}") from err


def _say(row: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")


def _print(arguments: Namespace, row: Mapping[str, Any]) -> None:
    if arguments.json:
        _say(row)
    else:
        sys.stdout.writelines(f"{line}\n" for line in tell.done([row]))
    sys.stdout.flush()
