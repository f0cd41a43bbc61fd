"""The command: python3 -m bench.dhcp."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from bench import arguments as common
from bench.alone import exit_code
from bench.dhcp import boot, exchange, flood
from bench.dhcp.bench import Bench, bench, setup
from bench.dhcp.servers import NFDHCPD
from bench.result import Result

PARTS: Mapping[str, Callable[[Bench], None]] = {
    "exchange": exchange.measure,
    "burst": boot.burst,
    "start": boot.start,
    "flood": flood.flood,
}


# Of the numbers of guests in order, those that a part is measured with; all, if it is not named here.
WHERE: Mapping[str, Callable[[Sequence[int]], Sequence[int]]] = {
    "burst": lambda sizes: sizes[-1:],
    "start": lambda sizes: sizes[-1:],
    "flood": lambda sizes: sizes[:1],
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    setup()
    result = Result("dhcp", NFDHCPD.name, arguments=common.facts(arguments))
    # Each number of guests has taps of its own number: others would cost a server that routes its answers.
    sizes = sorted(set(arguments.bindings))
    with result.told():
        for size in sizes:
            here = [part for part in arguments.part if size in WHERE.get(part, list)(sizes)]
            with bench((size,), arguments.rounds, arguments.seconds, result, arguments.tree, arguments.nice) as place:
                for part in here:
                    PARTS[part](place)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.dhcp",
        description="nfdhcpd beside dnsmasq and Kea on this machine, in turns. Needs root and two cores.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    common.add(parser, PARTS, "nfdhcpd", nice=-10)
    parser.add_argument("--bindings", type=int, nargs="+", metavar="N", help="numbers of guests (default: 1000 5000)")
    parser.add_argument("--rounds", type=int, help="turns of each server (default: 3)")
    parser.add_argument("--seconds", type=int, help="length of one probe (default: 2)")
    parser.add_argument("--quick", action="store_true", help="1,000 guests, two rounds, one second")
    arguments = common.parse(parser, argv, PARTS, "bench-dhcp")
    quick = arguments.quick
    arguments.bindings = arguments.bindings or ([1000] if quick else [1000, 5000])
    arguments.rounds = arguments.rounds or (2 if quick else 3)
    arguments.seconds = arguments.seconds or (1 if quick else 2)
    if not all(500 <= guests <= 20_000 for guests in arguments.bindings):
        parser.error(
            f"--bindings {arguments.bindings}: from 500 (fewer would be held back by the limit of a tap) to 20000"
        )
    return arguments


if __name__ == "__main__":
    sys.exit(main())
