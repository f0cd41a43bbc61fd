"""What daemons are asked on their control sockets: requests by name, and what all of them answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ganeti_ext import __version__, metric
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ganeti_ext.metric import Family
    from ganeti_ext.session import Job, Record

    Answer = Callable[[Record, Callable[[], None]], Job]


class Questions:
    """Answers requests of a daemon by the name in "do".

    "status" is one record, `status()` with the daemon's version and start; "metrics" are families (metric.py).
    `more` has further answers, which get the request and what to call when one that waits has more.
    """

    def __init__(
        self,
        daemon: str,
        status: Callable[[], Record],
        metrics: Callable[[], Iterable[Family]],
        more: Mapping[str, Answer] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._daemon = daemon
        self._status = status
        self._metrics = metrics
        self._started = clock()
        self._answers: dict[str, Answer] = {"status": self._tell, "metrics": self._measure, **(more or {})}

    def begin(self, request: Record, wake: Callable[[], None]) -> Job:
        """The answer, which may raise ExtError at any time."""
        do = request.get("do")
        answer = self._answers.get(do) if isinstance(do, str) else None
        if answer is None:
            raise ExtError(f"unknown request {str(do)[:40]!r}; known: {', '.join(sorted(self._answers))}")
        return answer(request, wake)

    def _tell(self, _request: Record, _wake: Callable[[], None]) -> Job:
        yield {"daemon": self._daemon, "version": __version__, "started": self._started, **self._status()}

    def _measure(self, _request: Record, _wake: Callable[[], None]) -> Job:
        yield from metric.records(metric.identity(self._daemon, __version__, self._started))
        yield from metric.records(self._metrics())
