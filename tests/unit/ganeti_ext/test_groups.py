"""Security groups as tags of the cluster."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext import groups
from ganeti_ext.groups import Group, Rule, Said

IDENT = "4f1a2b3c-1111-4222-8333-444455556666"
GROUP = Group(IDENT, "physics", "web", "", 1_700_000_000, 1_700_000_060, ())
SSH = Rule("ingress", 4, "tcp", 22, 22, "192.0.2.0/24", None, GROUP.created + 31, "us")
TAG = re.compile(r"[A-Za-z0-9_.+*/:@-]{1,128}")

_ports = st.none() | st.integers(0, 65535)
_rules = st.builds(
    Rule,
    direction=st.sampled_from(("ingress", "egress")),
    family=st.sampled_from((4, 6)),
    protocol=st.none() | st.sampled_from(("tcp", "6", "ipv6-icmp", "255")),
    first=_ports,
    last=_ports,
    remote=st.none() | st.sampled_from(("10.0.0.1", "10.2.3.4/24", "2001:DB8::/32", "::/0")),
    group=st.none(),
    created=st.integers(GROUP.created, 1 << 33),
    description=st.text(max_size=40),
)
_remote = _rules.map(lambda rule: rule._replace(remote=None, group=IDENT))
_groups = st.builds(
    Group,
    ident=st.uuids().map(str),
    project=st.text(min_size=1, max_size=36),
    name=st.text(min_size=1, max_size=255),
    description=st.text(max_size=255),
    created=st.just(GROUP.created),
    updated=st.integers(0, 1 << 33),
    rules=st.lists(_rules | _remote, max_size=6).map(tuple),
)


@given(_groups, st.integers(0, 999_999_999), st.randoms())
def test_what_is_written_is_read(group: Group, version: int, chance: st.DrawFn) -> None:
    tags = groups.encode(group, version)
    assert all(TAG.fullmatch(tag) for tag in tags)
    assert groups.size(tags) <= groups.MOST_TAGS * 129
    chance.shuffle(tags)  # type: ignore[attr-defined]
    assert groups.read(["foreign", *tags]) == {group.key: Said(version, group, None)}


def test_how_it_looks() -> None:
    assert groups.encode(GROUP._replace(rules=(SSH._replace(remote="::/0"),)), 7) == [
        "ganeti-ext:sg.4f1a2b3c.7.0-1:111142228333444455556666+physics+web++6553f100+6553f13c+i4tcp:22-22@::/0+1f+us"
    ]


def test_the_highest_version_that_is_whole_holds() -> None:
    long = GROUP._replace(description="x" * 200)
    old, new = groups.encode(GROUP, 9), groups.encode(long, 10)
    assert len(new) > 1
    for part in itertools.chain.from_iterable(itertools.combinations(new, count) for count in range(len(new))):
        assert groups.read([*part, *old]) == {GROUP.key: Said(9, GROUP, None)}
    assert groups.read([*new, *old]) == {GROUP.key: Said(10, long, None)}
    assert groups.read(new[1:])[GROUP.key] == Said(10, None, "version 10 lacks a part")


def test_one_that_is_gone() -> None:
    tags = [*groups.encode(GROUP, 3), groups.gone(GROUP.key, 4)]
    assert groups.read(tags) == {GROUP.key: Said(4, None, None)}
    assert groups.versions(tags, GROUP.key) == {3: tags[:1], 4: tags[1:]}
    assert groups.versions(tags, "00000000") == {}


def test_only_what_is_asked_for_is_read() -> None:
    other = GROUP._replace(ident="00000000" + IDENT[8:])
    tags = groups.encode(GROUP, 1) + groups.encode(other, 1)
    assert set(groups.read(tags, [other.key])) == {other.key}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "+++++",
        "111142228333444455556666+physics+web++6553f100",
        "111142228333444455556666+physics+web++6553f100+nonsense",
        "111142228333444455556666+physics+*XX++6553f100+6553f13c",
        "111142228333444455556666+physics+web++6553f100+6553f13c+i4tcp:22-22",
        "111142228333444455556666+physics+web++6553f100+6553f13c+i5tcp:22-22++",
        "111142228333444455556666+physics+web++6553f100+6553f13c+i4tcp:22++",
        "111142228333444455556666+physics+web++6553f100+6553f13c+i4tcp:22-22@x++",
        "11114222833344445555666+physics+web++6553f100+6553f13c",
    ],
)
def test_what_cannot_be_read_is_no_group(text: str) -> None:
    before = groups.encode(GROUP, 1)
    found = groups.read([*before, f"ganeti-ext:sg.4f1a2b3c.2.0-1:{text}"])[GROUP.key]
    assert (found.version, found.group) == (2, None)
    assert found.wrong


@given(st.text(max_size=150))
def test_foreign_tags_are_passed_over(text: str) -> None:
    for tag in (text, groups.HEAD + text, f"{groups.HEAD}4f1a2b3c.{text}"):
        groups.read([tag])
        groups.versions([tag], "4f1a2b3c")


def test_what_is_too_large() -> None:
    rules = tuple(SSH._replace(first=port, last=port, description="x" * 100) for port in range(1, 60))
    with pytest.raises(ValueError, match=r"it takes \d+ tags, and 48 are allowed"):
        groups.encode(GROUP._replace(rules=rules), 1)


def test_what_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="is no rule"):
        groups.encode(GROUP._replace(rules=(SSH._replace(remote="fe80::%eth0/64"),)), 1)
