"""ganeti-ext-exporter: the metrics of all daemons of this machine, for Prometheus."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ganeti_ext import metric, tool
from ganeti_ext.service import log_to_journal
from monitor import daemon, settings
from monitor.collect import Collection

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 1 it cannot listen, or its library lacks; 2 usage; 3 wrong configuration."""
    arguments = _arguments(argv)
    return tool.run("ganeti-ext-exporter", lambda: _work(arguments))


def _work(arguments: argparse.Namespace) -> int:
    found = settings.load(arguments.config)
    log_to_journal()
    collect = Collection(daemon.here(found.sockets))
    if arguments.once:
        sys.stdout.writelines(f"{line}\n" for line in metric.text(collect()))
        return 0
    from monitor import exporter  # noqa: PLC0415 (--once does without its library)

    exporter.export(arguments.listen or found.exporter.listen, collect)
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("ganeti-ext-exporter", description=__doc__)
    parser.add_argument("--config", default=settings.PATH, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--listen", metavar="HOST:PORT", help="where to serve (default: as the configuration says)")
    parser.add_argument("--once", action="store_true", help="print the metrics and end")
    return parser.parse_args(argv)
