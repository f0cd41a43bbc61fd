"""A create as one call of Ganeti's remote API."""

from __future__ import annotations

import pytest

from frontend.effect import translate, translate_create
from frontend.effect.translate import Size
from frontend.effect.translate_create import Disk, Place, Wish, check_image, nic, size
from frontend.web.fault import BadRequest
from ganeti_ext import tags

NET = Wish("net-uuid", "10.0.0.0/24", None)
FACTS = {"project": "p", "user": "u", "name": "Wéb 1", "flavor": "f", "image": "i", "key": "k"}
BODY = {
    "__version__": 1,
    "mode": "create",
    "instance_name": "gx-1",
    "os_type": "ganeti-ext+default",
    "disk_template": "ext",
    "disks": [{"size": 5120, "name": "gx-1-root", "provider": "cow", "origin": "img"}],
    "nics": [{"network": "net-uuid", "ip": "pool"}],
    "beparams": {"vcpus": 2, "minmem": 512, "maxmem": 512},
    "tags": [*tags.encode(FACTS), *tags.encode_metadata({"a": "b"})],
    "ip_check": False,
    "name_check": False,
    "wait_for_sync": False,
    "opportunistic_locking": True,
}


IMAGE, ANYWHERE = Disk("cow", "img"), Place()


def create(disk: Disk = IMAGE, place: Place = ANYWHERE, told: str = "") -> translate.Call:
    return translate_create.create("gx-1", Size(2, 512, 5120), disk, [NET], FACTS, {"a": "b"}, place, told)


def test_create_is_one_call_with_all_that_the_instance_is() -> None:
    assert create() == ("POST", "instances", BODY, None)
    again = translate.create_again(BODY)
    assert again == ("POST", "instances", {**BODY, "opportunistic_locking": False}, None)


def test_a_seed_is_a_secret_and_a_disk_that_the_guest_cannot_write() -> None:
    body = create(told="the-seed").body or {}
    seed = {"size": 4, "name": "gx-1-seed", "provider": "cow"}
    assert body == {**BODY, "disks": [*BODY["disks"], seed], "osparams_secret": {"seed": "the-seed"}}  # type: ignore[misc]


def test_disks_of_a_pool_stay_together() -> None:
    body = create(Disk("rbd", "volume:x", "ssd"), told="s").body or {}
    assert [(disk["provider"], disk["pool"], disk.get("origin")) for disk in body["disks"]] == [
        ("rbd", "ssd", "volume:x"),
        ("rbd", "ssd", None),
    ]


def test_an_agent_in_the_guest_has_a_port() -> None:
    assert create(Disk("cow", "img", has_agent=True)).body == {**BODY, "hvparams": {"use_guest_agent": True}}


def test_place() -> None:
    assert create(place=Place(zone="az1")).body == {**BODY, "group_name": "az1"}
    named = {key: value for key, value in BODY.items() if key != "opportunistic_locking"}
    # Ganeti takes opportunistic locking with an allocator alone.
    assert create(place=Place(zone="az1", node="node3")).body == {**named, "pnode": "node3"}


@pytest.mark.parametrize(
    ("wish", "asked"),
    [
        (Wish("n", "10.0.0.0/24", None), {"network": "n", "ip": "pool"}),
        (Wish("n", "10.0.0.0/24", "10.0.0.77"), {"network": "n", "ip": "10.0.0.77"}),
        (Wish("n", None, None), {"network": "n"}),
        (
            Wish("n", "10.0.0.0/24", "10.0.0.254", "p", "aa:00:00:09"),
            {"network": "n", "ip": "10.0.0.254", "mac": "aa:00:00:09", "name": "port-p"},
        ),
        (
            Wish("n", None, None, "p", "aa:00:00:09"),
            {"network": "n", "mac": "aa:00:00:09", "name": "port-p"},
        ),
    ],
)
def test_nic(wish: Wish, asked: dict[str, str]) -> None:
    assert nic(wish) == asked


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("10.0.1.1", "10.0.1.1 is not in network n"),
        ("fd00::1", "fd00::1: an IPv6 address follows from"),
        ("ten", "'ten' is no IP address"),
        ("10.0.0.1/24", "is no IP address"),
    ],
)
def test_fixed_ip_that_the_network_cannot_give(address: str, words: str) -> None:
    with pytest.raises(BadRequest, match=f"fixed_ip: .*{words}"):
        nic(Wish("n", "10.0.0.0/24", address))


@pytest.mark.parametrize(
    ("disk", "image_size", "mib"),
    [(5, 1, 5120), (0, 1, 1), (0, (1 << 20) + 1, 2), (0, 2 << 30, 2048)],
)
def test_disk_of_a_flavor(disk: int, image_size: int, mib: int) -> None:
    assert size(1, 512, disk, image_size) == Size(1, 512, mib)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Size(1, 255, 5120), "255 MiB of memory"),
        (Size(1, 256, 3071), "disk of 3071 MiB"),
    ],
)
def test_flavor_smaller_than_the_image_needs(wanted: Size, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        check_image(wanted, {"id": "i", "min_ram": 256, "min_disk": 3, "size": 1})


def test_disk_smaller_than_the_image_itself() -> None:
    image = {"id": "i", "min_ram": 0, "min_disk": 0, "size": (1 << 30) + 1}
    with pytest.raises(BadRequest, match="needs 1025 MiB"):
        check_image(Size(1, 1, 1024), image)
    check_image(Size(1, 1, 1025), image)
