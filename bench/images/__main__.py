"""The command: python3 -m bench.images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from bench import arguments as common
from bench.alone import exit_code
from bench.bars import OURS
from bench.images import alike, imports, room, snapshots, starts
from bench.images.plan import Plan, Size
from bench.result import Result
from bench.storage import place
from bench.storage.share import KINDS, PIECES
from lab import base

PARTS: Mapping[str, Callable[[Plan], None]] = {
    "import": imports.cow,
    "import-rbd": imports.rados,
    "servers": starts.measure,
    "snapshot": snapshots.cow,
    "snapshot-rbd": snapshots.rados,
    "room": room.measure,
    "alike": alike.measure,
}
# Option: whole, quick, help.
SIZES: Mapping[str, tuple[int, int, str]] = {
    "rounds": (3, 1, "turns of each"),
    "mib": (1024, 128, "MiB of an image that is brought"),
    "data": (1024, 128, "MiB of data in the image of 10 GiB"),
    "servers": (20, 5, "servers from one image"),
    "snapshots": (10, 3, "snapshots of them"),
    "written": (64, 8, "MiB that each server writes"),
    "variants": (10, 4, "images of one system"),
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    base.setup()
    result = Result("images", OURS, arguments=common.facts(arguments))
    kinds = KINDS[:1] if arguments.quick else KINDS
    size = Size(**{name: getattr(arguments, name) for name in SIZES}, kinds=kinds)
    below = place.Size(size.rounds, 1, size.servers, 1, kinds, arguments.nice)
    with result.told(), place.bench(below, result, arguments.tree) as bench:
        for part in arguments.part:
            PARTS[part](Plan(bench, size))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.images",
        description="The image store beside qemu-img, full copies and plain files, on this machine. Needs root.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    common.add(parser, PARTS, "providers", nice=0)
    for name, (whole, quick, text) in SIZES.items():
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"{text} (default: {whole}; quick: {quick})")
    parser.add_argument("--quick", action="store_true", help="one round, small images, XFS alone where that can be")
    arguments = common.parse(parser, argv, PARTS, "bench-images")
    for name, (whole, quick, _) in SIZES.items():
        given = getattr(arguments, name)
        setattr(arguments, name, (quick if arguments.quick else whole) if given is None else given)
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} is a number from 1 on")
    if arguments.mib < _LEAST or arguments.data < PIECES:
        parser.error(f"--mib is at least {_LEAST}, --data at least {PIECES}")
    return arguments


_LEAST = 32  # of an ext4 with something in it

if __name__ == "__main__":
    sys.exit(main())
