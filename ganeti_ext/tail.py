"""The last messages of the update path and those that come, for who watches a daemon: what {"do": "tail"} is answered.

The request may have "instance" (a name, with or without its domain) and "since" (seconds since the epoch: what the
daemon has heard from then on, as far as it remembers). The answer is {"tailing": true, ...}, then a digest a message,
{"lost": N} for those that came faster than they were read; no end.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ganeti_ext import event
from ganeti_ext.errors import ExtError
from ganeti_ext.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ganeti_ext.session import Job, Record

    Message = Mapping[str, Any]

REMEMBERED = 1000  # digests, half a kilobyte each
_LONGEST = 500
_SAME = ("type", "cluster", "operation", "status", "instance", "network", "group", "node", "error_code", "reason",
         "probe", "progress", "count")  # fmt: skip
_KEPT = (*zip(_SAME, _SAME, strict=True), ("jobId", "job"), ("op_index", "op"))


class Tail:
    """`clock` is that of the day; `about` is said first to whoever comes, beside {"tailing": true}."""

    def __init__(self, clock: Callable[[], float], about: Callable[[], Record]) -> None:
        self._clock = clock
        self._about = about
        self._last: deque[Record] = deque(maxlen=REMEMBERED)
        self._watchers: list[Callable[[Record], None]] = []

    def __call__(self, message: Message, outcome: str = "") -> None:
        """A message went by; `outcome` is what was done with it. Samples tell of nothing that happened."""
        if message.get("type") == event.SAMPLES:
            return
        record = digest(message)
        record["heard"] = self._clock()
        if outcome:
            record["outcome"] = outcome
        self._last.append(record)
        for watcher in self._watchers:
            watcher(record)

    def watch(self, request: Record, wake: Callable[[], None]) -> Job:
        """The answer to a request; ExtError says what is wrong with it."""
        instance, since = request.get("instance"), request.get("since")
        if instance is not None and not (isinstance(instance, str) and instance):
            raise ExtError(f'"instance" is a name, not {str(instance)[:40]!r}')
        if since is not None and not isinstance(since, int | float):
            raise ExtError(f'"since" is a number of seconds, not {str(since)[:40]!r}')
        feed = Feed(wake)

        def watcher(record: Record) -> None:
            if instance is None or is_of(record, instance):
                feed.add(record)

        past = [] if since is None else [record for record in self._last if record["heard"] >= since]
        self._watchers.append(watcher)
        try:
            yield {"tailing": True, **self._about()}
            yield from (record for record in past if instance is None or is_of(record, instance))
            while True:
                yield from feed.taken()
                yield None
        finally:
            self._watchers.remove(watcher)


def digest(message: Message) -> Record:
    """What people want to know of a message: {"time": seconds or null, "type", ...}, keys that it has not left out.

    `began` is when the opcode began its work, in seconds; `said` is the last line of the job, or why it failed.
    """
    # Each message passes here while its daemon has better things to do: a few microseconds.
    get = message.get
    found: Record = {"time": event.seconds(get("event_time"))}
    for key, name in _KEPT:
        value = get(key)
        if value is not None:
            found[name] = value
    began = get("began")
    if began is not None and (moment := event.seconds(began)) is not None:
        found["began"] = moment
    said = get("result")
    if not isinstance(said, str):
        said = get("logmsg")
    if isinstance(said, str) and said:
        found["said"] = said[:_LONGEST]
    return found


def is_of(record: Record, instance: str) -> bool:
    """Whether a digest is about an instance."""
    name = record.get("instance")
    return isinstance(name, str) and (name == instance or name.startswith(f"{instance}."))
