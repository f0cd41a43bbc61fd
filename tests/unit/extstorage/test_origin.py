"""What a new volume may be a clone of."""

from __future__ import annotations

import pytest

from extstorage.origin import parse
from ganeti_ext.errors import ContractError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("debian-13", ("", "debian-13")),
        ("image:debian-13", ("image", "debian-13")),
        ("volume:0f9e.ext.disk0", ("volume", "0f9e.ext.disk0")),
        ("snapshot:s:1", ("snapshot", "s:1")),
        ("distro:debian", ("", "distro:debian")),
        (":x", ("", ":x")),
        ("IMAGE:x", ("", "IMAGE:x")),
    ],
)
def test_a_prefix_says_the_kind(text: str, found: tuple[str, str]) -> None:
    assert parse(text) == found
    assert str(parse(text)) == text


@pytest.mark.parametrize("kind", ["image", "volume", "snapshot"])
def test_a_prefix_alone_is_refused(kind: str) -> None:
    with pytest.raises(ContractError, match=f"origin '{kind}:' names no {kind}"):
        parse(f"{kind}:")
