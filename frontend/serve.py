"""gunicorn's configuration (gunicorn --config python:frontend.serve), made from ours.

Reading it is also the check at start: what is wrong ends the service with one line that names the setting, and
the secret and the tables are made here, once, before the workers start.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

from sqlalchemy.exc import ArgumentError, OperationalError

from frontend import routes, settings
from frontend.database import db
from frontend.effect import remote
from frontend.identity import identity_source, tokens
from frontend.web import measure
from ganeti_ext.errors import ConfigError

CONF = "GANETI_EXT_FRONTEND_CONF"


def _prepare() -> settings.Settings:
    path = os.environ.get(CONF, settings.PATH)
    try:
        read = settings.read(path)
        remote.of(read)
        tokens.load_secret(read.front.secret_file)
        identity_source.check(read)
        db.connect(read.front.database).dispose()
    except ConfigError as err:
        _end(f"{path}: {err}", err.exit_code)
    except (OperationalError, ArgumentError) as err:  # away, or no such URL; neither text has the password
        _end(f"{path}: [front] database: {err.orig if isinstance(err, OperationalError) else err}", 1)
    return read


def _end(words: str, code: int) -> NoReturn:
    sys.stderr.write(f"ganeti-ext-api: {words}\n")
    raise SystemExit(code)


SETTINGS = _prepare()
TALLY = measure.make(
    SETTINGS.health.counts, (f"{method} {url}" for method, url, *_ in routes.ROUTES), SETTINGS.front.workers
)

bind = SETTINGS.front.listen
workers = SETTINGS.front.workers
threads = SETTINGS.front.threads
worker_class = "gthread"
timeout = 60
graceful_timeout = 20
keepalive = 75  # seconds: clients look every 5, and must not meet the end of their connection just then
# The heartbeat of the workers must not wait for a disk; None: the usual directory.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
proc_name = "ganeti-ext-api"
accesslog = "-"
access_log_format = '%(h)s "%(r)s" %(s)s %(b)s %(D)sus'


def pre_fork(_server: Any, worker: Any) -> None:
    """gunicorn is about to start a worker, which counts requests in a block of its own."""
    worker.ganeti_ext_block = TALLY.claim() if TALLY else 0


def post_fork(_server: Any, worker: Any) -> None:
    """In the new worker."""
    if TALLY:
        TALLY.use(worker.ganeti_ext_block)


def child_exit(_server: Any, worker: Any) -> None:
    """A worker is gone, in the master."""
    if TALLY:
        TALLY.release(worker.ganeti_ext_block)
