"""The error tree: a class knows its exit code and, for the front, its HTTP status.

Raise where the fault is known, catch at the edge (entry.py, daemon mains, frontend/app.py).
"""

from __future__ import annotations


class ExtError(Exception):
    """An expected failure; its text tells an operator what, which object, what was found."""

    exit_code = 1
    http_status = 500


class ContractError(ExtError):
    """The caller broke the environment contract."""

    exit_code = 2
    http_status = 400


class ConfigError(ExtError):
    """A configuration file is wrong."""

    exit_code = 3


class CommandError(ExtError):
    """A program that we started failed."""


class RapiError(ExtError):
    """Ganeti's remote API refused a request.

    `code` is the HTTP status of the answer.
    """

    http_status = 502

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class RapiUnavailable(ExtError):
    """Ganeti's remote API could not be reached, or said that it cannot now: nothing was done."""

    http_status = 503


class RapiLost(RapiUnavailable):
    """The request went out and no answer came that can be trusted: what was asked for may have been done."""
