"""Who may open a volume beside whom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extstorage.lock import EXCLUSIVE, SHARED, Held, Holder, closed, from_text, opened, others, to_text
from ganeti_ext.errors import ExtError

A, B, C = "a.example.org", "b.example.org", "c.example.org"
UNLOCK = "ganeti-ext-storage unlock v"


def holder(node: str, mode: str = EXCLUSIVE, boot: str = "boot1", since: str = "2026-01-01T00:00:00Z") -> Holder:
    return Holder(node, mode, boot, since)


def alive(_: str) -> str:
    return ""


def dead(node: str) -> str:
    return "Ganeti has it offline" if node == A else ""


def take(before: tuple[Holder, ...], mine: Holder, down: object = alive) -> tuple[Holder, ...]:
    return opened("v", before, mine, dead if down is dead else alive, UNLOCK).holders


def test_a_free_volume_is_taken_and_taking_it_again_changes_nothing() -> None:
    first = take((), holder(A))
    assert first == (holder(A),)
    assert take(first, holder(A, since="2026-01-02T00:00:00Z")) == first


@pytest.mark.parametrize(("theirs", "mine"), [(EXCLUSIVE, EXCLUSIVE), (EXCLUSIVE, SHARED), (SHARED, EXCLUSIVE)])
def test_only_shared_stands_beside_shared(theirs: str, mine: str) -> None:
    with pytest.raises(Held) as caught:
        take((holder(A, theirs),), holder(B, mine))
    told = str(caught.value)
    assert f"volume 'v' is open on {A} ({theirs}, since 2026-01-01T00:00:00Z)" in told
    assert UNLOCK in told
    assert take((holder(A, SHARED),), holder(B, SHARED)) == (holder(A, SHARED), holder(B, SHARED))


def test_a_migration_and_its_failure_as_ganeti_does_them() -> None:
    held = closed((holder(A),), B)  # close on the target
    held = take(held, holder(A, SHARED))
    held = take(held, holder(B, SHARED))
    failed = take(closed(held, B), holder(A))
    assert failed == (holder(A),)
    with pytest.raises(Held):  # the source still has it
        take(held, holder(B))
    assert take(closed(held, A), holder(B)) == (holder(B),)


def test_a_node_that_is_known_to_be_down_loses_its_part_and_nobody_else() -> None:
    change = opened("v", (holder(A),), holder(B), dead, UNLOCK)
    assert (change.holders, change.dropped) == ((holder(B),), (holder(A),))
    with pytest.raises(Held, match=f"open on {C}"):
        take((holder(A, SHARED), holder(C, SHARED)), holder(B), dead)
    # A part that does not stand in the way is left for `mend`.
    assert take((holder(A, SHARED),), holder(B, SHARED), dead) == (holder(A, SHARED), holder(B, SHARED))


def test_after_a_reboot_a_node_has_its_own_part_anew() -> None:
    assert take((holder(A),), holder(A, boot="boot2")) == (holder(A, boot="boot2"),)


def test_what_stands_against_a_removal() -> None:
    before = (holder(A), holder(B, SHARED), holder(C))
    assert others(before, C, dead) == (holder(B, SHARED),)
    assert others(before, B, alive) == (holder(A), holder(C))


words = st.text(st.characters(codec="ascii", exclude_categories=["Z", "C"]), min_size=1)
holders = st.lists(st.builds(Holder, words, st.sampled_from([EXCLUSIVE, SHARED]), words, words), max_size=4)


@given(holders)
def test_text_and_back(found: list[Holder]) -> None:
    text = to_text(found)
    assert from_text(text, "f") == tuple(found)
    for length in range(len(text)):
        with pytest.raises(ExtError, match="f should say who holds"):
            from_text(text[:length], "f")
