"""Whether our rules of iptables stand as they were put, by what iptables-legacy-save says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kvm_ifup import profiles
from kvm_ifup.iptables_kept import Kept

JUMP = '-A FORWARD -m comment --comment "ganeti-ext: firewall profiles of guests" -j ganeti-ext'
RULES = (
    *("*filter", ":INPUT ACCEPT [5:300]", ":FORWARD DROP [7:420]"),
    *(":ganeti-ext - [0:0]", ":ganeti-ext-limited - [0:0]", ":theirs - [0:0]"),
    *(JUMP, "-A FORWARD -i eth7 -j theirs", "-A theirs -p tcp -j ACCEPT"),
    *("-A ganeti-ext -m mark --mark 0x10000/0xfff0000 -j ganeti-ext-limited", "-A ganeti-ext-limited -j DROP"),
    "COMMIT",
)
LIMITED, PROTECTED = profiles.load("limited"), profiles.load("protected")


class Tables:
    """What the two programs say."""

    def __init__(self) -> None:
        self.said = {"iptables-legacy-save": list(RULES), "ip6tables-legacy-save": list(RULES)}

    def run(self, argv: Sequence[str]) -> str:
        assert list(argv[1:]) == ["-t", "filter"]
        return "".join(f"{line}\n" for line in self.said[argv[0]])

    def change(self, old: str, *new: str) -> None:
        lines = self.said["ip6tables-legacy-save"]
        place = lines.index(old)
        lines[place : place + 1] = new


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def kept(tables: Tables, tmp_path: Path) -> Kept:
    return Kept(str(tmp_path / "run"), tables.run)


def test_nothing_stands_that_was_not_put(kept: Kept) -> None:
    assert not kept.stands({1: LIMITED})
    assert not kept.intact()
    kept.keep({1: LIMITED}, others=False)
    assert kept.stands({1: LIMITED})
    assert not kept.stands({1: LIMITED, 2: PROTECTED})
    assert not kept.stands({1: PROTECTED})
    assert not kept.stands({2: LIMITED})
    assert not kept.stands({1: LIMITED}, 0x00FF0000)


def test_others_stand_only_if_nobody_touched_them(kept: Kept) -> None:
    kept.keep({1: LIMITED}, others=False)
    kept.keep({2: PROTECTED}, others=True)
    assert kept.stands({1: LIMITED, 2: PROTECTED})
    kept.keep({2: PROTECTED}, others=False)
    assert (kept.stands({2: PROTECTED}), kept.stands({1: LIMITED})) == (True, False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (JUMP, ()),
        (JUMP, ("-A FORWARD -i eth8 -j ACCEPT", JUMP)),
        ("-A FORWARD -i eth7 -j theirs", (JUMP,)),
        ("-A ganeti-ext-limited -j DROP", ()),
        ("-A ganeti-ext-limited -j DROP", ("-A ganeti-ext-limited -j RETURN", "-A ganeti-ext-limited -j DROP")),
        (":ganeti-ext-limited - [0:0]", ()),
    ],
)
def test_a_change_of_ours_is_seen(kept: Kept, tables: Tables, old: str, new: tuple[str, ...]) -> None:
    kept.keep({1: LIMITED}, others=False)
    tables.change(old, *new)
    assert not kept.intact()
    assert not kept.stands({1: LIMITED})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-A FORWARD -i eth7 -j theirs", ()),
        ("-A theirs -p tcp -j ACCEPT", ("-A theirs -p udp -j ACCEPT",)),
        (":FORWARD DROP [7:420]", (":FORWARD ACCEPT [8:500]",)),
    ],
)
def test_a_change_of_others_is_none_of_ours(kept: Kept, tables: Tables, old: str, new: tuple[str, ...]) -> None:
    kept.keep({1: LIMITED}, others=False)
    tables.change(old, *new)
    assert kept.stands({1: LIMITED})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rules": []}'])
def test_a_damaged_file_is_none(kept: Kept, tmp_path: Path, text: str) -> None:
    kept.keep({1: LIMITED}, others=False)
    (tmp_path / "run" / "iptables").write_text(text)
    assert not kept.stands({1: LIMITED})
