"""The command."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from ganeti_ext import binding
from ganeti_ext.errors import CommandError, ExtError
from ganeti_ext.service import log_to_journal
from nfdhcpd import client, divert, duid
from nfdhcpd import settings as settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nfdhcpd.settings import Settings

log = logging.getLogger(__name__)

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
            duid.ensure()
            return 0
        warn(settings)
        # Not before: --divert and --check work where this one's libraries are missing.
        from nfdhcpd import daemon  # noqa: PLC0415

        daemon.serve(settings, arguments.config)
    except ExtError as err:
        sys.stderr.write(f"nfdhcpd: {err}\n")
        return err.exit_code
    return 0


def check(settings: Settings) -> int:
    """Say what is wrong with the bindings, as far as their text tells, and with the rules; 0 when nothing is."""
    wrong = [*bindings(settings), *rules(settings)]
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


def bindings(settings: Settings) -> Iterator[str]:
    """What is wrong with them, a line each."""
    for tap in sorted(binding.taps(settings.general.directory)):
        try:
            found = binding.read(tap, settings.general.directory)
            client.client(found, _TAP._replace(ifindex=found.ifindex or 1), None, settings)
        except binding.BindingError as err:
            yield str(err)


def rules(settings: Settings) -> Iterator[str]:
    """Those that divert the guests' packets and are not there, a line each; only root can tell."""
    try:
        yield from (f"not in place: {rule} (nfdhcpd --divert sets it)" for rule in divert.missing(settings))
    except CommandError as err:
        sys.stderr.write(f"nfdhcpd: whether the rules are in place cannot be seen: {err}\n")


def warn(settings: Settings) -> None:
    """Log what is wrong with the rules. Not fatal: they can be set at any time, and some may be there."""
    for line in rules(settings):
        log.error("%s", line)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("nfdhcpd", description="DHCPv4 and router advertisements for the guests of a host")
    parser.add_argument("--config", default=settings_of.PATH, help="configuration file (default: %(default)s)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--divert", action="store_true", help="set the iptables rules and the sysctls, and end")
    action.add_argument("--undivert", action="store_true", help="take the iptables rules away, and end")
    action.add_argument("--check", action="store_true", help="check configuration and bindings, and end")
    return parser.parse_args(argv)
