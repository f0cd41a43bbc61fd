"""What Ganeti calls tenants' networks."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.network import netname

IDENT = "0bbbbbbb-6666-4000-8000-000000000001"


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_every_name_is_one_of_ganetis_and_comes_back(name: str) -> None:
    known = netname.known_as(name, IDENT)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", known)
    assert netname.parts(known) == (name, IDENT)


@pytest.mark.parametrize(
    ("name", "known"),
    [("blue", "blue"), ("a.b", "a.b"), ("my net", "my..20net"), ("a..b", "a..2E..2Eb"), ("ä", "..C3..A4")],
)
def test_plain_names_stay_as_they_are(name: str, known: str) -> None:
    assert netname.known_as(name, IDENT) == f"{known}.{IDENT}"


def test_an_administrators_name_is_shown_as_it_is() -> None:
    assert netname.shown("net1") == "net1"
    assert netname.shown(f"a..FF.{IDENT}") == "a..FF"
