"""One conversation on the control socket: requests in, answers out, a bounded piece at a time. No socket, no clock.

Each line is a JSON object. A request names what it wants in "do" (each daemon's questions); its answer is any number
of lines and then {"end": true}, or {"error": "what is wrong"} in place of the rest. Another request may follow it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    Record = dict[str, Any]
    # The records of an answer; None says that there is no more for now.
    Job = Iterator[Record | None]

LINE = 4096  # bytes of a request
ROOM = 1 << 16  # bytes that wait for the peer: an answer is made no faster than it is taken
SLICE = 0.0005  # seconds that one call spends on an answer: the daemon's own work waits meanwhile


class Session:
    """`begin(request)` gives an answer; both it and the answer may raise ExtError."""

    def __init__(self, begin: Callable[[Record], Job], clock: Callable[[], float]) -> None:
        self._begin = begin
        self._clock = clock
        self._in = b""
        self._job: Generator[Record | None] | None = None
        self._paused = False
        self._last = False  # no more requests are taken
        self.out = bytearray()

    @property
    def reads(self) -> bool:
        """Whether it takes bytes now: one request at a time."""
        return self._job is None and not self._last

    @property
    def writes(self) -> bool:
        """Whether there is something to write, or to make."""
        return bool(self.out) or (self._job is not None and not self._paused)

    @property
    def over(self) -> bool:
        """Whether all is said."""
        return self._last and self._job is None and not self.out

    def take(self, data: bytes) -> None:
        """Bytes of the peer; none mean that it has no more requests."""
        if not data:
            self._last = True
            data = b"\n" if self._in else b""
        self._in += data
        if self._job is None:
            self._next()

    def make(self) -> None:
        """Go on with the answer until there is no room, no time or nothing more to say."""
        end = self._clock() + SLICE
        while self._job is not None and not self._paused and len(self.out) < ROOM:
            self._step(self._job)
            if self._clock() >= end:
                break

    def resume(self) -> None:
        """An answer that had no more for now has."""
        self._paused = False

    def close(self) -> None:
        """The peer is gone."""
        job, self._job, self._last = self._job, None, True
        if job is not None:
            job.close()

    def _step(self, job: Job) -> None:
        try:
            record = next(job)
        except StopIteration:
            self._end({"end": True})
        except ExtError as err:
            self._end({"error": str(err)})
        else:
            if record is None:
                self._paused = True
            else:
                self._say(record)

    def _end(self, record: Record) -> None:
        self._job = None
        self._say(record)
        self._next()

    def _next(self) -> None:
        """Begin to answer the next request, if it is here."""
        if b"\n" in self._in:
            line, _, self._in = self._in.partition(b"\n")
            self._job = self._answer(line)
        elif len(self._in) > LINE:
            self._in, self._last = b"", True
            self._say({"error": f"a request of more than {LINE} bytes"})

    def _answer(self, line: bytes) -> Generator[Record | None]:
        yield from self._begin(_request(line))

    def _say(self, record: Record) -> None:
        self.out += json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _request(line: bytes) -> Record:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as err:
        raise ExtError(f"not JSON: {str(err)[:100]}") from err
    if not isinstance(request, dict):
        raise ExtError(f"a request is a JSON object, not {str(request)[:40]!r}")
    return request
