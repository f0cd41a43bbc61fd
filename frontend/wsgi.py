"""gunicorn's way in: frontend.wsgi:application."""

from __future__ import annotations

import logging
import time

from flask import Flask
from sqlalchemy.exc import OperationalError

from frontend.app import create_app
from frontend.effect import remote
from frontend.serve import SETTINGS, TALLY
from ganeti_ext.service import log_to_journal

log = logging.getLogger(__name__)


def _application() -> Flask:
    log_to_journal()
    try:
        return create_app(SETTINGS, remote.of(SETTINGS), TALLY)
    except OperationalError as err:
        log.error("database: %s", err.orig)
        time.sleep(1)
        raise SystemExit(1) from err  # gunicorn starts another worker; any other exception would end it for good


application = _application()
