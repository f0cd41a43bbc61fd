from __future__ import annotations

import pytest

from nfdhcpd import names


def test_wire_form() -> None:
    assert names.encode("lab.example") == names.encode("lab.example.") == b"\3lab\7example\0"


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, "é.example", ".".join(["x" * 60] * 5)])
def test_bad_name(name: str) -> None:
    with pytest.raises(ValueError, match="bad domain name"):
        names.encode(name)
