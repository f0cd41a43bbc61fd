from __future__ import annotations

import pytest

from frontend import translate
from frontend.fault import BadRequest
from frontend.translate import Size, Wish
from ganeti_ext import tags

NET = Wish("net-uuid", "10.0.0.0/24", None)
FACTS = {"project": "p", "user": "u", "name": "Wéb 1", "flavor": "f", "image": "i"}


def test_create_is_one_call_with_all_that_the_instance_is() -> None:
    call = translate.create("gx-1", Size(2, 512, 5120), "img", [NET], FACTS, "cow")
    assert (call.method, call.path, call.query) == ("POST", "instances", None)
    assert call.body == {
        "__version__": 1,
        "mode": "create",
        "instance_name": "gx-1",
        "os_type": "ganeti-ext+default",
        "disk_template": "ext",
        "disks": [{"size": 5120, "name": "gx-1-root", "provider": "cow", "origin": "img"}],
        "nics": [{"network": "net-uuid", "ip": "pool"}],
        "beparams": {"vcpus": 2, "minmem": 512, "maxmem": 512},
        "tags": tags.encode(FACTS),
        "ip_check": False,
        "name_check": False,
        "wait_for_sync": False,
        "opportunistic_locking": True,
    }
    again = translate.create_again(call.body)
    assert again == ("POST", "instances", {**call.body, "opportunistic_locking": False}, None)


def test_facts_come_back_from_the_tags() -> None:
    call = translate.create("gx-1", Size(2, 512, 5120), "img", [NET], FACTS, "cow")
    assert call.body is not None
    assert tags.decode(call.body["tags"]) == FACTS


@pytest.mark.parametrize(
    ("wish", "nic"),
    [
        (Wish("n", "10.0.0.0/24", None), {"network": "n", "ip": "pool"}),
        (Wish("n", "10.0.0.0/24", "10.0.0.77"), {"network": "n", "ip": "10.0.0.77"}),
        (Wish("n", None, None), {"network": "n"}),
    ],
)
def test_nic(wish: Wish, nic: dict[str, str]) -> None:
    body = translate.create("gx-1", Size(1, 1, 1), "img", [wish], FACTS, "cow").body
    assert body is not None
    assert body["nics"] == [nic]


@pytest.mark.parametrize("address", ["10.0.1.1", "fd00::1", "ten", "10.0.0.1/24"])
def test_fixed_ip_that_the_network_cannot_give(address: str) -> None:
    with pytest.raises(BadRequest, match=r"fixed_ip"):
        translate.create("gx-1", Size(1, 1, 1), "img", [Wish("n", "10.0.0.0/24", address)], FACTS, "cow")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (translate.start("gx-1"), ("PUT", "instances/gx-1/startup", None, None)),
        (translate.stop("gx-1", 90), ("PUT", "instances/gx-1/shutdown", {"timeout": 90}, None)),
        (
            translate.reboot("gx-1", "SOFT", 90),
            ("POST", "instances/gx-1/reboot", {"shutdown_timeout": 90}, {"type": "hard"}),
        ),
        (
            translate.reboot("gx-1", "HARD", 90),
            ("POST", "instances/gx-1/reboot", {"shutdown_timeout": 0}, {"type": "hard"}),
        ),
        (translate.delete("gx-1"), ("DELETE", "instances/gx-1", {"shutdown_timeout": 0}, None)),
        (
            translate.delete("gx-1", after=7),
            (
                "DELETE",
                "instances/gx-1",
                {"shutdown_timeout": 0, "depends": [[7, ["success", "error", "canceled"]]]},
                None,
            ),
        ),
    ],
)
def test_verbs(call: translate.Call, expected: tuple[object, ...]) -> None:
    assert tuple(call) == expected


@pytest.mark.parametrize(
    ("disk", "image_size", "mib"),
    [(5, 1, 5120), (0, 1, 1), (0, (1 << 20) + 1, 2), (0, 2 << 30, 2048)],
)
def test_disk_of_a_flavor(disk: int, image_size: int, mib: int) -> None:
    assert translate.size(1, 512, disk, image_size) == Size(1, 512, mib)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (Size(1, 255, 5120), "255 MiB of memory"),
        (Size(1, 256, 3071), "disk of 3071 MiB"),
    ],
)
def test_flavor_smaller_than_the_image_needs(size: Size, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        translate.check_image(size, {"id": "i", "min_ram": 256, "min_disk": 3, "size": 1})


def test_disk_smaller_than_the_image_itself() -> None:
    image = {"id": "i", "min_ram": 0, "min_disk": 0, "size": (1 << 30) + 1}
    with pytest.raises(BadRequest, match="needs 1025 MiB"):
        translate.check_image(Size(1, 1, 1024), image)
    translate.check_image(Size(1, 1, 1025), image)


@pytest.mark.parametrize(
    ("status", "task", "deleted", "shown", "vm_state", "power"),
    [
        ("BUILD", "spawning", None, "BUILD", "building", 0),
        ("ACTIVE", None, None, "ACTIVE", "active", 1),
        ("ACTIVE", "powering-off", None, "ACTIVE", "active", 1),
        ("ACTIVE", "rebooting", None, "REBOOT", "active", 1),
        ("SHUTOFF", None, None, "SHUTOFF", "stopped", 4),
        ("SHUTOFF", "rebooting", None, "SHUTOFF", "stopped", 4),
        ("ERROR", None, None, "ERROR", "error", 0),
        ("ACTIVE", None, 1.0, "DELETED", "deleted", 0),
    ],
)
def test_state_of_a_row(
    status: str, task: str | None, deleted: float | None, shown: str, vm_state: str, power: int
) -> None:
    row = {"status": status, "task": task, "deleted": deleted}
    assert (translate.status(row), translate.vm_state(row), translate.power_state(row)) == (shown, vm_state, power)


def test_addresses_by_network_with_both_versions() -> None:
    nics: list[dict[str, str | None]] = [
        {"network": "a", "ip": "10.0.0.2", "ip6": "fd00::2", "mac": "aa:00:00:00:00:01", "uuid": "1"},
        {"network": "b", "ip": None, "ip6": None, "mac": "aa:00:00:00:00:02", "uuid": "2"},
        {"network": None, "ip": "192.0.2.1", "ip6": None, "mac": "aa:00:00:00:00:03", "uuid": "3"},
    ]
    found = translate.addresses(nics)
    assert {name: [(each["version"], each["addr"]) for each in shown] for name, shown in found.items()} == {
        "a": [(4, "10.0.0.2"), (6, "fd00::2")],
        "b": [],
    }
    assert found["a"][0]["OS-EXT-IPS-MAC:mac_addr"] == "aa:00:00:00:00:01"
    assert found["a"][0]["OS-EXT-IPS:type"] == "fixed"
