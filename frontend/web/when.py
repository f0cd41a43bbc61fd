"""Times in requests."""

from __future__ import annotations

from datetime import UTC, datetime

from frontend.web.fault import BadRequest


def seconds(key: str, text: str) -> float:
    """An ISO 8601 time, UTC where it says no zone, in seconds since 1970; BadRequest names the key."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as err:
        raise BadRequest(f"{key}: {text[:80]!r} is no ISO 8601 time") from err
