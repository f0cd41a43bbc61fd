"""ganeti-ext-manage: what nodes must know of the front, so that it may show consoles."""

from __future__ import annotations

import argparse

from frontend.console import consolecert
from frontend.manage.manage_base import Command, Context, no_arguments


def _certificate(context: Context, _: argparse.Namespace) -> str:
    return consolecert.ensure(context.settings.console.certificate)


COMMANDS = (
    Command(
        "console-certificate",
        "Print the certificate that nodes let in for consoles (their /etc/ganeti-ext/console-clients.pem)",
        no_arguments,
        _certificate,
    ),
)
