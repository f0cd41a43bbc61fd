"""The command: python3 -m bench.dhcp."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import ROOT
from bench.alone import alone
from bench.dhcp import boot, exchange, flood
from bench.dhcp.bench import Bench, bench, setup
from bench.dhcp.servers import NFDHCPD
from bench.result import Result
from ganeti_ext.errors import ExtError

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
    try:
        with alone():
            _run(arguments)
    except (ExtError, TimeoutError) as err:
        print(f"bench: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; everything is taken away", file=sys.stderr)
        return 130
    return 0


def _run(arguments: argparse.Namespace) -> None:
    setup()
    result = Result("dhcp", NFDHCPD.name, arguments={name: str(value) for name, value in vars(arguments).items()})
    whole = False
    try:
        # Each number of guests has taps of its own number: others would cost a server that routes its answers.
        sizes = sorted(set(arguments.bindings))
        for size in sizes:
            here = [part for part in arguments.part if size in WHERE.get(part, list)(sizes)]
            with bench((size,), arguments.rounds, arguments.seconds, result, arguments.tree, arguments.nice) as place:
                for part in here:
                    PARTS[part](place)
        whole = True
    finally:
        # What was measured before a failure is told as well.
        if text := result.text():
            print(f"\n{text}\n{result.save(whole=whole)}")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.dhcp",
        description="nfdhcpd beside dnsmasq and Kea on this machine, in turns. Needs root and two cores.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    parser.add_argument("part", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--bindings", type=int, nargs="+", metavar="N", help="numbers of guests (default: 1000 5000)")
    parser.add_argument("--rounds", type=int, help="turns of each server (default: 3)")
    parser.add_argument("--seconds", type=int, help="length of one probe (default: 2)")
    parser.add_argument(
        "--tree", type=Path, default=ROOT, metavar="DIR", help="measure the nfdhcpd of another checkout"
    )
    parser.add_argument("--nice", type=int, default=-10, metavar="N", help="of servers and guests (default: -10)")
    parser.add_argument("--quick", action="store_true", help="1,000 guests, two rounds, one second")
    arguments = parser.parse_args(argv)
    arguments.part = arguments.part or list(PARTS)
    if unknown := set(arguments.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    quick = arguments.quick
    arguments.bindings = arguments.bindings or ([1000] if quick else [1000, 5000])
    arguments.rounds = arguments.rounds or (2 if quick else 3)
    arguments.seconds = arguments.seconds or (1 if quick else 2)
    if not all(500 <= guests <= 20_000 for guests in arguments.bindings):
        parser.error(
            f"--bindings {arguments.bindings}: from 500 (fewer would be held back by the limit of a tap) to 20000"
        )
    if os.geteuid() != 0:
        parser.error("this needs root: sudo make bench-dhcp")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
