from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from eventd.applied import changes
from eventd.jobs import Op, parse


def op(result: object, name: str = "OP_INSTANCE_SET_PARAMS", **fields: Any) -> Op:
    return Op(0, name, fields.pop("status", "success"), fields, result, None, None, None, None)


def test_a_recorded_modification(job_file: Callable[[str], bytes]) -> None:
    (modified,) = parse(job_file("modify-success")).ops
    assert changes(modified) == {
        "applied": {
            "disks": [{"index": 1, "action": "add", "size": 2048, "mode": "rw", "hotplug": True}],
            "nics": [
                {"index": 1, "action": "add", "mac": "aa:00:00:11:22:33", "ip": "10.20.0.6", "mode": "bridged",
                 "link": "br0", "network": "gx-net1", "hotplug": False},
                {"index": 0, "action": "remove", "hotplug": True},
            ],
        }
    }  # fmt: skip


def test_changes_of_one_device_are_one_change() -> None:
    lines = [["nic.ip/0", "10.0.0.7"], ["nic.network/0", None], ["nic.mode/0", "routed"], ["nic.odd/0", "x"],
             ["nic/0", "hotplug:done"], ["disk.name/2", "root"], ["disk.params:key/2", "S3cret"],
             ["disk.mode/2", "ro"]]  # fmt: skip
    assert changes(op(lines)) == {
        "applied": {
            "nics": [{"index": 0, "action": "modify", "ip": "10.0.0.7", "network": None, "mode": "routed",
                      "hotplug": True}],
            "disks": [{"index": 2, "action": "modify", "name": "root", "mode": "ro"}],
        }
    }  # fmt: skip


def test_after_a_removal_the_same_place_is_another_device() -> None:
    lines = [["nic.ip/1", "a"], ["nic/0", "remove"], ["nic.ip/1", "b"], ["nic.ip/0", "c"], ["nic/3", "detach"]]
    assert changes(op(lines))["applied"]["nics"] == [
        {"index": 1, "action": "modify", "ip": "a"},
        {"index": 0, "action": "remove"},
        {"index": 1, "action": "modify", "ip": "b"},
        {"index": 0, "action": "modify", "ip": "c"},
        {"index": 3, "action": "detach"},
    ]


def test_what_ganeti_chose_for_a_creation_is_not_in_the_job() -> None:
    made = op(
        ["node1"], "OP_INSTANCE_CREATE",
        nics=[{"ip": "pool", "mac": "auto", "network": "n", "password": "x"}, {"mac": "generate", "ip": None}, "odd"],
        disks=[{"size": 5, "name": "d", "origin": "i"}],
    )  # fmt: skip
    assert changes(made) == {
        "applied": {
            "nics": [{"index": 0, "action": "add", "network": "n"}, {"index": 1, "action": "add"}],
            "disks": [{"index": 0, "action": "add", "size": 5, "name": "d"}],
        }
    }


@pytest.mark.parametrize(
    "result", [None, "text", 5, {}, [5, ["a"], [1, 2], ["nic.x", "add:"], ["nic/-1", "remove"], ["be/maxmem", 5]]]
)
def test_an_odd_result_tells_of_nothing(result: object) -> None:
    assert changes(op(result)) == {"applied": {"nics": [], "disks": []}}


def test_what_did_not_happen_is_not_applied() -> None:
    lines = [["nic/0", "remove"]]
    assert changes(op(lines, status="error")) == changes(op(lines, status="running")) == {}
    assert changes(op(lines, dry_run=True)) == {}
    assert changes(op(lines, "OP_INSTANCE_STARTUP")) == {}


def test_no_value_but_those_of_the_lists(job_file: Callable[[str], bytes]) -> None:
    (modified,) = parse(job_file("modify-success")).ops
    assert "Passw0rd" not in json.dumps(changes(modified))
