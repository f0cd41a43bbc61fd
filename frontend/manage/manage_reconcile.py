"""ganeti-ext-manage reconcile: where the database differs from Ganeti, and what is mended."""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from frontend.manage import manage_cluster
from frontend.manage.manage_base import Answer, Command, Context
from frontend.reconcile import kinds
from frontend.reconcile.difference import Difference
from frontend.reconcile.reconcile import Comparison, Reconciler
from ganeti_ext.errors import ExtError

# Exit code when something differs and was not mended: none of those that errors have.
DIFFERENT = 4
ALL = "all"

_EPILOG = f"exit code: 0 nothing differs, or all was mended; {DIFFERENT} something differs; others: failed"


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument(
        "--fix", type=_fixable, default=frozenset(), metavar="KIND[,KIND...]",
        help="mend differences of these kinds in the database, or of all kinds that can be mended there: all",
    )  # fmt: skip
    parser.add_argument(
        "--ignore", type=_kinds, default=frozenset(), metavar="KIND[,KIND...]", help="neither print nor count these"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--kinds", action="store_true", help="explain the kinds of differences, and compare nothing")
    parser.add_argument(
        "--other-cluster", action="store_true",
        help="Ganeti's cluster is another one than that of the last comparison, and that is right",
    )  # fmt: skip
    parser.add_argument(
        "--cluster", default="home", metavar="NAME", help="compare with this one; default: that of [rapi]"
    )
    parser.add_argument("--dry-run", action="store_true", help=argparse.SUPPRESS)  # what is done without --fix
    parser.add_argument(
        "server", nargs="*", metavar="SERVER", help="only these servers, by id or by their instance's name"
    )


def _kinds(text: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = sorted(found - kinds.BY_NAME.keys())
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no kind {', '.join(unknown)}; --kinds lists them")
    return found


def _fixable(text: str) -> frozenset[str]:
    if text == ALL:
        return kinds.MENDABLE
    found = _kinds(text)
    shown = sorted(found - kinds.MENDABLE)
    if shown:
        advice = "; ".join(f"{name}: {kinds.BY_NAME[name].fix}" for name in shown)
        raise argparse.ArgumentTypeError(f"only an administrator can mend {advice}")
    return found


def reconcile(context: Context, options: argparse.Namespace) -> str | Answer:
    if options.kinds:
        return _explained()
    if options.dry_run and options.fix:
        raise ExtError("--dry-run and --fix: one says to mend nothing, the other what")
    reconciler, began = _reconciler(context, options.cluster), time.time()
    seen = reconciler.compare()
    if not options.other_cluster:
        reconciler.check_cluster(seen.cluster)
    found = [each for each in seen.found if each.kind not in options.ignore]
    if options.server:
        found = _of(options.server, found, reconciler.instances())
    mended = reconciler.mend(found, options.fix) if options.fix else []
    if not options.server:
        reconciler.keep("command", seen, len(mended), began)
    left = [each for each in found if each not in mended]
    shape = _json if options.json else _text
    return Answer(shape(found, mended, seen), DIFFERENT if left else 0)


def _reconciler(context: Context, name: str) -> Reconciler:
    known = manage_cluster.apis(context)
    with context.engine.connect() as connection:
        row = manage_cluster.find(connection, name)
    return Reconciler(context.engine, known.plain(row), context.settings.front.instance_prefix)


def _of(asked: Sequence[str], found: Iterable[Difference], known: Mapping[str, str]) -> list[Difference]:
    """The differences of these servers; `known` has names of instances by their servers' ids."""
    servers = [each for each in found if each.table != "network"]
    there = {*known, *known.values(), *(name for each in servers for name in (each.name, _row_id(each)))}
    unknown = [each for each in asked if each not in there]
    if unknown:
        raise ExtError(f"server {', '.join(map(repr, unknown))}: neither the database nor Ganeti has one of that name")
    wanted = {*asked, *(known[each] for each in asked if each in known)}
    return [each for each in servers if {each.name, _row_id(each)} & wanted]


def _row_id(each: Difference) -> str:
    return str((each.before or each.after or {}).get("id", ""))


def _text(found: Sequence[Difference], mended: Collection[Difference], seen: Comparison) -> str:
    lines = []
    for each in found:
        done = "mended: " if each in mended else ""
        lines.append(f"{done}{each}\n")
        if each.advice:
            lines.append(f"    {each.advice}\n")
    if seen.busy:
        jobs = ", ".join(sorted({str(row["job"]) for row in seen.busy}))
        lines.append(f"{len(seen.busy)} left alone, as their jobs go on: {jobs}\n")
    left = len(found) - len(mended)
    if not found:
        lines.append("nothing differs\n")
    elif mended:
        lines.append(f"{len(mended)} mended, {left} left\n")
    elif any(each.kind in kinds.MENDABLE for each in found):
        lines.append(f"{left} differ; --fix all mends what can be mended in the database\n")
    else:
        lines.append(f"{left} differ, for an administrator to mend in Ganeti\n")
    return "".join(lines)


def _json(found: Sequence[Difference], mended: Collection[Difference], seen: Comparison) -> str:
    answer = {
        "found": [_object(each, mended=each in mended) for each in found],
        "count": dict(Counter(each.kind for each in found)),
        "mended": len(mended),
        "left": len(found) - len(mended),
        "busy": [{"server": row["id"], "instance": row["instance"], "job": row["job"]} for row in seen.busy],
        "cluster": seen.cluster,
    }
    return json.dumps(answer, indent=2, ensure_ascii=False) + "\n"


def _object(each: Difference, *, mended: bool) -> dict[str, Any]:
    after = each.after or {}
    before = {name: each.before[name] for name in after} if each.before is not None else None
    return {
        "kind": each.kind,
        "object": each.table,
        "name": each.name,
        "id": _row_id(each) or None,
        "words": each.words,
        "database": before,
        "ganeti": after or None,
        "mendable": kinds.BY_NAME[each.kind].mendable,
        "mended": mended,
        "advice": each.advice or None,
    }


def _explained() -> str:
    lines = []
    for kind in kinds.KINDS:
        what = "--fix" if kind.mendable else "reported only"
        lines.append(f"{kind.name}\n    {kind.means}\n    {what}: {kind.fix}\n")
    return "".join(lines)


COMMANDS = (Command("reconcile", "Tell where the database differs from Ganeti, and mend it", _arguments, reconcile),)
