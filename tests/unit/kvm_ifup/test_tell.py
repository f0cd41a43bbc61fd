"""What ganeti-ext-net prints."""

from __future__ import annotations

from typing import Any

import pytest

from ganeti_ext import tags
from kvm_ifup import describe, tell
from kvm_ifup.settings import Settings
from tests.unit.kvm_ifup.explained import record


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def facts(profile: str = "unprotected", *, state: str = "up", **env: Any) -> dict[str, Any]:
    found = {**describe.tap(record(profile, **env), Settings()), "state": state, "since": 86400.5}
    if found["profile"]:
        found["profile"]["rules"] = ["anything may come"]
    return found


def shown(**more: Any) -> dict[str, list[str]]:
    """The lines of `show` by their labels."""
    found: dict[str, list[str]] = {}
    label = ""
    for line in list(tell.tap(facts(**more)))[1:]:
        label = line[2:19].strip().removesuffix(":") or label
        found.setdefault(label, []).append(line[19:])
    return found


def test_a_table_sorts_taps_by_their_numbers_and_tells_of_damaged_records_below() -> None:
    some = [{**facts("limited"), "tap": tap} for tap in ("tap10", "tap9")]
    lines = list(tell.taps([{"tap": "tap1", "error": "not a record: KeyError('IFINDEX')\n"}, *some]))
    assert [line.split()[0] for line in lines] == ["TAP", "tap9", "tap10", "tap1:"]
    cells = "tap9 up gx-1.example.org 0 bridged net1 10.0.0.5, 2001:db8::5054:ff:fe00:1 limited 12 1970-01-02 00:00:00"
    assert " ".join(lines[1].split()) == cells
    assert lines[3] == "tap1: not a record: KeyError('IFINDEX')\\n"
    assert len(list(tell.taps([]))) == 1


def test_a_tap_on_a_bridge() -> None:
    lines = list(tell.tap(facts()))
    assert lines[0] == "tap0: NIC 0 of gx-1.example.org"
    assert lines[1] == "  tap:             stands, with the interface index 12"
    found = shown()
    assert found["mode"] == ["bridged: a port of the bridge br0"]
    assert found["may say"][:2] == ["from MAC 52:54:00:00:00:01", "from 10.0.0.5, 2001:db8::5054:ff:fe00:1"]
    assert found["may say"][-1] == "nothing of a DHCP server or a router"
    assert found["is reached by"] == ["any station of its bridge"]
    assert found["profile"] == ["unprotected (number 3 on this node), by default", "anything may come"]
    assert found["when it goes"] == ["ip link set dev tap0 down", "ip link set dev tap0 nomaster"]


@pytest.mark.parametrize(
    ("env", "label", "line"),
    [
        ({"state": "gone"}, "tap", "is gone: ganeti-ext-net reap removes what it had"),
        ({"state": "other"}, "tap", "is gone, and another has its name: its interface index was 12"),
        ({"INTERFACE_NAME": "wan"}, "NIC", "UUID nic-1, name wan"),
        (
            {"MODE": "routed", "LINK": "100", "BRIDGE": ""},
            "mode",
            "routed: the node routes for it, by the routing table 100",
        ),
        ({"MODE": "routed", "LINK": "100", "BRIDGE": ""}, "is reached by", "what the node routes to it"),
        ({"VLAN": ":7"}, "mode", "bridged: a port of the bridge br0, VLAN :7"),
        ({"VLAN": ":7"}, "may say", "anything in the VLANs 7"),
        ({"MODE": "openvswitch", "BRIDGE": ""}, "profile", "none: Open vSwitch shows the firewall nothing"),
        (
            {"NETWORK_TAGS": "private-filtered", "zone": 4},
            "mode",
            "bridged: a port of the bridge br0; private-filtered",
        ),
        (
            {"NETWORK_TAGS": "private-filtered", "zone": 4},
            "is reached by",
            "stations with a MAC in 52:54:00:00:00:00-52:54:0f:ff:ff:ff alone",
        ),
        ({"NETWORK_TAGS": "private-filtered", "zone": 4}, "is reached by", "connections in the conntrack zone 4"),
        ({"NETWORK_TAGS": ""}, "binding", "none: nfdhcpd does not answer this guest"),
        ({"IP": "", "NETWORK_SUBNET6": ""}, "may say", "from no address, but ask for one by DHCP"),
        ({"NETWORK_NAME": "", "IP": ""}, "addresses", "none"),
        ({"TAGS": tags.SPOOF_ALLOWED}, "may say", f"anything, by the instance's tag {tags.SPOOF_ALLOWED}"),
        (
            {"TAGS": f"{tags.ALLOW_ADDRESS}:192.0.2.0/24"},
            "may say",
            f"from 192.0.2.0/24, by the instance's tag {tags.ALLOW_ADDRESS}:192.0.2.0/24",
        ),
        ({"TAGS": "nfdhcpd:prefix6:2001:db8:7::/56"}, "may say", "from 2001:db8:7::/56, which is delegated to it"),
        ({"TAGS": "ganeti-ext:firewall:unprotected"}, "profile", "by the tag ganeti-ext:firewall:unprotected"),
    ],
)
def test_what_a_tap_has_is_told(env: dict[str, Any], label: str, line: str) -> None:
    assert any(line in one for one in shown(**env)[label])


