"""The command: python3 -m bench.firewall."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import ROOT
from bench.alone import exit_code
from bench.dhcp.bench import cores, setup
from bench.firewall import change, forward
from bench.firewall.place import Bench, bench
from bench.firewall.report import Against, Report
from bench.firewall.ways import BARE

PARTS: Mapping[str, Callable[[Bench], None]] = {"taps": change.measure, "packets": forward.measure}
AGAINST = (
    Against("of nft -f", "set-up, ms", BARE.title),
    Against("of nft -f", "change, ms", BARE.title),
    Against("of no rules", "ns a packet", forward.NO_RULES, share=True),
    Against("of conntrack alone", "ns a packet", forward.CONNTRACK, share=True),
    Against("of br_netfilter off", "ns a packet", forward.BRIDGE_ALONE, share=True),
)
_MOST = 1000  # ports of a bridge, which has 1,023 at most


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _arguments(argv)
    return exit_code(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    setup()
    facts = {name: str(value) for name, value in vars(arguments).items()}
    result = Report("firewall", AGAINST, arguments=facts)
    whole = False
    try:
        for taps in arguments.taps:
            with bench(taps, arguments.rounds, cores()[1], result, arguments.tree) as place:
                for part in arguments.part:
                    PARTS[part](place)
        whole = True
    finally:
        # What was measured before a failure is told as well.
        if text := result.text():
            print(f"\n{text}\n{result.save(whole=whole)}")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.firewall",
        description="Interface scripts and firewall beside what else there is, on this machine, in turns. Needs root.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    parser.add_argument("part", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--taps", type=int, nargs="+", metavar="N", help="taps of a node (default: 1000)")
    parser.add_argument("--rounds", type=int, help="turns of each (default: 10)")
    parser.add_argument(
        "--tree", type=Path, default=ROOT, metavar="DIR", help="measure the kvm_ifup of another checkout"
    )
    parser.add_argument("--quick", action="store_true", help="100 taps, two rounds")
    arguments = parser.parse_args(argv)
    arguments.part = arguments.part or list(PARTS)
    if unknown := set(arguments.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    arguments.taps = arguments.taps or [100 if arguments.quick else 1000]
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 10)
    if not all(1 <= taps <= _MOST for taps in arguments.taps):
        parser.error(f"--taps {arguments.taps}: from 1 to {_MOST}")
    if os.geteuid() != 0:
        parser.error("this needs root: sudo make bench-firewall")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
