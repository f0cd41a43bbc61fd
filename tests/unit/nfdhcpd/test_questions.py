"""What the daemon tells of itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scapy.layers.l2 import Ether

from ganeti_ext import metric
from ganeti_ext.errors import ExtError
from nfdhcpd.answer import Pass, Silence
from nfdhcpd.client import Client, Link
from nfdhcpd.questions import Questions, answer
from nfdhcpd.stats import Stats
from nfdhcpd.table import Table
from tests.unit.nfdhcpd.guest import BRIDGE, IP4, MAC_TEXT, SETTINGS, TAP, binding, guest

IP6 = "fd00:77::5054:ff:fe00:10"


class Service:
    """A table with tap0, and tap5 whose interface is missing."""

    def __init__(self) -> None:
        self.table = Table(SETTINGS, {"tap0": TAP, "br0": BRIDGE, "tap1": Link(8, TAP.mac)}.get)
        self.stats = Stats()
        self.watchers: list[Any] = []
        for tap in ("tap0", "tap5"):
            list(self.table.put(tap, binding(tap=tap, eui64=IP6, terms=(("ipv6_mode", "slaac"),))))


@pytest.fixture
def service() -> Service:
    return Service()


def ask(service: Service, **request: Any) -> list[Any]:
    return list(Questions(service, lambda: 1700000000.0).begin(request, lambda: None))


def test_list_tells_who_is_served_and_who_is_not(service: Service) -> None:
    for asked in ("DISCOVER", "REQUEST", "DISCOVER"):
        service.stats.count(service.stats.of("tap0"), asked, 0.0)
    service.stats.drop("tap0", "spoofed")
    served, waits = ask(service, do="list")
    assert {key: served[key] for key in ("tap", "instance", "mac", "ipv4", "ipv6")} == {
        "tap": "tap0",
        "instance": "gx-web",
        "mac": MAC_TEXT,
        "ipv4": IP4,
        "ipv6": IP6,  # whether DHCPv6 gives it or not
    }
    assert (served["answered"], served["dropped"]) == (3, 1)
    assert waits == {"tap": "tap5", "why": "the tap does not exist", "dropped": 0}


def test_a_tap_that_goes_while_the_list_is_made_harms_nobody(service: Service) -> None:
    list(service.table.put("tap1", binding(tap="tap1", instance="db")))
    answers = Questions(service, lambda: 0).begin({"do": "list"}, lambda: None)
    next(answers)
    list(service.table.drop("tap1"))
    list(service.table.drop("tap0"))
    assert [record["tap"] for record in answers if record] == ["tap1", "tap5"]


def test_show_tells_all_of_a_tap(service: Service) -> None:
    service.stats.count(service.stats.of("tap0"), "DISCOVER", 0.0)
    service.stats.drop("tap0", "other")
    about, *answers = ask(service, do="show", tap="tap0")
    assert (about["answered"], about["dropped"]) == ({"DISCOVER": 1}, {"other": 1})
    assert (about["ifindex"], about["macspoof"], about["server_mac"]) == (7, False, "02:00:00:00:00:01")
    assert [record["ask"] for record in answers] == ["discover", "request", "rs", "solicit", "information"]
    assert answers[0]["told"] == f"OFFER {IP4}"


def test_test_tells_what_a_message_would_be_answered_and_counts_nothing(service: Service) -> None:
    told, advertised = ask(service, do="test", tap="tap0", ask=["request", "rs"])
    assert (told["asked"], told["told"]) == ("REQUEST", f"ACK {IP4}")
    frame = Ether(bytes.fromhex(told["frame"]))
    assert frame.dst == MAC_TEXT
    assert advertised["asked"] == "RS"
    assert service.stats.taps == {}


def test_an_answer_is_that_of_the_guests_own_binding(service: Service) -> None:
    list(service.table.put("tap1", binding(tap="tap1", ip="10.77.0.20", mac="52:54:00:00:00:20")))
    (told,) = ask(service, do="test", tap="tap1", ask=["discover"])
    assert told["told"] == "OFFER 10.77.0.20"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Pass(), "left to the kernel"),
        (Silence("nothing", "no IPv6 to advertise"), "no IPv6 to advertise"),
    ],
)
def test_why_there_is_no_answer(error: Exception, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_packet: bytes, _hardware: bytes, _client: Client) -> Any:
        raise error

    monkeypatch.setitem(answer.__globals__["_ANSWER"], 6, refuse)
    assert answer(guest(), "rs") == {"ask": "rs", "why": why}


def test_metrics_are_families_with_a_tap_at_a_time(service: Service) -> None:
    service.stats.count(service.stats.of("tap0"), "RS", 0.00003)
    service.stats.drop("tap9", "refused")
    service.stats.foreign = 4
    facts, *told = ask(service, do="metrics")
    assert facts == {"queues": [42, 43]}
    assert len([record for record in told if record["samples"] and "tap" in record["samples"][0][1]]) == 2
    found = {family.name: family.samples for family in metric.families(json.loads(json.dumps(told)))}
    assert found["nfdhcpd_requests_total"] == [(1.0, {"tap": "tap0", "instance": "gx-web", "type": "RS"}, "")]
    assert found["nfdhcpd_dropped_total"] == [(1.0, {"tap": "tap9", "instance": "", "reason": "refused"}, "")]
    assert found["nfdhcpd_foreign_total"] == [(4.0, {}, "")]
    assert found["nfdhcpd_bindings"] == [(1.0, {"state": "served"}, ""), (1.0, {"state": "not_served"}, "")]
    assert found["nfdhcpd_start_time_seconds"] == [(1700000000.0, {}, "")]


def test_watch_tells_what_happens_until_it_is_closed(service: Service) -> None:
    woken: list[int] = []
    watch = Questions(service, lambda: 5.0).begin({"do": "watch"}, lambda: woken.append(1))
    assert [next(watch), next(watch)] == [{"watching": True}, None]
    (watcher,) = service.watchers
    watcher("tap0", "gx-web", "RS", "RA", 0.00001)
    assert woken == [1]
    assert next(watch) == {"time": 5.0, "tap": "tap0", "instance": "gx-web", "asked": "RS", "told": "RA", "us": 10.0}
    assert next(watch) is None
    watch.close()  # type: ignore[attr-defined]
    assert service.watchers == []


def test_watch_of_one_tap(service: Service) -> None:
    watch = Questions(service, lambda: 5.0).begin({"do": "watch", "tap": "tap0"}, lambda: None)
    next(watch)
    for tap in ("tap1", "tap0"):
        service.watchers[0](tap, "", "RS", "RA", 0)
    told = next(watch)
    assert told is not None
    assert told["tap"] == "tap0"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({}, "unknown request 'None'; known: list, metrics, show, test, watch"),
        ({"do": "stop"}, "unknown request 'stop'"),
        ({"do": ["list"]}, "unknown request"),
        ({"do": "show"}, "no binding of a tap 'None'"),
        ({"do": "show", "tap": "tap9"}, "no binding of a tap 'tap9'"),
        ({"do": "show", "tap": {}}, "no binding of a tap '{}'"),
        ({"do": "show", "tap": "tap5"}, "tap5 is not served: the tap does not exist"),
        ({"do": "test", "tap": "tap0", "ask": ["release"]}, '"ask" is a list of discover, request, rs'),
        ({"do": "test", "tap": "tap0", "ask": "rs"}, '"ask" is a list'),
        ({"do": "test", "tap": "tap0", "ask": [[]]}, '"ask" is a list'),
        ({"do": "watch", "tap": "tap9"}, "no binding"),
    ],
)
def test_a_bad_request_gets_a_clear_error(service: Service, request_: dict[str, Any], why: str) -> None:
    with pytest.raises(ExtError) as raised:
        ask(service, **request_)
    assert why in str(raised.value)
    assert service.watchers == []
