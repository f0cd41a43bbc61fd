"""The seed on its way: encoded for a script's environment, or sealed for one server's disk."""

from __future__ import annotations

import base64
import os
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext import seed

KEY, OTHER = "ab" * 32, "cd" * 32
SEED: dict[str, Any] = {
    "host": "web",
    "id": "1",
    "key": KEY,
    "keys": ["ssh-ed25519 AAAA me"],
    "password": "pä ss",
    "files": [["/etc/motd", "aGk="]],
    "user_data": "",
}


def test_it_comes_out_as_it_went_in() -> None:
    text = seed.encode(SEED)
    assert seed.decode(text) == SEED
    assert text.isascii()
    assert text.isprintable()


def test_the_largest_that_a_tenant_may_send_fits_into_one_variable() -> None:
    def noise(size: int) -> str:
        return base64.b64encode(os.urandom(size)).decode()

    largest = {**SEED, "user_data": noise(49_149), "files": [[f"/{i}", noise(10_240)] for i in range(5)]}
    assert len(largest["user_data"]) <= 65_535
    assert seed.decode(seed.encode(largest)) == largest
    with pytest.raises(ValueError, match="characters, at most"):
        seed.encode({**largest, "password": noise(10_000)})


@pytest.mark.parametrize("text", ["", "x", "\u00e9", "a b", seed.encode(SEED)[:-5], seed.encode(SEED)[5:]])
def test_what_is_no_seed(text: str) -> None:
    with pytest.raises(ValueError, match="no seed"):
        seed.decode(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": 1},
        {"shell": "x"},
        {"keys": "k"},
        {"keys": [1]},
        {"files": [1]},
        {"files": [["/x"]]},
        {"files": [["/x", 1]]},
    ],
)
def test_fields_of_another_kind_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"no seed: '{next(iter(wrong))}'"):
        seed.decode(seed.encode({**SEED, **wrong}))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (zlib.compress(b'{"password": "' + b"x" * (4 << 20) + b'"}'), "not JSON"),
        (zlib.compress(b"{}" + b" " * (2 << 20)), "too long"),
        (zlib.compress(b"[" * 300_000), "no seed"),
        (zlib.compress(b'{"password": "hush'), "not JSON"),
        (zlib.compress(b"{}")[:-2], "was cut"),
        (zlib.compress(b"[]"), "no object"),
    ],
)
def test_what_a_guest_may_have_written_is_refused_without_a_word_of_it(raw: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        seed.decode(base64.b85encode(raw).decode())
    assert "hush" not in str(caught.value)


@given(st.fixed_dictionaries({}, optional={"password": st.text(), "host": st.text(), "user_data": st.text()}))
def test_who_has_the_key_reads_what_was_sealed(changes: dict[str, str]) -> None:
    assert seed.unseal(KEY, seed.seal(KEY, changes)) == changes


def test_sealed_means_sealed() -> None:
    one, two = (seed.seal(KEY, {"password": "a very long password " * 5}) for _ in range(2))
    assert one != two
    for text in (one, seed.seal(KEY, {})):
        with pytest.raises(ValueError, match="another key"):
            seed.unseal(OTHER, text)
    raw = base64.b85decode(one)
    assert b"password" not in raw
    for place in range(0, len(raw), 7):
        bent = bytes(octet ^ (index == place) for index, octet in enumerate(raw))
        with pytest.raises(ValueError, match="damaged"):
            seed.unseal(KEY, base64.b85encode(bent).decode())
    with pytest.raises(ValueError, match="damaged"):
        seed.unseal(KEY, "")
