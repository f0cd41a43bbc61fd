"""JSON that strangers send, read within limits. Pure.

json.loads alone takes numbers and characters that no database column holds, NaN, which is no JSON, and nests as deep
as the interpreter's stack, which is then too small for what looks at the value.
"""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 32
MAX_VALUES = 10_000
_DIGITS = 18  # fits into a signed 64-bit integer


def parse(data: bytes) -> Any:
    """The value; ValueError says which limit it breaks."""
    try:
        found = json.loads(data.decode("utf-8"), parse_int=_integer, parse_float=_real, parse_constant=_constant)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH}") from None
    except UnicodeDecodeError as err:
        raise ValueError("not UTF-8") from err
    except json.JSONDecodeError as err:
        raise ValueError(f"not valid JSON: {err.msg} at line {err.lineno}, column {err.colno}") from None
    _check(found)
    return found


def _check(value: Any) -> None:
    """Level by level, as a function that calls itself would be the next to nest too deep."""
    level, count = [value], 0
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                below.extend((*each, *each.values()))
            elif isinstance(each, list):
                below.extend(each)
            elif isinstance(each, str):
                _check_text(each)
        count += len(below)
        if count > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES} values")
        if not below:
            return
        level = below
    raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _check_text(text: str) -> None:
    if "\0" in text:  # PostgreSQL keeps none
        raise ValueError("a string with a NUL")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a string with half a surrogate pair") from None


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _DIGITS:
        raise ValueError(f"a number of more than {_DIGITS} digits")
    return int(digits)


def _real(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise ValueError("a number that is too large")
    return found


def _constant(word: str) -> float:
    raise ValueError(f"not valid JSON: {word}")
