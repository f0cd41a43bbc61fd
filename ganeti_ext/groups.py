"""Security groups that tenants make, as tags of the cluster: the front writes them, each node reads them.

    ganeti-ext:sg.KEY.VERSION.PART-OF:TEXT     part PART (from 0) of OF of a group's text

KEY is the first 8 hexadecimal digits of the group's id. Each change says all of the group anew, under the next
VERSION and in one job; what was before it goes later. Of a group its highest version holds that is whole: so nobody
ever reads a half, whatever order jobs run in. The text of all parts:

    ID+PROJECT+NAME+DESCRIPTION+CREATED+UPDATED[+RULE+CREATED+DESCRIPTION]...

ID is what KEY lacks of the id; times are seconds since 1970, a rule's since the group's, all hexadecimal; names are
escaped (tags.py). A text without anything says that the group is gone. A RULE is

    i|e 4|6 [PROTOCOL] [:FIRST-LAST] [@NETWORK | @@GROUP]     such as i4tcp:80-443@192.0.2.0/24

`i`: what may come to a guest, `e`: what it may send; ports as in the neutron API, of ICMP type and code.

Ganeti itself takes these to every node: its file of the cluster's tags there, ssconf_cluster_tags, holds 128 KiB at
most, and with more no file at all would be brought up to date (ganeti/ssconf.py _MAX_SIZE): hence ROOM, which whoever
writes keeps to.
"""

from __future__ import annotations

import re
from collections import namedtuple

from ganeti_ext.tags import PREFIX, escape, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HEAD = f"{PREFIX}:sg."
# Octets that all tags of a cluster may take, those of administrators among them, and tags of one group.
ROOM = 120 * 1024
MOST_TAGS = 48
INGRESS, EGRESS = "ingress", "egress"
_MAX = 128
_RULE = re.compile(
    r"([ie])([46])([a-z0-9-]*)(?::([0-9]*)-([0-9]*))?(?:@([0-9A-Fa-f.:/]+)|@@([0-9A-Za-z_-]+))?", re.ASCII
)
_TAG = re.compile(r"([0-9a-f]{8})\.([0-9]{1,9})\.([0-9]{1,3})-([0-9]{1,3}):(.*)", re.ASCII)
_ID = re.compile(r"[0-9a-f]{32}")
_HEAD_FIELDS, _RULE_FIELDS = 6, 3


class Rule(
    namedtuple("Rule", "direction family protocol first last remote group created description", defaults=(0, ""))
):
    """`family` is 4 or 6; `protocol` as the tenant said it, and all that follows: None is any.

    `remote` is an address or a network, `group` the id of another group; `created` is in seconds since 1970.
    """

    __slots__ = ()
    direction: str
    family: int
    protocol: str | None
    first: int | None
    last: int | None
    remote: str | None
    group: str | None
    created: int
    description: str


class Group(namedtuple("Group", "ident project name description created updated rules")):
    """`ident` is its UUID; times are seconds since 1970."""

    __slots__ = ()
    ident: str
    project: str
    name: str
    description: str
    created: int
    updated: int
    rules: tuple[Rule, ...]

    @property
    def key(self) -> str:
        return key(self.ident)


class Said(namedtuple("Said", "version group wrong")):
    """What holds of a group: None where it is gone, or where what stands there cannot be read, which `wrong` tells."""

    __slots__ = ()
    version: int
    group: Group | None
    wrong: str | None


def key(ident: str) -> str:
    """By which tags know a group of this id."""
    return ident[:8]


def key_of(text: str) -> str:
    """The same of what a rule says; ValueError when that is no id."""
    if not _ID.fullmatch(text.replace("-", "")):
        raise ValueError(f"{text!r} is no id")
    return key(text)


def named(tags: Iterable[str]) -> frozenset[str]:
    """The keys of the groups whose members any rule lets come."""
    found = (said.group for said in read(tags).values())
    rules = (rule for group in found if group for rule in group.rules if rule.group and rule.direction == INGRESS)
    return frozenset(key(str(rule.group)) for rule in rules)


def encode(group: Group, version: int) -> list[str]:
    """The tags that say it; ValueError where it is too large, or is none. No rule is older than its group."""
    rules = (rule._replace(created=max(rule.created, group.created)) for rule in group.rules)
    group = group._replace(rules=tuple(rules))
    text = _text(group)
    if _parsed(group.key, text) != group:
        raise ValueError(f"security group {group.ident}: {text!r:.200} cannot be read again")
    # As many digits as a part may have, and it may be one of many.
    room = _MAX - len(f"{HEAD}{group.key}.{version}.{MOST_TAGS}-{MOST_TAGS}:")
    parts = [text[start : start + room] for start in range(0, len(text), room)]
    if len(parts) > MOST_TAGS:
        raise ValueError(f"it takes {len(parts)} tags, and {MOST_TAGS} are allowed")
    return [_tag(group.key, version, number, len(parts), part) for number, part in enumerate(parts)]


