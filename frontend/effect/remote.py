"""Ganeti's remote API as the front uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from frontend.settings import Settings
from ganeti_ext import event
from ganeti_ext.errors import RapiError
from ganeti_ext.rapi import Query, Rapi


class Asked(Protocol):
    """As far as it changes nothing."""

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]: ...


class RemoteApi(Asked, Protocol):
    """ganeti_ext.rapi.Rapi."""

    def get(self, path: str, query: Query | None = None) -> Any: ...

    def submit(self, method: str, path: str, body: object = None, query: Query | None = None) -> int: ...

    def cancel(self, job: int) -> bool: ...


def of(settings: Settings) -> Rapi:
    """From [rapi]; ConfigError when something of it is not set."""
    access = settings.rapi.need()
    return Rapi(access.url, access.user, access.password, access.ca, access.timeout)


def goes_on(rapi: RemoteApi, job: int) -> bool:
    """Whether a job is there and not over; to wait for one that Ganeti has forgotten is an error to it."""
    status = status_of(rapi, job)
    return status is not None and status not in event.FINAL


def status_of(rapi: RemoteApi, job: int) -> str | None:
    """That of a job; None: Ganeti has forgotten it."""
    try:
        return str(rapi.get(f"jobs/{job}")["status"])
    except RapiError as err:
        if err.code != 404:
            raise
        return None
