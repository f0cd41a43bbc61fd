"""A follower under test, and what it told."""

from __future__ import annotations

import json
from typing import Any

from eventd.follow import Follower
from ganeti_ext.outbox import Outbox

T0 = 1795200000
DAY = 86400.0
SERVER = "gx-5f0c3a52-8c5e-4c52-9f0a-1d2e3f405162"


class Clock:
    def __init__(self) -> None:
        self.now = T0 + 200.0

    def __call__(self) -> float:
        return self.now


class Following:
    """A follower whose questions Ganeti answers at once, unless `held`."""

    def __init__(self, follower: Follower, answers: Any) -> None:
        self.follower = follower
        self.answers = answers
        self.held = False

    def changed(self, names: list[str]) -> None:
        self.follower.changed(names)
        self.collect()

    def scan(self) -> None:
        self.follower.scan()
        self.collect()

    def collect(self) -> None:
        if not self.held:
            self.answers.answer()
            self.follower.collect()


def told(outbox: Outbox) -> list[tuple[int, int, str]]:
    """Job, op and status of the messages that wait, which are then taken."""
    messages = outbox.take(10_000)
    outbox.drop(message.seq for message in messages)
    return [(m["jobId"], m["op_index"], m["status"]) for m in (json.loads(message.body) for message in messages)]


def cursors(outbox: Outbox) -> dict[str, str]:
    """But that of the sequence."""
    return {name: value for name, value in outbox.cursors().items() if name != "seq"}
