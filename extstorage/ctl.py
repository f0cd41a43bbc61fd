"""ganeti-ext-storage: volumes and snapshots of all providers, and what is right and wrong with them."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING

from extstorage import ctl_arguments, ctl_care, ctl_image, ctl_instance, ctl_move, ctl_volumes, tell
from extstorage.inventory import Choice
from extstorage.inventory_ganeti import Ganeti
from ganeti_ext import tool

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

FOUND = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 1 it failed; 2 usage; 3 configuration; 4 verify, repair: not all is well."""
    arguments = ctl_arguments.parse(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="ganeti-ext-storage: %(message)s")
    os.umask(0o022)
    choice = Choice(arguments.config, arguments.provider, arguments.pool)
    return tool.run("ganeti-ext-storage", lambda: VERBS[arguments.verb](arguments, choice))


def _list(arguments: Namespace, choice: Choice) -> int:
    _print(arguments, ctl_volumes.listed(choice, arguments.kind or ()), tell.listing)
    return 0


def _show(arguments: Namespace, choice: Choice) -> int:
    _print(arguments, [ctl_volumes.shown(choice, _ganeti(arguments), arguments.volume)], _each(tell.volume))
    return 0


def _create(arguments: Namespace, choice: Choice) -> int:
    return _did(arguments, ctl_volumes.create(choice.one(), arguments.volume, arguments.size))


def _clone(arguments: Namespace, choice: Choice) -> int:
    return _did(arguments, ctl_volumes.clone(choice, arguments.origin, arguments.volume, arguments.size))


def _snapshot(arguments: Namespace, choice: Choice) -> int:
    return _did(arguments, ctl_volumes.snapshot(choice, arguments.volume, arguments.name))


def _snapshot_instance(arguments: Namespace, choice: Choice) -> int:
    freeze, names = not arguments.no_freeze, (arguments.instance, arguments.prefix)
    return _did(arguments, *ctl_instance.snapshot(choice, _ganeti(arguments), *names, freeze=freeze))


def _migrate(arguments: Namespace, choice: Choice) -> int:
    to = Choice(arguments.config, arguments.to, arguments.to_pool)
    params, dry = dict(arguments.param), arguments.dry_run
    rows = ctl_move.migrate(choice, _ganeti(arguments), arguments.instance, to, params, dry=dry)
    if not rows and not arguments.json:
        rows.append({"did": f"instance {arguments.instance} has its disks there already"})
    return _did(arguments, *rows)


def _mirror(arguments: Namespace, choice: Choice) -> int:
    sys.stdout.write(f"{ctl_move.heard(choice, _ganeti(arguments), arguments.what)}\n")
    return 0


def _rollback(arguments: Namespace, choice: Choice) -> int:
    return _did(arguments, ctl_volumes.rollback(choice, arguments.volume, arguments.snapshot))


def _remove(arguments: Namespace, choice: Choice) -> int:
    force = arguments.force
    return _did(arguments, ctl_volumes.remove(choice, _ganeti(arguments), arguments.volume, force=force))


def _grow(arguments: Namespace, choice: Choice) -> int:
    names, force = (arguments.volume, arguments.size), arguments.force
    return _did(arguments, ctl_volumes.grow(choice, _ganeti(arguments), *names, force=force))


def _flatten(arguments: Namespace, choice: Choice) -> int:
    return _did(arguments, ctl_volumes.flatten(choice, arguments.volume))


def _df(arguments: Namespace, choice: Choice) -> int:
    _print(arguments, ctl_care.room(choice), tell.room)
    return 0


def _tree(arguments: Namespace, choice: Choice) -> int:
    _print(arguments, ctl_care.tree(choice), tell.tree)
    return 0


def _gc(arguments: Namespace, choice: Choice) -> int:
    rows = ctl_care.collect(choice, arguments.snapshots, yes=arguments.yes)
    if not arguments.yes and not arguments.json:
        rows.append({"did": "nothing was removed: say --yes" if rows else "there is nothing to remove"})
    return _did(arguments, *rows)


def _verify(arguments: Namespace, choice: Choice) -> int:
    ganeti = _ganeti(arguments)
    found = ctl_care.verify(choice, ganeti, arguments.age)
    if not found.owners and ganeti.master():
        sys.stderr.write(
            "ganeti-ext-storage: this node has no copy of Ganeti's configuration: orphans, missing volumes and wrong"
            f" sizes are found on {ganeti.master()} and on master candidates\n"
        )
    rows = [one._asdict() for _, one in found.findings]
    _print(arguments, rows, lambda rows: tell.findings(rows, found.volumes, found.owners))
    return FOUND if rows else 0


def _repair(arguments: Namespace, choice: Choice) -> int:
    how = {"orphans": arguments.orphans, "dry": arguments.dry_run}
    rows = ctl_care.repair(choice, _ganeti(arguments), arguments.volumes, **how)
    _did(arguments, *rows)
    return 0 if all(row["done"] for row in rows) else FOUND


def _locks(arguments: Namespace, choice: Choice) -> int:
    _print(arguments, ctl_volumes.locks(choice), tell.locks)
    return 0


def _unlock(arguments: Namespace, choice: Choice) -> int:
    rows = ctl_volumes.unlock(choice, arguments.volume, arguments.node, yes=arguments.yes)
    if not rows and not arguments.json:
        who = arguments.node or "any node"
        rows.append({"did": f"volume {arguments.volume} is not open on {who}"})
    return _did(arguments, *rows)


VERBS: Mapping[str, Callable[[Namespace, Choice], int]] = {
    "list": _list,
    "show": _show,
    "create": _create,
    "clone": _clone,
    "snapshot": _snapshot,
    "snapshot-instance": _snapshot_instance,
    "migrate": _migrate,
    "mirror": _mirror,
    "rollback": _rollback,
    "remove": _remove,
    "grow": _grow,
    "flatten": _flatten,
    "df": _df,
    "tree": _tree,
    "gc": _gc,
    "verify": _verify,
    "repair": _repair,
    "locks": _locks,
    "unlock": _unlock,
    "image": ctl_image.run,
}


def _ganeti(arguments: Namespace) -> Ganeti:
    return Ganeti(arguments.ganeti_data, arguments.ganeti_run)


def _did(arguments: Namespace, *rows: Mapping[str, Any]) -> int:
    _print(arguments, rows, tell.done)
    return 0


def _each(lines: Callable[[Any], Iterable[str]]) -> Callable[[Iterable[Any]], Iterator[str]]:
    return lambda found: (line for one in found for line in lines(one))


def _print(arguments: Namespace, found: Iterable[Any], words: Callable[[Iterable[Any]], Iterable[str]]) -> None:
    lines = map(json.dumps, found) if arguments.json else words(found)
    sys.stdout.writelines(f"{line}\n" for line in lines)
