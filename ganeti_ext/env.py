"""Typed look-up of environment variables."""

from __future__ import annotations

from ganeti_ext.errors import ContractError

TYPE_CHECKING = False  # importing typing costs a script 10 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    T = TypeVar("T")


def need(env: Mapping[str, str], name: str, cast: Callable[[str], T]) -> T:
    """The value of a variable that must be set; empty counts as unset.

    Raises ContractError naming the variable and, when the cast fails, its value.
    """
    text = env.get(name, "")
    if not text:
        raise ContractError(f"{name} is not set")
    try:
        return cast(text)
    except ValueError as err:
        raise ContractError(f"{name} has a bad value {text!r}: {err}") from err


def optional(env: Mapping[str, str], name: str, cast: Callable[[str], T]) -> T | None:
    """The value of a variable, or None when it is unset or empty."""
    return need(env, name, cast) if env.get(name) else None
