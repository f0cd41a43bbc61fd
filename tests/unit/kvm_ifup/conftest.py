"""A NIC, the host's interfaces that it meets, and a directory of records."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext.nicenv import Network, Nic
from kvm_ifup.plan import Link
from kvm_ifup.state import Record, Records

MAC = "52:54:00:00:00:01"


@pytest.fixture
def network() -> Network:
    return Network(
        name="net1",
        uuid="n-1",
        subnet="10.0.0.0/24",
        gateway="10.0.0.1",
        subnet6="2001:db8::/64",
        gateway6="2001:db8::1",
        mac_prefix=None,
        tags=("nfdhcpd", "public"),
    )


@pytest.fixture
def nic(network: Network) -> Nic:
    return Nic(
        tap="tap0",
        index=0,
        uuid="nic-1",
        instance="gx-1.example.org",
        mac=MAC,
        ip="10.0.0.5",
        mode="bridged",
        link="br0",
        vlan=None,
        bridge="br0",
        tags=("ganeti-ext:name:Web*20Server",),
        network=network,
    )


@pytest.fixture
def tap() -> Link:
    return Link(name="tap0", ifindex=12, mac="9a:11:22:33:44:55", mtu=1500)


@pytest.fixture
def bridge() -> Link:
    return Link(name="br0", ifindex=3, mac="02:00:00:00:00:b0", mtu=1400)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(str(tmp_path / "run"))


@pytest.fixture
def bindings(tmp_path: Path) -> Path:
    directory = tmp_path / "bindings"
    directory.mkdir()
    return directory


@pytest.fixture
def record(bindings: Path) -> Record:
    return Record(
        tap="tap0",
        ifindex=12,
        instance="gx-1.example.org",
        nic="nic-1",
        binding=str(bindings / "tap0"),
        elements=(("taps", ""), ("macs", MAC)),
    )
