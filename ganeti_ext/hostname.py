"""The name that a guest has for itself."""

from __future__ import annotations

_LABEL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def of(name: str, instance: str) -> str:
    """The tenant's name for it made a DNS label (RFC 1123), else the instance's first label."""
    return _label(name) or _label(instance.partition(".")[0]) or "guest"


def _label(text: str) -> str:
    plain = "".join(char if char in _LABEL else "-" for char in text.lower())
    return "-".join(filter(None, plain.split("-")))[:63].strip("-")
