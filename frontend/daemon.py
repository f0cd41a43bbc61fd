"""What the front's daemons begin and end with: their arguments, their log, what their exit codes say."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from frontend import settings
from ganeti_ext.errors import ExtError
from ganeti_ext.service import log_to_journal

log = logging.getLogger(__name__)


def main(name: str, about: str | None, run: Callable[[settings.Settings], None]) -> int:
    """Call `run` with the settings; the process's exit code. What cannot be is told in one line."""
    parser = argparse.ArgumentParser(prog=name, description=about)
    parser.add_argument("--config", default=settings.PATH, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--log-level", default="INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    options = parser.parse_args()
    log_to_journal(options.log_level)
    try:
        run(settings.read(options.config))
    except ExtError as err:
        log.error("%s", err)
        return err.exit_code
    except SQLAlchemyError as err:
        log.error("database: %s", str(err).split("\n", 1)[0])
        return 1
    return 0
