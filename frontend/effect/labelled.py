"""Names in Ganeti that are a prefix and an id of ours. Pure."""

from __future__ import annotations

import re

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An id, as the front makes them."""


def ident(prefix: str, name: str | None) -> str | None:
    """The id in a name that is this prefix and a UUID; None for a name of another kind."""
    label = (name or "").removeprefix(prefix)
    return label if name != label and UUID.fullmatch(label) else None
