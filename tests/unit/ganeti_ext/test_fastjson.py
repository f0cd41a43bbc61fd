"""JSON with orjson and without: the same, also where orjson refuses."""

from __future__ import annotations

import importlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext.fastjson import FastJson

_WHOLE = st.integers(-(2**63), 2**64 - 1)
_NUMBERS = st.one_of(st.booleans(), _WHOLE, st.floats(allow_nan=False, allow_infinity=False))
_ANY = st.recursive(
    st.one_of(st.none(), _NUMBERS, st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
)


@pytest.fixture(params=["orjson", None])
def fastjson(request: pytest.FixtureRequest) -> FastJson:
    return FastJson(request.param and importlib.import_module(request.param))


@pytest.mark.parametrize("alone", [True, False])
def test_what_goes_in_comes_out(alone: bool, fastjson: FastJson) -> None:
    @given(_ANY)
    def same(value: object) -> None:
        text = fastjson.dumps(value)
        assert (json if alone else fastjson).loads(text) == value
        assert fastjson.loads(text.encode("utf-8", "surrogatepass")) == value
        assert "\n" not in text

    same()


def test_keys_are_in_their_order_without_spaces(fastjson: FastJson) -> None:
    assert fastjson.dumps({"b": [1, 2], "a": {"d": None, "c": "x y"}}) == '{"a":{"c":"x y","d":null},"b":[1,2]}'


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, 2**64, [-(2**63) - 1], (1, "two")])
def test_what_orjson_does_not_write_is_written(value: object, fastjson: FastJson) -> None:
    found = json.loads(fastjson.dumps(value))
    assert found == (list(value) if isinstance(value, tuple) else value)


def test_what_orjson_does_not_read_is_read(fastjson: FastJson) -> None:
    assert fastjson.loads('["\\ud800"]') == ["\ud800"]
    assert math.isnan(fastjson.loads("[NaN]")[0])
    deep = "[" * 1500 + "]" * 1500
    try:
        expected = json.loads(deep)
    except RecursionError:
        with pytest.raises(RecursionError):
            fastjson.loads(deep)
    else:
        assert fastjson.loads(deep) == expected


@pytest.mark.parametrize("text", ["", "{", '{"a":1}x', b"\xff", "nope"])
def test_what_is_no_json(text: str | bytes, fastjson: FastJson) -> None:
    with pytest.raises(ValueError):
        fastjson.loads(text)


def test_what_json_has_no_words_for(fastjson: FastJson) -> None:
    with pytest.raises(TypeError):
        fastjson.dumps({"a": object()})
