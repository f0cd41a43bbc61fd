"""What a guest is told beside its addresses, by tags of its instance and of its network (ganeti_ext/tags.py).

Texts, passed on: nfdhcpd knows what they mean.
"""

from __future__ import annotations

import ipaddress
from collections import namedtuple

from ganeti_ext import binding, tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ganeti_ext.nicenv import Nic

MTU, PREFIX6 = "mtu", "prefix6"
_KEYS = frozenset((*binding.TERMS, MTU))

# Not a guest's, whatever a tag says: routers are known by some, groups and the unspecified address are in the others.
NEVER = tuple(ipaddress.IPv6Network(text) for text in ("fe80::/10", "ff00::/8", "::/128"))


class Told(namedtuple("Told", "terms mtu prefix6 warnings", defaults=((), None, None, ()))):
    """`terms` as in a binding; `prefix6` is the delegated prefix again, if addresses of it may be used."""

    __slots__ = ()
    terms: tuple[tuple[str, str], ...]
    mtu: int | None
    prefix6: str | None
    warnings: tuple[str, ...]


def of(nic: Nic) -> Told:
    """What the tags say. The instance's go before the network's; those that make no sense are warned of."""
    warnings: list[str] = []
    values = _read(nic.network.tags if nic.network else (), warnings)
    values.update(_read(nic.tags, warnings))
    mtu = values.pop(MTU, "")
    if mtu and not mtu.isdecimal():
        warnings.append(f"tag {tags.TERM}{MTU}:{mtu} is passed over: not a number")
        mtu = ""
    return Told(
        terms=tuple((key, values[key]) for key in binding.TERMS if values.get(key)),
        mtu=int(mtu) if mtu else None,
        prefix6=_prefix(values.get(PREFIX6, ""), warnings),
        warnings=tuple(warnings),
    )


def _read(of_one: Iterable[str], warnings: list[str]) -> dict[str, str]:
    """Keys and values of one object's tags; more than one value make a list."""
    found: dict[str, list[str]] = {}
    for tag in of_one:
        if tag.startswith(tags.TERM):
            try:
                key, value = tags.term(tag)
                if key not in _KEYS:
                    raise ValueError("no such key")
                if key in found and key not in binding.LISTS:
                    raise ValueError(f"{key} is set by another tag already")
            except ValueError as err:
                warnings.append(f"tag {tag} is passed over: {err}")
            else:
                found.setdefault(key, []).append(value)
    return {key: " ".join(values) for key, values in found.items()}


def _prefix(text: str, warnings: list[str]) -> str | None:
    if not text:
        return None
    try:
        prefix = ipaddress.IPv6Network(text)
        if any(prefix.overlaps(never) for never in NEVER):
            raise ValueError("no prefix for a guest")
    except ValueError as err:
        warnings.append(f"tag {tags.TERM}{PREFIX6}:{text} allows no source address: {err}")
        return None
    return str(prefix)
