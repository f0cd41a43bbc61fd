"""Why an image is not made, shown or handed out."""

from __future__ import annotations

from ganeti_ext.errors import ExtError


class Refused(ExtError):
    """What was brought is not taken: `reason` is one word for programs, the text fit for the eyes of who brought it."""

    exit_code = 65  # EX_DATAERR of sysexits.h
    http_status = 400

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Known(ExtError):
    """There is such an image already."""

    exit_code = 5
    http_status = 409


class Unknown(ExtError):
    """There is no such image."""

    exit_code = 5
    http_status = 404
