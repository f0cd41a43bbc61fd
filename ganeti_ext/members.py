"""Members of tenants' groups that rules name: eventd on the master tells all nodes their addresses, by a hook.

    KEY ADDRESS...     one line a group; KEY as its tags have it (groups.py), addresses of both families

In the environment, as no variable may be longer than 128 KiB (execve(2)):

    GANETI_EXT_MEMBERS_TIME     when Ganeti was asked, SECONDS.NANOSECONDS by the master's clock
    GANETI_EXT_MEMBERS          how many parts there are
    GANETI_EXT_MEMBERS_N        part N, from 0
"""

from __future__ import annotations

from ipaddress import ip_address

from ganeti_ext.env import need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

PATH = "group-members"
"""The directory of hooks that is run."""
NAME = "GANETI_EXT_MEMBERS"
TIME = f"{NAME}_TIME"
# Addresses of one group, and of all.
MOST, MOST_OF_ALL = 4096, 16384
_PART = 100_000  # octets
_HEX = frozenset("0123456789abcdef")


def bounded(found: Mapping[str, Iterable[str]]) -> tuple[dict[str, list[str]], list[str]]:
    """What nodes are told of these, and the keys of groups that have more members than that."""
    kept: dict[str, list[str]] = {}
    less, room = [], MOST_OF_ALL
    for key, addresses in sorted(found.items()):
        ordered = sorted(set(addresses))
        kept[key] = ordered[: min(MOST, room)]
        room -= len(kept[key])
        less += [key] if len(kept[key]) < len(ordered) else []
    return kept, less


def render(found: Mapping[str, Collection[str]]) -> str:
    """The text; a group without members has no line."""
    return "".join(f"{key} {' '.join(addresses)}\n" for key, addresses in sorted(found.items()) if addresses)


def parse(text: str) -> dict[str, tuple[str, ...]]:
    """What `render` was given; ValueError for what it cannot have said."""
    found = {}
    for line in text.splitlines():
        key, *addresses = line.split(" ")
        if len(key) != 8 or not _HEX.issuperset(key):
            raise ValueError(f"{key!r:.80} is no group's key")
        found[key] = tuple(str(ip_address(address)) for address in addresses)
    return found


def variables(text: str, told: str) -> dict[str, str]:
    """The environment that carries a text."""
    parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
    return {TIME: told, NAME: str(len(parts)), **{f"{NAME}_{number}": part for number, part in enumerate(parts)}}


def of_environment(env: Mapping[str, str]) -> str:
    """The text that an environment carries; ContractError where a part is not there."""
    count = need(env, NAME, int)
    return "".join(need(env, f"{NAME}_{number}", str) for number in range(count))
