"""ganeti-ext-importer: imports of images that tenants asked for, and what else images need done."""

from __future__ import annotations

from frontend import daemon, settings
from frontend.database import db
from frontend.image.importer import Importer
from ganeti_ext.service import Loop


def main() -> int:
    return daemon.main("ganeti-ext-importer", __doc__, run)


def run(config: settings.Settings) -> None:
    """Until SIGTERM. ConfigError when a setting is wrong, SQLAlchemyError when there is no database at the start."""
    importer = Importer(db.connect_writer(config.front.database), config)
    loop = Loop()
    loop.every(importer.PERIOD, importer.tick)
    loop.run()
