"""The members of groups as named sets, to which the rules of profiles refer: those change, and no rule does.

Of nftables `members4_KEY` and `members6_KEY` in table inet ganeti_ext, of ipset(8) `ganeti-ext-members4-KEY` and 6. A
set that nobody has told of is empty: it lets nothing come.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FAMILIES = (4, 6)
_TABLE = "inet ganeti_ext"
_HEAD = "members"
LEGACY = f"ganeti-ext-{_HEAD}"
"""How those of ipset are called."""
_KINDS = {4: "ipv4_addr", 6: "ipv6_addr"}


def name(key: str, family: int) -> str:
    return f"{_HEAD}{family}_{key}"


def legacy(key: str, family: int) -> str:
    """That of ipset; a name has 31 characters at most."""
    return f"{LEGACY}{family}-{key}"


def is_one(set_name: str) -> bool:
    """Whether a set of nftables is one of these."""
    return set_name.startswith(tuple(f"{_HEAD}{family}_" for family in FAMILIES))


def of(key: str, family: int, known: Mapping[str, Iterable[str]]) -> list[str]:
    """The addresses of a group's members in one family."""
    return sorted(address for address in known.get(key, ()) if (":" in address) is (family == 6))


def text(keys: Iterable[str], known: Mapping[str, Iterable[str]]) -> str:
    """The nft text that makes the sets of these groups, whatever is there, and what they hold, at once."""
    return "".join(f"{line}\n" for line in (f"add table {_TABLE}", *_lines(keys, known)))


def removal(keys: Iterable[str]) -> str:
    """The nft text that takes the sets of groups away, whether or not they are there; fails while a rule has one."""
    lines = [f"add table {_TABLE}"]
    for key in sorted(keys):
        for family in FAMILIES:
            lines += [_declared(key, family), f"delete set {_TABLE} {name(key, family)}"]
    return "".join(f"{line}\n" for line in lines)


def _lines(keys: Iterable[str], known: Mapping[str, Iterable[str]]) -> Iterator[str]:
    for key in sorted(keys):
        for family in FAMILIES:
            yield _declared(key, family)
            yield f"flush set {_TABLE} {name(key, family)}"
            addresses = of(key, family, known)
            if addresses:
                yield f"add element {_TABLE} {name(key, family)} {{ {', '.join(addresses)} }}"


def _declared(key: str, family: int) -> str:
    return f"add set {_TABLE} {name(key, family)} {{ type {_KINDS[family]}; }}"
