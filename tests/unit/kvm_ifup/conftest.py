"""A NIC, what Ganeti says of it, the host's interfaces that it meets, and a directory of records."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ganeti_ext.nicenv import Network, Nic
from kvm_ifup import firewall, plan
from kvm_ifup.apply import Host
from kvm_ifup.elements import of_tap
from kvm_ifup.modes import Facts, Link
from kvm_ifup.plan import Plan
from kvm_ifup.settings import Settings
from kvm_ifup.state import Assigned, Record, Records
from tests.unit.kvm_ifup.kernel import Kernel
from tests.unit.kvm_ifup.nics import MODES, TAGGED, Left, Make

MAC = "52:54:00:00:00:01"
ENV = {
    "INTERFACE": "tap0",
    "INTERFACE_INDEX": "0",
    "INTERFACE_UUID": "nic-1",
    "INSTANCE": "gx-1.example.org",
    "MAC": MAC,
    "IP": "10.0.0.5",
    "MODE": "bridged",
    "LINK": "br0",
    "BRIDGE": "br0",
    "TAGS": "ganeti-ext:name:Web*20Server",
    "NETWORK_NAME": "net1",
    "NETWORK_UUID": "n-1",
    "NETWORK_SUBNET": "10.0.0.0/24",
    "NETWORK_GATEWAY": "10.0.0.1",
    "NETWORK_SUBNET6": "2001:db8::/64",
    "NETWORK_GATEWAY6": "2001:db8::1",
    "NETWORK_TAGS": "nfdhcpd public",
}


@pytest.fixture(autouse=True)
def _no_wait_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _fd: None)


@pytest.fixture
def env() -> dict[str, str]:
    """What Ganeti says of the NIC."""
    return dict(ENV)


@pytest.fixture
def nic(env: dict[str, str]) -> Nic:
    return Nic.from_env(env)


@pytest.fixture
def network(nic: Nic) -> Network:
    assert nic.network is not None
    return nic.network


@pytest.fixture
def tap() -> Link:
    return Link(name="tap0", ifindex=12, mac="9a:11:22:33:44:55", mtu=1500)


@pytest.fixture
def bridge() -> Link:
    return Link(name="br0", ifindex=3, mac="02:00:00:00:00:b0", mtu=1400)


@pytest.fixture
def facts(tap: Link, bridge: Link) -> Facts:
    return Facts(tap, bridge)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(str(tmp_path / "run"))


@pytest.fixture
def bindings(tmp_path: Path) -> Path:
    directory = tmp_path / "bindings"
    directory.mkdir()
    return directory


@pytest.fixture
def settings(bindings: Path) -> Settings:
    return Settings(binding_directory=str(bindings))


@pytest.fixture
def kernel() -> Kernel:
    """A node with the interfaces of `facts`."""
    found = Kernel()
    found.links.update(tap0=12, br0=3, eth0=2, eth1=4)
    return found


@pytest.fixture
def host(records: Records, kernel: Kernel) -> Host:
    return Host(records, kernel.run, kernel.index, kernel.sysctl)


@pytest.fixture
def make(env: dict[str, str], facts: Facts, settings: Settings, tmp_path: Path) -> Make:
    def made(mode: str = "bridged", own: str | None = None) -> Plan:
        differs, more = {**MODES, **TAGGED}[mode]
        whole = {**env, **differs, **({} if own is None else {"TAGS": own})}
        nic = Nic.from_env(whole)
        judged = firewall.of(nic, settings, str(tmp_path / "run"))
        return plan.plan(whole, nic, facts._replace(**more), judged, settings)

    return made


@pytest.fixture
def left(kernel: Kernel, records: Records, bindings: Path) -> Left:
    return lambda: [*kernel.of("tap0"), *records.taps(), *bindings.iterdir()]


@pytest.fixture
def record(bindings: Path, env: dict[str, str]) -> Record:
    return Record(
        tap="tap0",
        ifindex=12,
        env=env,
        told="",
        binding=str(bindings / "tap0"),
        firewall=Assigned("protected", 3, "br0", ("10.0.0.5",)),
        elements=(of_tap("netdev", "macs", "tap0", MAC), of_tap("netdev", "ip4", "tap0", "10.0.0.5")),
        undo=(("ip", "link set dev tap0 down"), ("ip", "link set dev tap0 nomaster")),
    )
