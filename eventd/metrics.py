"""Metrics for Prometheus: what eventd counted and what waits in its spool in, families out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventd.counts import BOUNDS
from ganeti_ext.metric import Family, classes, counter, counts, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventd.counts import Counts
    from ganeti_ext.outbox import Fullness

_PREFIX = "ganeti_ext_eventd"
_COUNTERS = {
    "jobs_read": ("job_files_read_total", "Job files that were read, each time"),
    "notes_read": ("notes_read_total", "Notes of hooks that were read"),
    "complaints": ("complaints_total", "Jobs and notes that could not be understood"),
    "scans": ("queue_scans_total", "Readings of the whole job queue"),
    "overflows": ("inotify_overflows_total", "Times that the kernel lost events of files, and all was read again"),
    "asked": ("queries_total", "Questions to luxid"),
    "unanswered": ("queries_unanswered_total", "Questions to luxid without an answer"),
    "lost": ("lost_total", "Messages that were dropped because the spool was full"),
    "lost_final": ("lost_final_total", "Of the dropped messages, those with a final status"),
    "spool_failures": ("spool_failures_total", "Writes to the spool that the disk refused"),
    "published": ("published_total", "Messages that a broker confirmed"),
    "publish_failures": ("publish_failures_total", "Connections to brokers that failed or broke"),
}


def families(counted: Counts, spool: Fullness | None, limit: int, *, master: bool, broker: bool) -> Iterator[Family]:
    """`broker`: whether there is one to deliver to, rather than the spool itself; `spool` of None cannot be read."""
    about = "Messages put into the spool, by type"
    yield counts(f"{_PREFIX}_events_total", about, "type", counted.told)
    for field, (name, words) in _COUNTERS.items():
        yield counter(f"{_PREFIX}_{name}", words, getattr(counted, field))
    yield gauge(f"{_PREFIX}_master", "Whether this node is the master, whose jobs are told", master)
    when = "When the last message was put into the spool, in seconds since 1970"
    yield gauge(f"{_PREFIX}_last_event_timestamp_seconds", when, counted.last_event or None)
    about = "Final messages that were told without Ganeti's word on their object, and wait for it"
    yield gauge(f"{_PREFIX}_unanswered_messages", about, counted.owed)
    if spool is not None:
        yield from _spool(spool, limit)
    if broker:
        yield from _broker(counted)


def _spool(spool: Fullness, limit: int) -> Iterator[Family]:
    yield gauge(f"{_PREFIX}_spool_messages", "Messages that wait to be taken", spool.count)
    yield gauge(f"{_PREFIX}_spool_limit_messages", "How many messages may wait", limit)
    yield gauge(f"{_PREFIX}_spool_bytes", "Room that the spool takes on the disk", spool.octets)
    when = "When the oldest message that waits was put there, in seconds since 1970"
    yield gauge(f"{_PREFIX}_spool_oldest_timestamp_seconds", when, spool.oldest or None)


def _broker(counted: Counts) -> Iterator[Family]:
    yield gauge(f"{_PREFIX}_broker_connected", "Whether a broker takes messages now", bool(counted.broker))
    when = "When a broker last confirmed a message, in seconds since 1970"
    yield gauge(f"{_PREFIX}_last_published_timestamp_seconds", when, counted.last_published or None)
    times = classes(BOUNDS, counted.publish.within, counted.publish.total, {})
    about = "Time from a message's putting into the spool to the broker's confirmation"
    yield Family(f"{_PREFIX}_publish_duration_seconds", "histogram", about, times)
