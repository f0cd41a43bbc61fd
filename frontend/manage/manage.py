"""ganeti-ext-manage: the administrator's command: projects, users, flavors, images, and the state of it all."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from frontend import settings
from frontend.manage import (
    manage_access,
    manage_account,
    manage_cluster,
    manage_console,
    manage_database,
    manage_flavor,
    manage_health,
    manage_image,
    manage_imageset,
    manage_letters,
    manage_project,
    manage_reconcile,
    manage_report,
    manage_state,
    manage_usage,
)
from frontend.manage.manage_base import Answer, Context, Owner
from ganeti_ext.errors import ExtError

COMMANDS = (
    *manage_project.COMMANDS,
    *manage_account.COMMANDS,
    *manage_flavor.COMMANDS,
    *manage_access.COMMANDS,
    *manage_image.COMMANDS,
    *manage_imageset.COMMANDS,
    *manage_reconcile.COMMANDS,
    *manage_health.COMMANDS,
    *manage_letters.COMMANDS,
    *manage_database.COMMANDS,
    *manage_state.COMMANDS,
    *manage_usage.COMMANDS,
    *manage_report.COMMANDS,
    *manage_console.COMMANDS,
    *manage_cluster.COMMANDS,
)
PROGRAM = "ganeti-ext-manage"


def parser() -> argparse.ArgumentParser:
    """The whole command line; `--help` stands behind every command."""
    top = argparse.ArgumentParser(prog=PROGRAM, description="Administer the OpenStack-compatible front of Ganeti.")
    top.add_argument("--config", default=settings.PATH, metavar="FILE", help="default: %(default)s")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        own = commands.add_parser(command.name, help=command.help, description=f"{command.help}.")
        command.arguments(own)
        own.set_defaults(run=command.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; exit code 0, 1 refused or failed, 2 wrong arguments, 3 wrong configuration, others its own."""
    options = parser().parse_args(argv)
    try:
        config = settings.read(options.config)
        with Owner().lowered() as owner:
            answer: str | Answer = options.run(Context(config, owner), options)
    except ExtError as err:
        return _complain(str(err), err.exit_code)
    except SQLAlchemyError as err:
        return _complain(f"database: {str(err).splitlines()[0]}", 1)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` is no failure to be told of
    text, code = answer if isinstance(answer, Answer) else (answer, 0)
    sys.stdout.write(text)
    return code


def _complain(words: str, code: int) -> int:
    sys.stderr.write(f"{PROGRAM}: {words}\n")
    return code
