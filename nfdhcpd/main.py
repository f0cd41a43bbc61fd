"""The command."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ganeti_ext import binding
from ganeti_ext.errors import ExtError
from ganeti_ext.service import log_to_journal
from nfdhcpd import client, divert
from nfdhcpd import settings as settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nfdhcpd.settings import Settings

# What --check assumes of a tap: all that a binding says of it.
_TAP = client.Link(1, b"\2\0\0\0\0\1")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is that of the error's class."""
    arguments = _arguments(argv)
    try:
        if arguments.undivert:
            divert.undivert()
            return 0
        settings = settings_of.load(arguments.config)
        log_to_journal(settings.general.log_level)
        if arguments.check:
            return check(settings)
        if arguments.divert:
            divert.divert(settings)
            return 0
        # Not before: --divert and --check work where this one's libraries are missing.
        from nfdhcpd import daemon  # noqa: PLC0415

        daemon.serve(settings, arguments.config)
    except ExtError as err:
        sys.stderr.write(f"nfdhcpd: {err}\n")
        return err.exit_code
    return 0


def check(settings: Settings) -> int:
    """Say what is wrong with the bindings, as far as their text tells; 0 when nothing is."""
    bad = 0
    for tap in sorted(binding.taps(settings.general.directory)):
        try:
            found = binding.read(tap, settings.general.directory)
            client.client(found, _TAP._replace(ifindex=found.ifindex or 1), None, settings)
        except binding.BindingError as err:
            sys.stdout.write(f"{err}\n")
            bad += 1
    return 1 if bad else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("nfdhcpd", description="DHCPv4 and router advertisements for the guests of a host")
    parser.add_argument("--config", default=settings_of.PATH, help="configuration file (default: %(default)s)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--divert", action="store_true", help="set the iptables rules and the sysctls, and end")
    action.add_argument("--undivert", action="store_true", help="take the iptables rules away, and end")
    action.add_argument("--check", action="store_true", help="check configuration and bindings, and end")
    return parser.parse_args(argv)
