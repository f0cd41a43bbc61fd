"""The command: python3 -m bench.events."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from bench import arguments as common
from bench.alone import exit_code
from bench.events import idle, latency, sustained
from bench.events.place import Place, Size, place
from bench.events.ways import SITES, Ways, ways
from bench.report import Report
from lab import base

PARTS: Mapping[str, Callable[[Place, Ways], None]] = {
    "latency": latency.measure,
    "sustained": sustained.measure,
    "idle": idle.measure,
}
RATES = (100, 200)


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    base.setup()
    backlogs = tuple(arguments.backlog)
    result = Report("events", [*latency.AGAINST, *sustained.AGAINST], arguments=common.facts(arguments))
    size = Size(arguments.rounds, arguments.seconds, RATES, backlogs, arguments.idle)
    sites = [SITES[name] for name in arguments.site]
    with (
        result.told(),
        place(size, result, arguments.tree, arguments.nice) as here,
        ways(here, sites) as found,
    ):
        for part in arguments.part:
            PARTS[part](here, found)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.events",
        description="The update path beside the least that such a path costs, on this machine, in turns. Needs root.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    common.add(parser, PARTS, "eventd and consumer", nice=-10)
    parser.add_argument("--site", choices=SITES, nargs="+", help="with a broker or without one (default: both)")
    parser.add_argument("--rounds", type=int, help="turns of each (default: 3)")
    parser.add_argument("--seconds", type=float, help="length of one offer (default: 3)")
    parser.add_argument("--backlog", type=int, nargs="+", metavar="N", help="job files that wait (default: 2000 5000)")
    parser.add_argument("--idle", type=float, metavar="SECONDS", help="in which nothing happens (default: 60)")
    parser.add_argument("--quick", action="store_true", help="one short round, 1,000 job files, 20 s idle")
    arguments = common.parse(parser, argv, PARTS, "bench-events")
    quick = arguments.quick
    arguments.site = arguments.site or list(SITES)
    arguments.rounds = arguments.rounds or (1 if quick else 3)
    arguments.seconds = arguments.seconds or (2 if quick else 3)
    arguments.backlog = arguments.backlog or ([1000] if quick else [2000, 5000])
    arguments.idle = arguments.idle or (20 if quick else 60)
    if (
        arguments.rounds < 1
        or min(arguments.seconds, arguments.idle) < 1
        or not all(1 <= count <= 7000 for count in arguments.backlog)
    ):
        parser.error("--rounds, --seconds, --idle are from 1 on, --backlog from 1 to 7000 (inotify holds no more)")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
