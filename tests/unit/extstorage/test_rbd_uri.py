"""How QEMU is told of an RBD image, by each release of Ganeti."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from extstorage import rbd_uri
from extstorage.rbd_settings import Settings
from ganeti_ext.errors import ConfigError, ContractError

GANETI = "0f9e0aa4-3a8c-4b4b-9d0e-7d3f0b2f9c11.ext.disk0"
# hypervisor/hv_kvm/kvm_utils.py of Ganeti 3.1, _BLOCKDEV_URI_REGEX_RBD.
ACCEPTED = re.compile(r"^rbd:(?P<pool>\w+)/(?P<image>[a-z0-9-\.]+)$")
OWN = f"rbd:vms/{GANETI}:id=ganeti:conf=/etc/ceph/ceph.conf"


def settings(folder: Path, release: str, **more: Any) -> Settings:
    if release:
        (folder / "ssconf_release_version").write_text(f"{release}\n")
    return Settings(data_directory=str(folder))._replace(**more)


@pytest.mark.parametrize("release", ["", "3.0.2", "3.1.0~rc2", "3.2.0~alpha", "4.0"])
def test_the_administrator_s_client_needs_no_options(tmp_path: Path, release: str) -> None:
    found = rbd_uri.uri(settings(tmp_path, release, pool="vm_s1"), GANETI)
    assert found == f"rbd:vm_s1/{GANETI}"
    assert ACCEPTED.match(found)


@pytest.mark.parametrize("release", ["", "2.16.2", "3.0.2", "rubbish"])
def test_options_are_for_releases_that_take_them(tmp_path: Path, release: str) -> None:
    own = settings(tmp_path, release, pool="vms", user="ganeti")
    assert rbd_uri.uri(own, GANETI) == OWN
    assert rbd_uri.obstacle(own) == ""


@pytest.mark.parametrize("release", ["3.1.0", "3.1", "3.2~rc1", "3.10.1", "4.0.0"])
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"user": "ganeti"}, "as client.admin by /etc/ceph/ceph.conf alone, not as client.ganeti by /etc/ceph/ceph"),
        ({"conf": "/etc/ceph/two.conf"}, "not as client.admin by /etc/ceph/two.conf"),
        ({"pool": "my-vms"}, "takes no pool's name with . - or [+], found 'my-vms'"),
    ],
)
def test_what_a_release_would_open_elsewhere_is_refused(
    tmp_path: Path, release: str, more: dict[str, str], told: str
) -> None:
    strange = settings(tmp_path, release, **more)
    with pytest.raises(ConfigError, match=told):
        rbd_uri.uri(strange, GANETI)
    assert rbd_uri.obstacle(strange).endswith(("access=kernelspace", "access=kernelspace for these disks"))


@pytest.mark.parametrize("name", ["Web", "a_b", "a+b"])
def test_names_that_a_release_does_not_know_are_refused(tmp_path: Path, name: str) -> None:
    assert not ACCEPTED.match(f"rbd:rbd/{name}")
    with pytest.raises(ContractError, match="opens no RBD image by a name with capitals"):
        rbd_uri.uri(settings(tmp_path, "3.1.0"), name)
    assert rbd_uri.uri(settings(tmp_path, "3.0.2"), name) == f"rbd:rbd/{name}"
