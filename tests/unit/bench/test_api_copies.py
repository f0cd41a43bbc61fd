"""A Ganeti with many instances is made out of one with one."""

from __future__ import annotations

from typing import Any

import pytest

from bench.api import copies

FIRST = {
    "name": "guest-0.example.org",
    "uuid": "u-0",
    "disks": [],
    "nics": [{"uuid": "n-0", "mac": "aa:00:00:00:00:01"}],
}


def _config(**changes: Any) -> dict[str, Any]:
    return {"serial_no": 7, "instances": {"u-0": {**FIRST, **changes}}, "nodes": {"x": 1}}


def test_copies_share_nothing_that_has_to_be_theirs_alone() -> None:
    made = copies.many(_config(), 300)
    found = made["instances"]
    assert len(found) == 300 and all(each["uuid"] == key for key, each in found.items())
    assert found["u-0"] == FIRST
    assert {each["name"] for each in found.values()} == {f"guest-{number}.example.org" for number in range(300)}
    for what in ("uuid", "mac"):
        assert len({each["nics"][0][what] for each in found.values()}) == 300
    assert (made["serial_no"], made["nodes"]) == (8, {"x": 1})


def test_addresses_are_addresses() -> None:
    copied = copies.many(_config(), 300)["instances"].values()
    assert {len(each["nics"][0]["mac"].split(":")) for each in copied} == {6}
    assert "aa:01:00:00:01:2b" in {each["nics"][0]["mac"] for each in copied}


def test_disks_cannot_be_copied() -> None:
    with pytest.raises(ValueError, match=r"guest-0\.example\.org has disks"):
        copies.many(_config(disks=["d-0"]), 2)
    with pytest.raises(ValueError, match="0 instances"):
        copies.many({"serial_no": 1, "instances": {}}, 2)
