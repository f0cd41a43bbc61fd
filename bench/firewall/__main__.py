"""The command: python3 -m bench.firewall."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from bench import arguments as common
from bench.alone import exit_code
from bench.dhcp.bench import cores, setup
from bench.firewall import change, forward, group
from bench.firewall.place import Bench, bench
from bench.firewall.ways import BARE
from bench.report import Against, Report

PARTS: Mapping[str, Callable[[Bench], None]] = {
    "taps": change.measure,
    "packets": forward.measure,
    "groups": group.measure,
}
AGAINST = (
    Against("of nft -f", "set-up, ms", BARE.title),
    Against("of nft -f", "change, ms", BARE.title),
    Against("of nft -f by hand", "in force, ms", group.NFT_BY_HAND),
    Against("of iptables-restore", "in force, ms", group.IPTABLES_BY_HAND),
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
    result = Report("firewall", AGAINST, arguments=common.facts(arguments))
    with result.told():
        for taps in arguments.taps:
            with bench(taps, arguments.rounds, cores()[1], result, arguments.tree) as place:
                for part in arguments.part:
                    PARTS[part](place)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python3 -m bench.firewall",
        description="Interface scripts and firewall beside what else there is, on this machine, in turns. Needs root.",
        epilog="Figures of one machine in one minute: only the ratios say something about another.",
    )
    common.add(parser, PARTS, "kvm_ifup")
    parser.add_argument("--taps", type=int, nargs="+", metavar="N", help="taps of a node (default: 1000)")
    parser.add_argument("--rounds", type=int, help="turns of each (default: 10)")
    parser.add_argument("--quick", action="store_true", help="100 taps, two rounds")
    arguments = common.parse(parser, argv, PARTS, "bench-firewall")
    arguments.taps = arguments.taps or [100 if arguments.quick else 1000]
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 10)
    if not all(1 <= taps <= _MOST for taps in arguments.taps):
        parser.error(f"--taps {arguments.taps}: from 1 to {_MOST}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
