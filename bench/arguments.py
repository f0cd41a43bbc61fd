"""What the command lines of all benchmarks have in common."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from bench import ROOT


def add(parser: argparse.ArgumentParser, parts: Collection[str], what: str, nice: int | None = None) -> None:
    """PART, --tree and, where there is a default, --nice."""
    parser.add_argument("part", nargs="*", metavar="PART", help=f"{', '.join(parts)} (default: all)")
    parser.add_argument(
        "--tree", type=Path, default=ROOT, metavar="DIR", help=f"measure the {what} of another checkout"
    )
    if nice is not None:
        parser.add_argument(
            "--nice", type=int, default=nice, metavar="N", help="of what is measured (default: %(default)s)"
        )


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None, parts: Collection[str], target: str
) -> argparse.Namespace:
    """Parsed, with all parts where none is named; ends with a usage error for an unknown one, and without root."""
    arguments = parser.parse_args(argv)
    arguments.part = arguments.part or list(parts)
    if unknown := set(arguments.part) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    if os.geteuid() != 0:
        parser.error(f"this needs root: sudo make {target}")
    return arguments


def facts(arguments: argparse.Namespace) -> dict[str, str]:
    """For a result."""
    return {name: str(value) for name, value in vars(arguments).items()}
