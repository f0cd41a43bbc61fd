"""What nfdhcpdctl prints."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nfdhcpd import probe, tell
from nfdhcpd.answer import REASONS

SERVED = {"instance": "web", "mac": "52:54:00:00:00:10", "ipv4": "192.0.2.1", "ipv6": "", "answered": 3, "dropped": 0}


def test_a_table_sorts_taps_by_their_numbers_and_tells_who_is_not_served_below() -> None:
    taps: list[dict[str, Any]] = [{**SERVED, "tap": tap} for tap in ("tap10", "tap9")]
    lines = list(tell.table([{"tap": "tap1", "why": "the tap does not exist", "dropped": 0}, *taps]))
    assert lines == [
        "TAP    INSTANCE  MAC                IPV4       IPV6  ANSWERED  DROPPED",
        "tap9   web       52:54:00:00:00:10  192.0.2.1  -     3         0",
        "tap10  web       52:54:00:00:00:10  192.0.2.1  -     3         0",
        "tap1: not served: the tap does not exist",
    ]


def test_a_guest() -> None:
    about = {"tap": "tap0", "ifindex": 7, "macspoof": True, "server_mac": "02:00:00:00:00:01"}
    lines = list(
        tell.guest({**SERVED, **about, "answered": {"RS": 1, "DISCOVER": 2}, "dropped": {"spoofed": 4, "new": 1}})
    )
    assert lines[0] == "tap0 (web)"
    assert [line.split(maxsplit=1) for line in lines[1:3]] == [
        ["MAC:", "52:54:00:00:00:10, and any other"],
        ["IPv4:", "192.0.2.1"],
    ]
    assert "DISCOVER 2, RS 1" in lines[-3]
    assert lines[-2].endswith("1: new, for a reason unknown here")
    assert lines[-1].endswith("4: spoofed, came from another MAC than the binding's")


def test_a_guest_that_has_nothing_yet() -> None:
    about = {"tap": "tap0", "ifindex": 7, "macspoof": False, "server_mac": "02:00:00:00:00:01", "ipv4": ""}
    text = "\n".join(tell.guest({**SERVED, **about, "instance": "", "answered": {}, "dropped": {}}))
    assert text.startswith("tap0 (unnamed)\n")
    assert "nothing so far" in text
    assert "any other" not in text


def test_every_reason_and_every_message_has_its_words() -> None:
    assert set(tell.REASONS) == set(REASONS)
    assert set(tell.PROBES) == set(probe.PROBES)


def test_a_transaction_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    record = {"time": 1700000000.0625, "tap": "tap0", "instance": "web", "asked": "DISCOVER", "told": "OFFER 192.0.2.1"}
    line = tell.transaction({**record, "us": 85.5})
    assert line == "22:13:20.062 tap0 (web): DISCOVER: OFFER 192.0.2.1 (85.5 us)"
    assert "a packet: no answer" in tell.transaction({**record, "us": 1, "asked": "", "told": "no answer: cut short"})
    assert tell.transaction({"lost": 7}).startswith("... 7 more")
    monkeypatch.undo()
    time.tzset()


def test_no_answer_is_told_with_its_reason() -> None:
    assert list(tell.answer({"ask": "rs", "why": "no IPv6 to advertise"})) == [
        "To a router solicitation: no answer: no IPv6 to advertise"
    ]


def test_nothing_reaches_the_terminal_that_it_would_act_on() -> None:
    record = {"time": 0, "tap": "tap0", "instance": "\x1b[2J", "asked": "X", "told": "\x07\u202e", "us": 1}
    assert tell.transaction(record).isprintable()
    assert all(line.isprintable() for line in tell.answer({"ask": "rs", "why": "\x1b]0;x\x07\n"}))
    assert "\\x1b[2J" in "\n".join(tell.table([{**SERVED, "tap": "tap0", "instance": "\x1b[2J"}]))
