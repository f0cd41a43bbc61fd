"""What the host has for a NIC."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext import tags
from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import Nic
from kvm_ifup import facts, uplink
from kvm_ifup.facts import LinkError
from kvm_ifup.modes import Facts, Link
from kvm_ifup.settings import Settings

SETTINGS = Settings()
UPLINKS = {("snf-link-1", 4): "eth0", ("snf-link-1", 6): "eth1", ("main", 4): "eth1", ("main", 6): "eth0"}


@pytest.fixture
def sys(tmp_path: Path, tap: Link, bridge: Link) -> Path:
    """A /sys/class/net; br0 has two ports besides taps."""
    for link in (tap, bridge, Link("eth0", 2, "02:00:00:00:00:e0", 1500), Link("eth1", 4, "02:00:00:00:00:e1", 9000)):
        (tmp_path / link.name).mkdir()
        for name, value in (("ifindex", link.ifindex), ("address", link.mac), ("mtu", link.mtu)):
            (tmp_path / link.name / name).write_text(f"{value}\n")
    (tmp_path / "br0" / "bridge").mkdir()
    (tmp_path / "br0" / "bridge" / "vlan_filtering").write_text("1\n")
    (tmp_path / "br0" / "bridge" / "default_pvid").write_text("1\n")
    for port in ("eth1", "tap7", "bond0"):
        (tmp_path / "br0" / f"lower_{port}").mkdir()
    return tmp_path


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What the kernel was asked for: table and version."""
    found = []

    def find(table: str, version: int) -> str:
        found.append((table, version))
        return UPLINKS[table, version]

    monkeypatch.setattr(uplink, "find", find)
    return found


def of(nic: Nic, sys: Path, below: str | None = None) -> Facts:
    return facts.of(nic, below, SETTINGS, str(sys))


def ip_less(nic: Nic, *own: str) -> Nic:
    assert nic.network is not None
    network = nic.network._replace(tags=(*nic.network.tags, tags.IP_LESS_ROUTED))
    return nic._replace(mode="routed", link="snf-link-1", bridge=None, network=network, tags=own)


def test_a_tap_and_its_bridge(nic: Nic, sys: Path, tap: Link, bridge: Link) -> None:
    assert of(nic, sys, "br0") == Facts(tap=tap, below=bridge)


def test_a_tap_alone(nic: Nic, sys: Path, tap: Link, asked: list[tuple[str, int]]) -> None:
    assert of(nic._replace(mode="routed", link="snf-link-1"), sys) == Facts(tap=tap)
    assert asked == []


@pytest.mark.parametrize("vlan", [".10", ":10:20", ".10:20"])
def test_the_ports_of_a_vlan_aware_bridge_that_lead_out(nic: Nic, sys: Path, vlan: str) -> None:
    found = of(nic._replace(vlan=vlan), sys, "br0")
    assert (found.ports, found.pvid) == (("bond0", "eth1"), 1)


def test_without_a_vlan_nobody_asks_for_ports(nic: Nic, sys: Path) -> None:
    (sys / "br0" / "bridge" / "vlan_filtering").unlink()
    assert of(nic, sys, "br0").ports == ()


def test_a_bridge_that_takes_no_vlans(nic: Nic, sys: Path) -> None:
    (sys / "br0" / "bridge" / "vlan_filtering").write_text("0\n")
    with pytest.raises(ContractError, match=r"VLAN '\.10' needs vlan_filtering on bridge br0, where it is off"):
        of(nic._replace(vlan=".10"), sys, "br0")


def test_a_vlan_on_what_is_no_bridge(nic: Nic, sys: Path) -> None:
    with pytest.raises(LinkError, match="interface eth0: "):
        of(nic._replace(vlan=".10"), sys, "eth0")


def test_a_bad_vlan_is_named_before_the_bridge_is_looked_at(nic: Nic, sys: Path) -> None:
    with pytest.raises(ContractError, match="VLAN has a bad value 'ten'"):
        of(nic._replace(vlan="ten"), sys, "eth0")


def test_the_uplinks_of_an_ip_less_nic_are_those_of_its_table(
    nic: Nic, sys: Path, asked: list[tuple[str, int]]
) -> None:
    found = of(ip_less(nic), sys)
    assert found.uplink4 == Link("eth0", 2, "02:00:00:00:00:e0", 1500)
    assert found.uplink6 == Link("eth1", 4, "02:00:00:00:00:e1", 9000)
    other = of(ip_less(nic)._replace(link=None), sys)
    assert (other.uplink4, other.uplink6) == (found.uplink6, found.uplink4)
    assert asked == [("snf-link-1", 4), ("snf-link-1", 6), ("main", 4), ("main", 6)]


@pytest.mark.parametrize(("tag", "version"), [(tags.DISABLE_IPV6, 4), (tags.DISABLE_IPV4, 6)])
def test_a_family_that_is_off_needs_no_uplink(
    nic: Nic, sys: Path, asked: list[tuple[str, int]], tag: str, version: int
) -> None:
    found = of(ip_less(nic, tag), sys)
    assert asked == [("snf-link-1", version)]
    assert (found.uplink4 is None, found.uplink6 is None) == (version == 6, version == 4)


def test_ip_less_is_of_routed_nics_only(nic: Nic, sys: Path, asked: list[tuple[str, int]]) -> None:
    of(ip_less(nic)._replace(mode="bridged"), sys, "br0")
    assert asked == []


@pytest.mark.parametrize("missing", ["tap0", "br0"])
def test_an_interface_that_is_missing_is_named(nic: Nic, sys: Path, missing: str) -> None:
    (sys / missing / "ifindex").unlink()
    with pytest.raises(LinkError, match=f"interface {missing}: "):
        of(nic, sys, "br0")


def test_an_uplink_that_went_is_named(nic: Nic, sys: Path, asked: list[tuple[str, int]]) -> None:
    (sys / "eth1" / "ifindex").unlink()
    with pytest.raises(LinkError, match="interface eth1: "):
        of(ip_less(nic), sys)


def test_the_index_of_an_interface(sys: Path) -> None:
    assert facts.ifindex("tap0", str(sys)) == 12
    assert facts.ifindex("tap1", str(sys)) is None
