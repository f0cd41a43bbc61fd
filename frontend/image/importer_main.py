"""ganeti-ext-importer: imports of images that tenants asked for, and what else images need done."""

from __future__ import annotations

import argparse
import logging

from sqlalchemy.exc import SQLAlchemyError

from frontend import settings
from frontend.database import db
from frontend.image.importer import Importer
from ganeti_ext.errors import ExtError
from ganeti_ext.service import Loop, log_to_journal

log = logging.getLogger(__name__)


def main() -> int:
    parser = argparse.ArgumentParser(prog="ganeti-ext-importer", description=__doc__)
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


def run(config: settings.Settings) -> None:
    """Until SIGTERM. ConfigError when a setting is wrong, SQLAlchemyError when there is no database at the start."""
    importer = Importer(db.connect_writer(config.front.database), config)
    loop = Loop()
    loop.every(importer.PERIOD, importer.tick)
    loop.run()
