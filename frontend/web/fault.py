"""What went wrong, as the client of each service expects to read it."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, request
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from ganeti_ext.errors import ExtError, RapiError, RapiLost, RapiUnavailable

log = logging.getLogger(__name__)

RETRY_AFTER = 10  # seconds
BUSY = "The cluster cannot take this request now. Try again later."
LOST = "The cluster did not answer, and may have taken this request. Look whether it has before you try again."


class Fault(ExtError):
    """A refusal whose text the tenant reads: it names what was wrong, and nothing of other tenants or of nodes."""

    http_status = 400


class BadRequest(Fault):
    pass


class Unauthorized(Fault):
    http_status = 401

    def __init__(self, text: str = "The request you have made requires authentication.") -> None:
        super().__init__(text)


class Forbidden(Fault):
    http_status = 403


class NotFound(Fault):
    http_status = 404


class NotAcceptable(Fault):
    http_status = 406


class Conflict(Fault):
    http_status = 409


class TooLarge(Fault):
    http_status = 413


class BadMediaType(Fault):
    http_status = 415


class TooManyRequests(Fault):
    http_status = 429

    def __init__(self, seconds: int) -> None:
        """To be tried again in so many seconds."""
        super().__init__(f"Too many requests. Try again in {seconds} seconds.")
        self.seconds = seconds


class Unavailable(Fault):
    http_status = 503


# Nova's and Cinder's names of faults (api-guide, "Faults"); every other status is a computeFault.
NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}

# What a refusal of Ganeti's means to a tenant; others are ours to mend, hence 500.
_REFUSALS: dict[int, Fault] = {
    401: Unavailable(BUSY),  # our credentials, not the tenant's
    403: Unavailable(BUSY),
    404: Conflict("Ganeti has no instance for this server."),
    409: Conflict("Ganeti refused: the instance is in another state."),
    412: Conflict("Ganeti refused: the instance is in another state."),
    429: Unavailable(BUSY),
}


def render(err: Exception) -> Response:
    """The one error handler of the application."""
    if isinstance(err, HTTPException):
        code, headers = err.code or 500, dict(err.get_headers())
        if code == HTTPStatus.METHOD_NOT_ALLOWED and request.path.endswith("/"):
            code, headers = 404, {}  # of one thing, whose id is blank
        words = "The resource could not be found." if code == HTTPStatus.NOT_FOUND else err.description
        return _answer(code, words or "", headers)
    shown = _shown(err)
    headers = {"Retry-After": str(RETRY_AFTER)} if shown.http_status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    if isinstance(shown, TooManyRequests):
        headers = {"Retry-After": str(shown.seconds)}
    return _answer(shown.http_status, str(shown), headers)


def _shown(err: Exception) -> ExtError:
    """The fault that a tenant may read; the operator's words go to the log."""
    if isinstance(err, Fault):
        return err
    where = f"{request.method} {request.path}"
    if isinstance(err, RapiUnavailable):
        log.warning("%s: %s", where, err)
        return Unavailable(LOST if isinstance(err, RapiLost) else BUSY)
    if isinstance(err, RapiError):
        log.error("%s: %s (status %d)", where, err, err.code)
        return _REFUSALS.get(err.code) or ExtError("Ganeti refused the request.")
    if isinstance(err, OperationalError):
        log.error("%s: database: %s", where, err.orig)
        return Unavailable("The database does not answer. Try again later.")
    log.error("%s: bug", where, exc_info=err)
    return ExtError("The server has met an unexpected condition.")


def _answer(status: int, message: str, headers: dict[str, str]) -> Response:
    answer = jsonify(_body(request.path, status, message))
    answer.status_code = status
    for name in ("Allow", "Retry-After"):
        if name in headers:
            answer.headers[name] = headers[name]
    return answer


def _body(path: str, status: int, message: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    if path.startswith(("/compute", "/volume")):
        return {NAMES.get(status, "computeFault"): {"code": status, "message": message}}
    if path.startswith("/network"):
        return {"NeutronError": {"type": title.replace(" ", ""), "message": message, "detail": ""}}
    return {"error": {"code": status, "message": message, "title": title}}
