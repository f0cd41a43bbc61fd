"""Sizes: Ganeti speaks of MiB, everything below it of bytes."""

from __future__ import annotations

from ganeti_ext.errors import ContractError

MIB = 1 << 20


def octets(mib: int | None, variable: str) -> int:
    """Bytes of a size that a verb must be told; ContractError naming the variable that lacks."""
    if mib is None:
        raise ContractError(f"{variable} is not set")
    return mib * MIB
