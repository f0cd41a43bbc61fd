"""The command: python3 -m bench.storage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from bench import arguments as common
from bench.alone import exit_code
from bench.bars import OURS
from bench.result import Result
from bench.storage import cow, extents, guest, rbd, servers, traffic
from bench.storage.place import Bench, Size, bench
from bench.storage.share import KINDS
from lab import base

PARTS: Mapping[str, Callable[[Bench], None]] = {
    "cow": cow.measure,
    "extents": extents.measure,
    "rbd": rbd.measure,
    "cow-io": traffic.cow,
    "rbd-io": traffic.rados,
    "guest-io": guest.measure,
    "servers": servers.measure,
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    base.setup()
    result = Result("storage", OURS, arguments=common.facts(arguments))
    kinds = KINDS[:1] if arguments.quick else KINDS
    sizes = arguments.rounds, arguments.seconds, arguments.servers, arguments.pieces
    with result.told(), bench(Size(*sizes, kinds, arguments.nice), result, arguments.tree) as place:
        for part in arguments.part:
            PARTS[part](place)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.storage",
        description="The providers of disks beside what stands below them, on this machine, in turns. Needs root.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    common.add(parser, PARTS, "providers", nice=-10)
    parser.add_argument("--rounds", type=int, help="turns of each (default: 3)")
    parser.add_argument("--seconds", type=float, help="length of one run of fio (default: 0.5)")
    parser.add_argument("--servers", type=int, help="servers from one snapshot (default: 100)")
    parser.add_argument("--pieces", type=int, help="of a scattered disk (default: 100000)")
    parser.add_argument("--quick", action="store_true", help="one short round, 10 servers, 20,000 pieces")
    arguments = common.parse(parser, argv, PARTS, "bench-storage")
    quick = arguments.quick
    arguments.rounds = arguments.rounds or (1 if quick else 3)
    arguments.seconds = arguments.seconds or (0.3 if quick else 0.5)
    arguments.pieces = arguments.pieces or (20_000 if quick else 100_000)
    arguments.servers = arguments.servers or (10 if quick else 100)
    if min(arguments.rounds, arguments.servers, arguments.pieces) < 1 or arguments.seconds < 0.1:
        parser.error("--rounds, --servers, --pieces are numbers from 1 on, --seconds from 0.1 on")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
