"""Events and daemons in plain words."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ganeti_ext import event
from monitor import standing, words

JOB: dict[str, Any] = {
    "time": 1700000002.5,
    "began": 1700000000.1,
    "type": event.OP_STATUS,
    "job": 17,
    "operation": "OP_INSTANCE_STARTUP",
    "status": "success",
    "instance": "web",
}


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "web: start done in 2.4 s (job 17)"),
        ({"status": "running", "said": "creating disks"}, "web: start begun: creating disks (job 17)"),
        ({"status": "queued"}, "web: start asked for (job 17)"),
        ({"status": "waiting"}, "web: start waits for its turn (job 17)"),
        (
            {"status": "error", "said": "no memory", "error_code": "insufficient_resources"},
            "web: start FAILED after 2.4 s: no memory [insufficient_resources] (job 17)",
        ),
        ({"status": "canceled", "began": None, "said": "by root"}, "web: start cancelled: by root (job 17)"),
        ({"reason": [["gnt:client:gnt-instance", "startup", 1]]}, "(job 17, by gnt-instance startup)"),
        ({"reason": [["gnt:library:rlib2:x", ""]]}, "(job 17, by the remote API)"),
        ({"reason": [["gnt:user", "kernel update"], ["gnt:client:gnt-instance", "reboot"]]}, "reboot, for 'kernel upd"),
        ({"reason": [["ganeti-watcher", "restart"]]}, "(job 17, by ganeti-watcher restart)"),
        ({"operation": "OP_INSTANCE_NEW_THING"}, "web: new thing done"),
        ({"type": event.NETWORK_STATUS, "instance": None, "network": "blue", "operation": "OP_NETWORK_CONNECT"},
         "network blue: connect done"),
        ({"type": event.CLUSTER_STATUS, "instance": None, "cluster": "c", "operation": "OP_CLUSTER_RENAME"},
         "cluster c: rename done"),
        ({"type": event.NET_STATUS, "node": "n2"}, "web: its network was looked after on n2 (start)"),
        ({"type": event.PROGRESS, "node": "n2", "progress": 41.7}, "web: image copied to 42 % on n2"),
        ({"type": event.HEARTBEAT, "probe": "p"}, "heartbeat p (job 17)"),
        ({"type": event.LOST, "node": "n1", "count": 12}, "n1: 12 messages were LOST"),
        ({"type": event.MASTER, "node": "n1"}, "n1 is the master: "),
        ({"outcome": "skipped"}, "(job 17) - not ours, or known already"),
        ({"outcome": "applied"}, "(job 17)"),
    ],
)  # fmt: skip
def test_an_event(more: Any, line: str) -> None:
    said = words.line({**JOB, **more})
    assert said.startswith("22:13:22.500 ")
    assert line in said
    assert said.endswith(line) or line in said


def test_what_a_terminal_would_act_on_is_shown() -> None:
    assert "\x1b" not in words.line({**JOB, "status": "error", "said": "\x1b[2J"})


def test_an_event_of_an_unreadable_message() -> None:
    assert words.line({"time": None, "outcome": "dead"}) == "a message - could not be understood"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.95, "9.9 s"), (12.3, "12 s"), (59.9, "60 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.span(seconds) == said


EVENTD: dict[str, Any] = {
    "daemon": "eventd",
    "version": "1",
    "started": 40.0,
    "node": "n1",
    "is_master": True,
    "master": "n1",
    "told": 9,
    "complaints": 0,
    "lost": 0,
    "last_event": 97.0,
    "brokers": 1,
    "broker": "amqp://b:5672/",
    "last_published": 98.0,
    "waiting": 2,
    "limit": 100,
    "bytes": 4096,
    "oldest": 99.0,
}


def test_how_eventd_stands() -> None:
    assert list(standing.lines(EVENTD, 100.0)) == [
        "eventd 1, running for 1 min 0 s",
        "  n1 is the master: its jobs are told",
        "  told 9 messages, the last one 3.0 s ago",
        "  broker: amqp://b:5672/",
        "  confirmed last 2.0 s ago",
        "  spool: 2 of at most 100 messages wait, the oldest since 1.0 s",
    ]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"is_master": False, "master": "n2"}, "n1 is not the master (n2 is; ask there): notes of hooks alone"),
        ({"is_master": False, "master": ""}, "(nobody is known to be)"),
        ({"broker": ""}, "broker: NONE of the configured ones answers"),
        ({"brokers": 0}, "the front on this machine takes from the spool"),
        ({"waiting": None}, "spool: cannot be read"),
        ({"lost": 3}, "LOST for a full spool: 3 messages"),
        ({"last_event": None}, "the last one never"),
    ],
)
def test_how_eventd_stands_otherwise(more: Any, line: str) -> None:
    assert line in "\n".join(standing.lines({**EVENTD, **more}, 100.0))


def test_how_the_others_stand() -> None:
    consumer = {"daemon": "consumer", "version": "1", "started": 99, "applied": 5, "dead": 1, "waiting": None,
                "last_message": 90, "last_event": 89, "lag": 1}  # fmt: skip
    assert "  an unknown number of messages wait" in list(standing.lines(consumer, 100))
    reaper = {"daemon": "reaper", "version": "1", "started": 99, "records": 3, "taps": 2, "swept": 98.0,
              "reaped": {"record": 1, "binding": 0}, "failures": 0}  # fmt: skip
    assert list(standing.lines(reaper, 100))[1:] == [
        "  3 taps are recorded, 2 are there; swept 2.0 s ago",
        "  undone: 1 records, 0 bindings; failures: 0",
    ]
    consoled = {"daemon": "consoled", "version": "1", "started": 99, "open": 1, "logs": 4, "trimmed": 0,
                "served": {"screen": 7, "log": 9, "password": 1}, "absent": 2, "refused": 3}  # fmt: skip
    assert list(standing.lines(consoled, 100))[1:] == [
        "  1 screens are open; 4 guests have a serial log",
        "  served: 7 screens, 9 logs, 1 passwords; not here: 2; refused: 3",
    ]
