"""Which firewall profile a NIC gets, from tags.

    ganeti-ext:firewall.NIC:PROFILE     on the instance: that NIC; NIC is its index, name or UUID
    synnefo:network:NIC:PROFILE         the same, as the original had it
    ganeti-ext:firewall:PROFILE         on the instance: all its NICs; on the network: all NICs that are in it

The first of these levels that says anything decides. A NIC's name may be escaped (ganeti_ext/tags.py).

PROFILE may be several, joined by "+", whose rules add up; `@KEY` is a tenant's group (groups.py), and `default`, on an
instance, what would be chosen if it had no tag.
"""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext.errors import ContractError
from ganeti_ext.tags import unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ganeti_ext.nicenv import Nic

ALL = "ganeti-ext:firewall"
ONE = ("ganeti-ext:firewall.", "synnefo:network:")
# What stands between the names of several, and before the key of a tenant's group (ganeti_ext/groups.py).
JOINT, OWN = "+", "@"
DEFAULT = "default"
"""In a tag: the profile that would be chosen if the instance had no tag."""

_HEX = frozenset("0123456789abcdef")
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class Choice(namedtuple("Choice", "profile tag")):
    """The name of a profile, or of several (check_names), and the tag that decided; None: it is the default."""

    __slots__ = ()
    profile: str
    tag: str | None


def check_name(name: str) -> str:
    """The name of a profile or of a section; ValueError when it cannot be one."""
    if not 1 <= len(name) <= 24 or not _LETTERS.issuperset(name):
        raise ValueError("a name is 1 to 24 of a-z, 0-9 and '-'")
    return name


def check_names(text: str) -> str:
    """Names of profiles and of tenants' groups, joined by JOINT, each once and in order; ValueError as `check_name`."""
    names = sorted({name if is_group(name) else check_name(name) for name in text.split(JOINT)})
    return JOINT.join(names)


def is_group(name: str) -> bool:
    """Whether it is the name of a tenant's group, OWN and its key."""
    return name.startswith(OWN) and len(name) == 9 and _HEX.issuperset(name[1:])


def choose(nic: Nic, default: str) -> Choice:
    """The profile of a NIC; ContractError when tags of one level contradict each other, or name what cannot be one."""
    own = (tag for tag in nic.tags if tag.startswith(ONE) and _means(tag, nic))
    found = _decided(own) or _decided(_general(nic.tags))
    if found is None:
        return _of_network(nic, default)
    names = found.profile.split(JOINT)
    if DEFAULT not in names:
        return found
    rest = [name for name in names if name != DEFAULT]
    return found._replace(profile=check_names(JOINT.join([*rest, _of_network(nic, default).profile])))


def _of_network(nic: Nic, default: str) -> Choice:
    return _decided(_general(_network(nic))) or Choice(default, None)


def _network(nic: Nic) -> Iterable[str]:
    return nic.network.tags if nic.network else ()


def _general(tags: Iterable[str]) -> Iterable[str]:
    return (tag for tag in tags if tag == ALL or tag.startswith(f"{ALL}:"))


def _means(tag: str, nic: Nic) -> bool:
    """Whether the tag is about this NIC. What it says of another is not looked at: a slip there must stop that one."""
    head = next(head for head in ONE if tag.startswith(head))
    said = tag[len(head) :].rpartition(":")[0]
    try:
        plain = unescape(said)
    except ValueError:
        plain = said
    return not {said, plain}.isdisjoint((str(nic.index), nic.name, nic.uuid))


def _decided(tags: Iterable[str]) -> Choice | None:
    """What the tags of one level say; None when there are none."""
    decided = None
    for tag in sorted(tags):
        choice = Choice(_profile(tag), tag)
        if decided and decided.profile != choice.profile:
            raise ContractError(f"the tags {decided.tag} and {tag} contradict each other: remove one")
        decided = decided or choice
    return decided


def _profile(tag: str) -> str:
    name = "" if tag == ALL else tag.rpartition(":")[2]
    try:
        return check_names(name)
    except ValueError as err:
        raise ContractError(f"the tag {tag} names no firewall profile: {err}") from err
