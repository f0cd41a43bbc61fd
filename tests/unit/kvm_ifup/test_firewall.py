"""The profile of a NIC, and what the node needs for it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from ganeti_ext import config, tags
from ganeti_ext.errors import ConfigError, ContractError
from ganeti_ext.nicenv import Nic
from kvm_ifup import firewall, iptables_kept, profile_nft, profiles
from kvm_ifup.numbers import Numbers
from kvm_ifup.plan import Firewall
from kvm_ifup.profile import Profile
from kvm_ifup.settings import Settings

SETTINGS = Settings()
MASK = 0x0FFF0000


@pytest.fixture
def run(tmp_path: Path) -> str:
    return str(tmp_path / "run")


def of(nic: Nic, run: str, *own: str, settings: Settings = SETTINGS) -> Firewall:
    return firewall.of(nic._replace(tags=own), settings, run)


def chains(name: str, number: int, mask: int = MASK, *, judge: bool = True) -> str:
    return profile_nft.chains(profiles.load(name), number, mask, judge=judge)


def test_without_a_tag_it_is_the_default(nic: Nic, run: str) -> None:
    assert of(nic, run) == Firewall("unprotected", 0, drops=False, text="", zone=None)
    found = of(nic, run, settings=SETTINGS._replace(default_profile="limited"))
    assert found == Firewall("limited", 1, drops=True, text=chains("limited", 1))


def test_one_that_lets_everything_pass_but_cuts_has_rules(nic: Nic, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[profile]\nnew = accept\nestablished = cut\n"
    monkeypatch.setattr(profiles, "load", lambda name: profiles.build(name, name, config.parse(text, name)))
    found = of(nic, run, "ganeti-ext:firewall:afresh")
    assert (found.number, found.drops) == (1, False)
    assert "add chain inet ganeti_ext profile_1" in found.text


def test_a_tag_chooses_and_the_number_stays(nic: Nic, run: str) -> None:
    found = [of(nic, run, f"ganeti-ext:firewall:{name}") for name in ("protected", "limited", "protected")]
    assert [(one.profile, one.number, one.drops) for one in found] == [
        ("protected", 1, True),
        ("limited", 2, True),
        ("protected", 1, True),
    ]


def test_a_profile_that_is_none_stops_and_gets_no_number(nic: Nic, run: str) -> None:
    with pytest.raises(ConfigError, match="there is no firewall profile 'webb'"):
        of(nic, run, "ganeti-ext:firewall:webb")
    with pytest.raises(ContractError, match="names no firewall profile"):
        of(nic, run, "ganeti-ext:firewall:../web")
    assert Numbers("profiles", 4094, run).all() == {}


def test_a_filtered_network_has_a_zone_of_its_own(nic: Nic, run: str) -> None:
    assert nic.network is not None
    filtered = nic._replace(network=nic.network._replace(tags=(tags.PRIVATE_FILTERED,)))
    others = [filtered._replace(mac=mac) for mac in ("52:54:0f:ff:ff:ff", "52:54:10:00:00:00", "52:54:00:00:00:01")]
    assert [of(one, run).zone for one in others] == [1, 2, 1]
    assert of(nic, run).zone is None
    narrow = SETTINGS._replace(mac_mask="ff:ff:ff:ff:ff:ff", tag_private_filtered="public")
    assert of(nic, run, settings=narrow).zone == 3


def test_rules_of_the_profiles_in_use_each_once(run: str) -> None:
    numbers = Numbers("profiles", 4094, run)
    numbers.of("protected")
    found = firewall.rules(["protected", "limited", "protected"], SETTINGS, run)
    assert found == chains("limited", 2) + chains("protected", 1)
    assert firewall.rules([], SETTINGS, run) == ""
    narrow = SETTINGS._replace(mark_mask="0x00ff0000")
    assert firewall.rules(["protected"], narrow, run) == chains("protected", 1, 0x00FF0000)


def test_with_iptables_the_rules_are_put_there_and_nft_only_marks(
    nic: Nic, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[dict[int, Profile], int]] = []
    standing = [False, True]

    def put(wanted: Mapping[int, Profile], mask: int, kept: iptables_kept.Kept) -> bool:
        asked.append((dict(wanted), mask))
        return isinstance(kept, iptables_kept.Kept)

    monkeypatch.setattr(iptables_kept.Kept, "stands", lambda *_: standing.pop(0))

    backend = ModuleType("kvm_ifup.iptables")
    vars(backend)["put"] = put
    monkeypatch.setitem(sys.modules, "kvm_ifup.iptables", backend)
    monkeypatch.setattr(sys.modules["kvm_ifup"], "iptables", backend, raising=False)
    settings = SETTINGS._replace(firewall="iptables")
    found = [of(nic, run, "ganeti-ext:firewall:protected", settings=settings) for _ in list(standing)]
    assert [one.text for one in found] == [chains("protected", 1, judge=False)] * 2
    assert asked == [({1: profiles.load("protected")}, MASK)]