def test_when_tags_were_told() -> None:
    found = {**facts(), "tags_told": "86400.000000001"}
    assert "  tags:            as they were at 1970-01-02 00:00:00" in list(tell.tap(found))


def test_profiles_in_a_table_and_in_words() -> None:
    found: list[dict[str, Any]] = [
        {"profile": "web", "number": None, "taps": 0, "file": "/f/web.conf", "description": "W", "rules": ["a", "b"]},
        {"profile": "bad", "number": 2, "taps": 3, "file": None, "error": "there is no such file"},
    ]
    assert list(tell.profiles(found)) == [
        "PROFILE  NUMBER  TAPS  FILE         DESCRIPTION",
        "web      -       0     /f/web.conf  W",
        "",
        "web:",
        "  a",
        "  b",
        "",
        "bad: there is no such file",
    ]


def test_findings_say_what_to_do() -> None:
    found: list[dict[str, Any]] = [
        {"tap": "tap0", "found": "it is down", "todo": "ip link set dev tap0 up"},
        {"tap": None, "found": "there is no table inet ganeti_ext", "todo": "reload"},
    ]
    assert list(tell.findings(found, 2)) == [
        "tap0: it is down",
        "    ip link set dev tap0 up",
        "there is no table inet ganeti_ext",
        "    reload",
    ]
    assert list(tell.findings([], 2)) == ["2 taps: all that must stand does, and nothing more"]


def test_an_explanation() -> None:
    decided = {"stage": "MAC", "words": "no", "table": "netdev t", "chain": "c", "rule": "r drop", "verdict": "drop"}
    found = {
        "tap": "tap0",
        "instance": "gx-1",
        "direction": "out",
        "said": {"src": "10.0.0.9"},
        "assumed": {"mac": "m", "proto": "icmp"},
        "met": [{**decided, "stage": "family", "words": "IPv4", "verdict": None}, decided],
        "verdict": "drop",
        "why": "no",
    }
    assert list(tell.explanation(found)) == [
        "A packet from tap0 of gx-1: src=10.0.0.9",
        "  assumed:    mac=m, proto=icmp",
        "  family:     IPv4",
        "  MAC:        no",
        "              netdev t c: r drop",
        "  DROP: no",
    ]
    passed = {**found, "direction": "in", "said": {}, "assumed": {}, "met": [{**decided, "verdict": "pass"}]}
    assert list(tell.explanation(passed))[:2] == [
        "A packet to tap0 of gx-1: not described",
        "  MAC:        no (passes)",
    ]


def test_bridges() -> None:
    found: list[dict[str, Any]] = [
        {"bridge": "prv10", "vlan": 10, "link": "eth1", "mtu": 1500, "up": True, "ports": ["tap0", "tap1"]},
        {"bridge": "prv9", "vlan": None, "link": None, "mtu": 1400, "up": False, "ports": []},
    ]
    assert list(tell.bridges(found)) == [
        "BRIDGE  VLAN  LINK  MTU   STATE  PORTS",
        "prv9    -     -     1400  down   -",
        "prv10   10    eth1  1500  up     tap0, tap1",
    ]
    done = [{"did": "link del dev prv9"}, {"kept": "prv10", "why": "in use by tap0"}]
    assert list(tell.bridged(done)) == ["ip link del dev prv9", "prv10 stays: in use by tap0"]


def test_what_was_undone() -> None:
    found = [{"tap": "tap0", "instance": "", "undone": ["its binding"]}]
    assert list(tell.undone(found)) == ["tap0 of an instance without a name: undone:", "  its binding"]
    assert list(tell.errors([{"file": "f", "error": "f: \x1b"}])) == ["f: \\x1b"]
