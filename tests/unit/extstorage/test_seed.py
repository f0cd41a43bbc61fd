"""The OS script `create`: what it writes to which disk, and how a change starts from what is there."""

from __future__ import annotations

import base64
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from extstorage import fat, seedtext
from extstorage import seed as script
from extstorage.seedtext import Nic
from ganeti_ext import seed
from ganeti_ext.errors import ContractError, ExtError

KEY = "12" * 32
SEED: dict[str, Any] = {
    "host": "web",
    "id": "0aaaaaaa-0000-4000-8000-000000000001",
    "key": KEY,
    "keys": ["ssh-ed25519 AAAA me"],
    "password": "first-password",
    "files": [["/etc/a 'b'", "aGVsbG8K"]],
    "user_data": "I2Nsb3VkLWNvbmZpZwp7fQo=",
}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(bytes(seed.SIZE << 20))
    return path


def env(disk: Path, **more: str) -> dict[str, str]:
    return {
        "INSTANCE_NAME": "gx-1",
        "DISK_COUNT": "2",
        "DISK_0_NAME": "gx-1-root",
        "DISK_0_PATH": "/nonexistent",
        "DISK_1_NAME": "gx-1-seed",
        "DISK_1_PATH": str(disk),
        "NIC_COUNT": "2",
        "NIC_0_MAC": "aa:00:00:00:00:01",
        "NIC_0_IP": "10.0.0.2",
        "NIC_1_MAC": "aa:00:00:00:00:02",
        **more,
    }


def test_it_writes_the_seed_to_the_disk_of_its_name(disk: Path) -> None:
    script.main("create", env(disk, OSP_SEED=seed.encode(SEED)))
    content = disk.read_bytes()
    assert len(content) == seed.SIZE << 20
    assert content[54:62] == b"FAT16   "
    assert b"first-password" in content
    assert b"I2Nsb3Vk" not in content  # user data are decoded
    assert b"#cloud-config\n{}\n" in content


def test_a_change_starts_from_what_is_there_and_leaves_nothing_of_it(disk: Path) -> None:
    script.main("create", env(disk, OSP_SEED=seed.encode({**SEED, "user_data": "Zm9v" * 5000})))
    before = disk.read_bytes()
    script.main("create", env(disk, OSP_UPDATE=seed.seal(KEY, {"password": "other", "user_data": ""})))
    after = disk.read_bytes()
    assert (b"first-password" in after, b"other" in after, b"foofoofoo" in after) == (False, True, False)
    assert b"ssh-ed25519 AAAA me" in after
    script.main("create", env(disk, OSP_SEED=seed.encode({**SEED, "user_data": "Zm9v" * 5000})))
    assert disk.read_bytes() == before


@pytest.mark.parametrize("spoilt", [range(3 << 20, (3 << 20) + 8), range((3 << 20) + 40, (3 << 20) + 41)])
def test_a_change_of_what_is_not_there_or_damaged_is_refused(disk: Path, spoilt: range) -> None:
    change = env(disk, OSP_UPDATE=seed.seal(KEY, {"password": "other"}))
    with pytest.raises(ExtError, match="the disk has none"):
        script.main("create", change)
    script.main("create", env(disk, OSP_SEED=seed.encode(SEED)))
    content = bytearray(disk.read_bytes())
    for place in spoilt:
        content[place] ^= 1
    disk.write_bytes(content)
    with pytest.raises(ExtError, match="the disk has none"):
        script.main("create", change)
    assert disk.read_bytes() == content


def test_a_change_for_another_server_is_refused(disk: Path) -> None:
    script.main("create", env(disk, OSP_SEED=seed.encode(SEED)))
    before = disk.read_bytes()
    with pytest.raises(ExtError, match=r"seed of gx-1 .* another key") as caught:
        script.main("create", env(disk, OSP_UPDATE=seed.seal("34" * 32, {"password": "other"})))
    assert "other," not in str(caught.value)
    assert disk.read_bytes() == before


def test_what_is_wrong_is_named_without_its_content(disk: Path) -> None:
    half = {key: SEED[key] for key in SEED if key != "host"}
    for text, words in ((seed.encode(half), "host missing"), ("not-a-seed", "no seed")):
        with pytest.raises(ExtError, match=words) as caught:
            script.main("create", env(disk, OSP_SEED=text))
        assert "first-password" not in str(caught.value)
        assert text not in str(caught.value)
    noise = base64.b64encode(random.Random(1).randbytes(200_000)).decode()
    with pytest.raises(ExtError, match="characters, at most"):
        script.main("create", env(disk, OSP_SEED=seed._text(seed._pack({**SEED, "user_data": noise}))))
    with pytest.raises(ValueError, match="3145728 bytes in 1 files have no room"):
        fat.image("CIDATA", {"x": bytes(3 << 20)})
    assert disk.read_bytes() == bytes(seed.SIZE << 20)


def test_without_a_disk_of_that_name_there_is_nowhere_to_write(disk: Path) -> None:
    with pytest.raises(ContractError, match="no disk has a name that ends in -seed"):
        script.main("create", env(disk, OSP_SEED=seed.encode(SEED), DISK_1_NAME="gx-1-data"))
    assert disk.read_bytes() == bytes(seed.SIZE << 20)


def test_too_small_a_disk(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(bytes(3 << 20))
    with pytest.raises(ExtError, match="3145728 bytes, which are too few"):
        script.main("create", env(small, OSP_SEED=seed.encode(SEED)))


def test_nothing_to_do(disk: Path) -> None:
    script.main("create", env(disk))
    assert disk.read_bytes() == bytes(seed.SIZE << 20)


def test_nics() -> None:
    found = seedtext.network([Nic("m0", True), Nic("m1", False), Nic("m2", True)])
    assert found == {
        "version": 2,
        "ethernets": {
            "nic0": {"match": {"macaddress": "m0"}, "dhcp4": True, "accept-ra": True},
            "nic1": {"match": {"macaddress": "m1"}, "dhcp4": False, "accept-ra": True, "optional": True},
            "nic2": {
                "match": {"macaddress": "m2"},
                "dhcp4": True,
                "accept-ra": True,
                "dhcp4-overrides": {"route-metric": 300},
            },
        },
    }


def test_files_for_cloud_init() -> None:
    found = seedtext.files(SEED, [Nic("m0", True)])
    assert json.loads(found["meta-data"]) == {
        "instance-id": SEED["id"],
        "local-hostname": "web",
        "public-keys": SEED["keys"],
    }
    assert found["user-data"] == b"#cloud-config\n{}\n"
    head, _, parts = found["vendor-data"].partition(b"\n")
    assert head == b"#cloud-config-archive"
    config, hook = json.loads(parts)
    assert json.loads(config["content"].removeprefix("#cloud-config\n")) == {
        "password": "first-password",
        "chpasswd": {"expire": False},
    }
    assert hook["type"] == "text/cloud-boothook"
    assert seedtext.files({**SEED, "password": "", "files": []}, [])["vendor-data"] == b""


def test_json_that_is_yaml() -> None:
    """What YAML takes as it is (YAML 1.1, 5.1) stands as it is: to it, a pair of numbers is no character."""
    text = "é 😀 \x7f \x85 \u2028 \ufeff \\ud83d \" '"
    shown = seedtext.files({**SEED, "host": text}, [])["meta-data"].decode()
    assert json.loads(shown)["local-hostname"] == text
    assert re.search("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\U00010000-\U0010ffff]", shown) is None
    assert "😀" in shown
