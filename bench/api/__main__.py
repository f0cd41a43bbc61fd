"""The command: python3 -m bench.api."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from bench import arguments as common
from bench.alone import exit_code
from bench.api import creates, quota, reads
from bench.api.fronts import Front, fronts
from bench.api.place import Place, Size, place
from bench.api.population import FEW, MAKERS, MANY
from bench.report import Report
from lab import base

PARTS: Mapping[str, Callable[[Place, list[Front]], None]] = {
    "reads": reads.measure,
    "creates": creates.measure,
    "quota": quota.measure,
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    base.setup()
    result = Report("api", reads.AGAINST, arguments=common.facts(arguments))
    servers = tuple(arguments.servers)
    size = Size(arguments.rounds, arguments.seconds, servers, arguments.instances, arguments.creates)
    with result.told(), place(size, result, arguments.tree, arguments.nice) as here, fronts(here) as found:
        for part in arguments.part:
            PARTS[part](here, list(found))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.api",
        description="The API beside Ganeti's own remote API, on this machine, in turns. Needs root.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    common.add(parser, PARTS, "front", nice=0)
    parser.add_argument("--rounds", type=int, help="turns of each (default: 3)")
    parser.add_argument("--seconds", type=float, help="length of one read (default: 5)")
    parser.add_argument("--servers", type=int, nargs="+", metavar="N", help="in a database (default: 5500 50000)")
    parser.add_argument("--instances", type=int, help="of Ganeti's own (default: 1000)")
    parser.add_argument("--creates", type=int, help="by 50 clients (default: 1000)")
    parser.add_argument("--quick", action="store_true", help="one short round, 200 creates, 500 instances")
    arguments = common.parse(parser, argv, PARTS, "bench-api")
    quick = arguments.quick
    arguments.rounds = arguments.rounds or (1 if quick else 3)
    arguments.seconds = arguments.seconds or (1 if quick else 5)
    arguments.servers = arguments.servers or [5500, 50000]
    arguments.instances = arguments.instances or (500 if quick else 1000)
    arguments.creates = arguments.creates or (200 if quick else 1000)
    if (
        min(arguments.rounds, arguments.instances) < 1
        or arguments.seconds <= 0
        or min(arguments.servers) < FEW + MANY
        or not MAKERS <= arguments.creates <= 1000
    ):
        parser.error(
            f"--rounds, --instances are from 1 on, --seconds above 0, --servers from {FEW + MANY} on,"
            f" --creates from {MAKERS} to 1000"
        )
    return arguments


if __name__ == "__main__":
    sys.exit(main())
