"""Elements of sets and maps of nftables: all that differs from tap to tap.

Three tables called ganeti_ext hold them: `netdev` judges what taps say (ruleset.py), `bridge` what reaches them on a
bridge (reach.py), `inet` the firewall profiles (profile_nft.py).
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Element(namedtuple("Element", "family set text")):
    """`text` is a key, or `key : data` of a map."""

    __slots__ = ()
    family: str
    set: str
    text: str


# Elements that the taps of a network share: they stay when one goes.
_SHARED = frozenset(("zones",))


def of_tap(family: str, name: str, tap: str, value: str = "", data: str = "") -> Element:
    """An element whose key is the tap, alone or with a value behind it."""
    key = f'"{tap}" . {value}' if value else f'"{tap}"'
    return Element(family, name, f"{key} : {data}" if data else key)


def add(elements: Iterable[Element]) -> str:
    """The nft text that puts elements in, one a line."""
    return "".join(_line("add", element) for element in elements)


def delete(elements: Iterable[Element]) -> str:
    """The nft text that takes elements out, whether or not they are there.

    Deleting what is absent fails the transaction, hence each is added first (nft of Debian 12 has no `destroy`).
    """
    return "".join(
        _line("add", element) + _line("delete", element) for element in elements if element.set not in _SHARED
    )


def _line(verb: str, element: Element) -> str:
    return f"{verb} element {element.family} ganeti_ext {element.set} {{ {element.text} }}\n"
