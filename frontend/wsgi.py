"""gunicorn's way in: frontend.wsgi:application."""

from __future__ import annotations

from frontend.app import create_app
from frontend.serve import SETTINGS, remote_api
from ganeti_ext.service import log_to_journal

log_to_journal()
application = create_app(SETTINGS, remote_api(SETTINGS))