def gone(group_key: str, version: int) -> str:
    """The tag that says that a group is no more."""
    return _tag(group_key, version, 0, 1, "")


def versions(tags: Iterable[str], group_key: str) -> dict[int, list[str]]:
    """The tags of one group, by their version, whole or not."""
    found: dict[int, list[str]] = {}
    for tag in tags:
        parts = _split(tag)
        if parts is not None and parts[0] == group_key:
            found.setdefault(parts[1], []).append(tag)
    return found


def read(tags: Iterable[str], keys: Iterable[str] | None = None) -> dict[str, Said]:
    """What holds of groups, by their keys; with `keys`, of those alone. Foreign tags are passed over."""
    wanted = None if keys is None else frozenset(keys)
    parts: dict[str, dict[tuple[int, int], dict[int, str]]] = {}
    for tag in tags:
        found = _split(tag)
        if found is not None and (wanted is None or found[0] in wanted):
            group_key, version, number, count, text = found
            parts.setdefault(group_key, {}).setdefault((version, count), {})[number] = text
    return {group_key: _said(group_key, of) for group_key, of in parts.items()}


def size(tags: Iterable[str]) -> int:
    """Octets that these take in Ganeti's file."""
    return sum(len(tag) + 1 for tag in tags)


def _said(group_key: str, parts: Mapping[tuple[int, int], Mapping[int, str]]) -> Said:
    highest = max(version for version, _ in parts)
    whole = [each for each, texts in parts.items() if texts.keys() == set(range(each[1]))]
    if not whole:
        return Said(highest, None, f"version {highest} lacks a part")
    version, count = max(whole)
    text = "".join(parts[version, count][number] for number in range(count))
    if not text:
        return Said(version, None, None)
    try:
        return Said(version, _parsed(group_key, text), None)
    except ValueError as err:
        return Said(version, None, f"version {version}: {err}")


def _split(tag: str) -> tuple[str, int, int, int, str] | None:
    if not tag.startswith(HEAD):
        return None
    match = _TAG.fullmatch(tag, len(HEAD))
    if match is None:
        return None
    group_key, version, number, count, text = match.groups()
    return group_key, int(version), int(number), int(count), text


def _tag(group_key: str, version: int, number: int, count: int, text: str) -> str:
    return f"{HEAD}{group_key}.{version}.{number}-{count}:{text}"


def _text(group: Group) -> str:
    plain = group.ident.replace("-", "")
    fields = [plain[8:], escape(group.project), escape(group.name), escape(group.description)]
    fields += [f"{group.created:x}", f"{group.updated:x}"]
    for rule in group.rules:
        later = rule.created - group.created
        fields += [_rule_text(rule), f"{later:x}" if later else "", escape(rule.description)]
    return "+".join(fields)


def _rule_text(rule: Rule) -> str:
    text = f"{rule.direction[0]}{rule.family}{rule.protocol or ''}"
    if (rule.first, rule.last) != (None, None):
        first, last = ("" if port is None else port for port in (rule.first, rule.last))
        text += f":{first}-{last}"
    if rule.remote is not None:
        return f"{text}@{rule.remote}"
    return text if rule.group is None else f"{text}@@{rule.group}"


def _parsed(group_key: str, text: str) -> Group:
    fields = text.split("+")
    head, rest = fields[:_HEAD_FIELDS], fields[_HEAD_FIELDS:]
    if len(head) < _HEAD_FIELDS or len(rest) % _RULE_FIELDS:
        raise ValueError(f"{len(fields)} fields")
    plain = group_key + head[0]
    if not _ID.fullmatch(plain):
        raise ValueError(f"{plain!r} is no id")
    ident = "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
    project, name, description = (unescape(field) for field in head[1:4])
    created, updated = (int(field, 16) for field in head[4:])
    steps = range(0, len(rest), _RULE_FIELDS)
    rules = tuple(_rule(rest[start : start + _RULE_FIELDS], created) for start in steps)
    return Group(ident, project, name, description, created, updated, rules)


def _rule(fields: list[str], since: int) -> Rule:
    text, later, described = fields
    match = _RULE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no rule")
    direction, family, protocol, first, last, remote, group = match.groups()
    return Rule(
        direction=INGRESS if direction == "i" else EGRESS,
        family=int(family),
        protocol=protocol or None,
        first=int(first) if first else None,
        last=int(last) if last else None,
        remote=remote,
        group=group,
        created=since + (int(later, 16) if later else 0),
        description=unescape(described),
    )
