"""Text for a terminal."""

from __future__ import annotations

from ganeti_ext import plaintext


def test_names_are_sorted_by_their_numbers() -> None:
    assert sorted(["tap10", "tap9", "br2", "tap"], key=plaintext.natural) == ["br2", "tap", "tap9", "tap10"]


def test_what_a_terminal_would_act_on_is_shown() -> None:
    assert plaintext.clean("a\x1b[31m\nb\u202eé") == "a\\x1b[31m\\nb\\u202eé"


def test_columns_are_as_wide_as_their_cells() -> None:
    rows: list[list[object]] = [["A", "LONG"], ["first", None], [7, "x\n"]]
    assert list(plaintext.columns(rows)) == ["A      LONG", "first  -", "7      x\\n"]
    assert list(plaintext.columns([])) == []
