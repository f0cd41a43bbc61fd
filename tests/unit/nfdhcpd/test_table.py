from __future__ import annotations

import logging
from typing import Any

import pytest

from ganeti_ext.binding import Binding, BindingError
from nfdhcpd.client import Link
from nfdhcpd.table import Change, Table
from nfdhcpd.terms import Terms
from tests.unit.nfdhcpd.guest import BRIDGE, SETTINGS, TAP, binding, guests


@pytest.fixture
def links() -> dict[str, Link]:
    return {"br0": BRIDGE, "tap0": TAP}


@pytest.fixture
def table(links: dict[str, Link]) -> Table:
    return Table(SETTINGS, links.get)


def named(**about: Any) -> tuple[str, Binding]:
    found = binding(**about)
    return found.tap, found


def served(table: Table) -> dict[int, str]:
    return {ifindex: client.tap for ifindex, client in table.by_index.items()}


def test_a_binding_is_found_by_the_ifindex_of_its_tap(table: Table) -> None:
    (change,) = table.put(*named())
    assert change.before is None
    assert change.after is table.by_index[7]
    assert served(table) == {7: "tap0"}


def test_two_taps_may_have_one_mac(table: Table, links: dict[str, Link]) -> None:
    links["tap1"] = Link(8, b"\xfe\0\0\0\0\1")
    list(table.put(*named()))
    list(table.put(*named(tap="tap1", ip="10.77.0.11")))
    assert served(table) == {7: "tap0", 8: "tap1"}


def test_the_same_binding_again_changes_nothing(table: Table) -> None:
    list(table.put(*named()))
    assert list(table.put(*named())) == []


def test_a_changed_binding(table: Table) -> None:
    list(table.put(*named()))
    (change,) = table.put(*named(hostname="db"))
    assert change.before is not None
    assert change.after is not None
    assert (change.before.lease, change.after.lease) != (None, None)
    assert table.by_index[7].lease is not None
    assert table.by_index[7].lease.hostname == "db"


def test_a_binding_that_is_gone(table: Table) -> None:
    list(table.put(*named()))
    (change,) = table.drop("tap0")
    assert change.after is None
    assert (served(table), table.taps(), table.stale) == ({}, set(), {})
    assert list(table.drop("tap0")) == []


def test_a_binding_waits_for_its_tap(table: Table, links: dict[str, Link]) -> None:
    del links["tap0"]
    assert list(table.put(*named())) == []
    assert table.stale == {"tap0": "the tap does not exist"}
    links["tap0"] = TAP
    (change,) = table.changed({"tap0"})
    assert change == Change(None, table.by_index[7])
    assert table.stale == {}


def test_a_tap_made_anew_is_served_by_its_new_ifindex_alone(table: Table, links: dict[str, Link]) -> None:
    list(table.put(*named()))
    links["tap0"] = Link(9, TAP.mac)
    list(table.changed({"tap0"}))
    assert served(table) == {9: "tap0"}


def test_a_binding_of_another_tap_of_that_name_is_stale(table: Table, links: dict[str, Link]) -> None:
    list(table.put(*named(ifindex=7)))
    assert served(table) == {7: "tap0"}
    links["tap0"] = Link(9, TAP.mac)
    (change,) = table.changed({"tap0"})
    assert change.after is None
    assert served(table) == {}
    assert "ifindex 7" in table.stale["tap0"]
    list(table.put(*named(ifindex=9)))
    assert (served(table), table.stale) == ({9: "tap0"}, {})


def test_an_ifindex_taken_over_by_another_tap(table: Table, links: dict[str, Link]) -> None:
    list(table.put(*named()))
    links["tap1"] = links.pop("tap0")
    list(table.put(*named(tap="tap1", ip="10.77.0.11")))
    list(table.changed({"tap0"}))
    assert served(table) == {7: "tap1"}


def test_the_mac_of_a_bridge_follows_its_ports(table: Table, links: dict[str, Link]) -> None:
    list(table.put(*named()))
    links["br0"] = Link(2, b"\2\0\0\0\0\x99")
    assert len(list(table.changed({"br0"}))) == 1
    assert table.by_index[7].source == b"\2\0\0\0\0\x99"


def test_events_that_change_nothing(table: Table) -> None:
    list(table.put(*named()))
    assert list(table.changed({"br0", "tap0", "eth0"})) == []


def test_a_bad_binding_is_said_once_and_does_no_harm(
    table: Table, links: dict[str, Link], caplog: pytest.LogCaptureFixture
) -> None:
    links["tap1"] = Link(8, b"\xfe\0\0\0\0\1")
    with caplog.at_level(logging.ERROR):
        list(table.put(*named(subnet="nowhere")))
    list(table.put(*named(tap="tap1")))
    assert served(table) == {8: "tap1"}
    assert ["binding of tap0" in line for line in caplog.messages] == [True]


def test_one_without_a_mac_does_not_stop_the_others(table: Table, links: dict[str, Link]) -> None:
    links |= {"tap0": Link(7, b""), "br0": Link(2, b""), "tap1": Link(8, b"\xfe\0\0\0\0\1")}
    list(table.put(*named()))
    list(table.put(*named(tap="tap1")))
    assert served(table) == {8: "tap1"}
    assert table.by_index[8].advert is not None


def test_other_settings(table: Table) -> None:
    list(table.put(*named()))
    settings = guests(lease=120)
    assert len(list(table.reconfigure(settings))) == 1
    assert table.by_index[7].lease is not None
    assert (table.by_index[7].lease.shared.seconds, Terms().lease) == (120, 604800)


def test_a_tap_with_a_bad_binding_is_refused_until_the_binding_is_mended(table: Table, links: dict[str, Link]) -> None:
    list(table.put(*named(subnet="nowhere")))
    assert table.refused == {7: "tap0"}
    list(table.put(*named()))
    assert (table.refused, served(table)) == ({}, {7: "tap0"})
    (change,) = table.put("tap0", BindingError("no MAC"))
    assert (change.after, table.refused, table.stale) == (None, {7: "tap0"}, {"tap0": "no MAC"})
    links["tap0"] = Link(9, TAP.mac)
    list(table.changed({"tap0"}))
    assert table.refused == {9: "tap0"}
    list(table.drop("tap0"))
    assert (table.refused, table.taps()) == ({}, set())


def test_a_stale_binding_is_no_reason_to_refuse_the_tap(table: Table) -> None:
    list(table.put(*named(ifindex=6)))
    assert (table.refused, served(table)) == ({}, {})


def test_a_bug_with_one_binding_does_not_end_the_service_of_all(
    table: Table, links: dict[str, Link], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise AttributeError("of ours")

    list(table.put(*named()))
    links["tap1"] = Link(8, b"\xfe\0\0\0\0\1")
    monkeypatch.setattr("nfdhcpd.table.client", fails)
    list(table.put(*named(tap="tap1")))
    assert (served(table), table.refused) == ({7: "tap0"}, {8: "tap1"})
    assert "of ours" in table.stale["tap1"]
    assert "bug: tap1 is not served" in caplog.text
