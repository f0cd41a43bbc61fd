"""The regular expressions of list filters against Python's own, and their cost."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.web.pattern import Pattern

atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "\\-", "-", "\\d", "1"])
expressions = st.builds(
    lambda start, steps, end: start + "".join(steps) + end,
    st.sampled_from(["", "^"]),
    st.lists(st.builds(str.__add__, atoms, st.sampled_from(["", "*", "+", "?"])), max_size=6),
    st.sampled_from(["", "$"]),
)


@given(expressions, st.text("abA1-", max_size=12))
def test_matches_what_re_matches(expression: str, text: str) -> None:
    assert Pattern(expression).search(text) == bool(re.search(expression, text, re.IGNORECASE))


@pytest.mark.parametrize("expression", ["(a)", "a|b", "a{2}", "*", "a**", "[a", "a\\", "\\b", "(?=a)", "a^b", "\\1"])
def test_what_is_not_understood_is_said(expression: str) -> None:
    with pytest.raises(ValueError, match=r"not understood|bad|unterminated"):
        Pattern(expression)


def test_no_expression_takes_long() -> None:
    before = time.process_time()
    assert not Pattern("a*" * 100 + "b").search("a" * 255)
    assert not Pattern(".*" * 60 + "x$").search("y" * 255)
    assert time.process_time() - before < 2
