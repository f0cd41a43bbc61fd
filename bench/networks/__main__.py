"""The command: python3 -m bench.networks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench import arguments as common
from bench.alone import exit_code
from bench.api.place import Size, place
from bench.networks import creates, reads
from bench.networks.population import FEW_NETWORKS, FEW_PORTS, ROOM
from bench.networks.sides import OURS, sides
from bench.result import Result
from lab import base

PARTS = ("reads", "creates")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    base.setup()
    result = Result("networks", OURS, arguments=common.facts(arguments))
    size = arguments.networks, arguments.ports
    there = Size(arguments.rounds, arguments.seconds, (), 0, arguments.creates)
    with (
        result.told(),
        place(there, result, arguments.tree, arguments.nice, "bench.networks") as here,
        sides(here, size) as found,
    ):
        asked = reads.questions(*size)
        for _ in range(arguments.rounds if "reads" in arguments.part else 0):  # before there are more
            reads.measure(here, found, arguments.seconds, asked)
        for turn in range(arguments.rounds if "creates" in arguments.part else 0):
            creates.measure(here, found, size, turn, arguments.creates)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.networks",
        description="Networks and ports of the API beside the least that gives the same answers, in turns. Needs root.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    common.add(parser, PARTS, "front", nice=0)
    parser.add_argument("--rounds", type=int, help="turns of each (default: 3)")
    parser.add_argument("--seconds", type=float, help="length of one read (default: 2)")
    parser.add_argument("--networks", type=int, help="in each database (default: 1000)")
    parser.add_argument("--ports", type=int, help="in each database, half of them servers' (default: 5000)")
    parser.add_argument("--creates", type=int, help="of each thing, in a turn (default: 100)")
    parser.add_argument("--quick", action="store_true", help="one short round, 20 creates")
    arguments = common.parse(parser, argv, PARTS, "bench-networks")
    quick = arguments.quick
    arguments.rounds = arguments.rounds or (1 if quick else 3)
    arguments.seconds = arguments.seconds or (0.5 if quick else 2)
    arguments.networks = arguments.networks or 1000
    arguments.ports = arguments.ports or 5000
    arguments.creates = arguments.creates or (20 if quick else 100)
    big = arguments.networks - FEW_NETWORKS
    if (
        min(arguments.rounds, arguments.creates) < 1
        or arguments.seconds <= 0
        or not big >= 20
        or not 4 * big <= arguments.ports - FEW_PORTS <= ROOM * big
    ):
        parser.error(
            f"--rounds, --creates are from 1 on, --seconds above 0, --networks from {20 + FEW_NETWORKS} on,"
            f" --ports from 4 to {ROOM} a network"
        )
    return arguments


if __name__ == "__main__":
    sys.exit(main())
