"""What frontend.conf may say of the tenants' page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """[page]: the tenants' page (docs/page.md)."""

    serve: bool = True
    """Whether the API's service has it, under /page/."""
