"""Counts the API's requests by route and status code, for all worker processes in one file (ganeti_ext/tally.py)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from flask import Response, g, request

from ganeti_ext.tally import OTHER, Shape, Tally

log = logging.getLogger(__name__)

UNKNOWN = "ANY unknown"
"""The row of requests for what is no route."""
CODES = ("200", "201", "202", "204", "300", "400", "401", "403", "404", "405", "406", "409", "413", "415", "422")
ERRORS = ("429", "500", "502", "503", "504", OTHER)
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SPARE = 2  # blocks beside those of all workers and those that take their place in a reload


def make(path: str, routes: Iterable[str], workers: int) -> Tally | None:
    """The file, made before the workers start; None, with a line in the log, where there is no place for it."""
    if not path:
        return None
    try:
        return Tally(path, Shape((*routes, UNKNOWN), (*CODES, *ERRORS), BOUNDS), 2 * workers + _SPARE)
    except OSError as err:
        log.warning("requests are not counted: %s", err)
        return None


def begin() -> None:
    """A request has come."""
    g.began = time.perf_counter()


def end(tally: Tally, response: Response) -> Response:
    """It is answered."""
    row = request.endpoint or UNKNOWN
    tally.count(row, str(response.status_code), time.perf_counter() - g.began)
    return response
