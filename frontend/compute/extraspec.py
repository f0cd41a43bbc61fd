"""Extra specs of flavors: an administrator's notes, which are kept and shown. Pure."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9_. :-]{1,255}")  # nova/api/validation/extra_specs
_LONGEST = 255


def is_value(text: object) -> bool:
    return isinstance(text, str) and len(text) <= _LONGEST and text.isprintable()


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE; ValueError when it is none."""
    name, equals, value = text.partition("=")
    if not equals or not NAME.fullmatch(name) or not is_value(value):
        raise ValueError(f"{text!r} is no NAME=VALUE")
    return name, value
