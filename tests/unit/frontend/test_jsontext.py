"""What strangers' JSON may be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.web import jsontext
from frontend.web.jsontext import MAX_DEPTH, MAX_VALUES, parse

PLAIN = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
VALUES = st.recursive(PLAIN | TEXTS, lambda below: st.lists(below) | st.dictionaries(TEXTS, below), max_leaves=20)


@given(VALUES)
def test_what_is_within_the_limits_is_read_as_it_is(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_anything_else_is_a_value_error(data: bytes) -> None:
    try:
        found = parse(data)
    except ValueError:
        return
    assert found == json.loads(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper than 32"),
        ('{"a":' * 900 + "1" + "}" * 900, "nested deeper than 32"),
        ("[" * 100_000, "nested deeper than 32"),
        ("[" + "1," * MAX_VALUES + "1]", "more than 10000 values"),
        ("[[" + "{}," * MAX_VALUES + "1]]", "more than 10000 values"),
        ('{"a": 1234567890123456789}', "a number of more than 18 digits"),
        ("9" * 5000, "a number of more than 18 digits"),
        ("-" + "9" * 19, "a number of more than 18 digits"),
        ("1e999", "a number that is too large"),
        ("[NaN]", "not valid JSON: NaN"),
        ("-Infinity", "not valid JSON: -Infinity"),
        (r'["\u0000"]', "a string with a NUL"),
        (r'{"a\u0000": 1}', "a string with a NUL"),
        (r'["\ud83d"]', "half a surrogate pair"),
        (r'{"\ud83d": [1]}', "half a surrogate pair"),
        ("", "not valid JSON: Expecting value at line 1, column 1"),
        ('{"a": 1,}', "not valid JSON"),
    ],
)
def test_which_limit_is_broken_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(text.encode())


@pytest.mark.parametrize("data", [b"\xff{}", '{"a": 1}'.encode("utf-16"), b'{"a": "\xc3"}'])
def test_nothing_but_utf_8(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not UTF-8|not valid JSON"):
        parse(data)


def test_the_limits_themselves_are_allowed() -> None:
    deep = "[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1)
    assert parse(deep.encode()) == json.loads(deep)
    assert len(parse(("[" + "1," * (MAX_VALUES - 1) + "1]").encode())) == MAX_VALUES
    assert parse(b"999999999999999999") == 10**18 - 1
    assert parse(rb'["\ud83d\ude00"]') == ["\U0001f600"]
    assert jsontext.parse(b"1.5e300") == 1.5e300
