"""Keeps an outbox that nobody takes from within bounds."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from ganeti_ext import event
from ganeti_ext.outbox import Message, Outbox

log = logging.getLogger(__name__)

_PAGE = 1000


def enforce(outbox: Outbox, limit: int) -> int:
    """Drop the oldest messages above the limit, those without a final status first; how many.

    Intermediate statuses and notes are overtaken by what comes later; final ones are what the front stands on.
    """
    excess = len(outbox) - limit
    if excess <= 0:
        return 0
    passing: list[int] = []
    final: list[int] = []
    for message in _all(outbox):
        (final if _is_final(message) else passing).append(message.seq)
        if len(passing) >= excess:
            break
    doomed = (passing + final)[:excess]
    outbox.drop(doomed)
    log.error(
        "nobody takes messages from the outbox: more than %d waited, dropped the %d oldest, %d of them final",
        limit, len(doomed), max(0, excess - len(passing)),
    )  # fmt: skip
    return len(doomed)


def _all(outbox: Outbox) -> Iterator[Message]:
    after = 0
    while page := outbox.take(_PAGE, after):
        yield from page
        after = page[-1].seq


def _is_final(message: Message) -> bool:
    return json.loads(message.body).get("status") in event.FINAL
