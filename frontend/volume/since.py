"""Addresses of Block Storage that there are only from a microversion on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from frontend.web import context
from frontend.web.fault import NotFound

View = TypeVar("View", bound=Callable[..., Any])


def since(major: int, minor: int) -> Callable[[View], View]:
    """Before this microversion the address is as unknown as any other (cinder/api/openstack/wsgi.py)."""

    def bound(view: View) -> View:
        @functools.wraps(view)
        def versioned(**parts: str) -> Any:
            if context.version() < (major, minor):
                raise NotFound("The resource could not be found.")
            return view(**parts)

        return versioned  # type: ignore[return-value]

    return bound
