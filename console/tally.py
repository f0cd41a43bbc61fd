"""What the daemon saw and did since it started, and its metrics. Plain numbers."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ganeti_ext.metric import Family, counter, counts, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Tally:
    """`open` and `logs` are as things stand; what is served is counted by what was asked for.

    Connections count with `add`, each in its thread.
    """

    open: int = 0  # screens that somebody looks at
    logs: int = 0  # guests that have a log here
    trimmed: int = 0  # times that one had become too long
    served: dict[str, int] = field(default_factory=lambda: {"screen": 0, "log": 0, "password": 0})
    absent: int = 0  # asked for, and there is no such guest here
    unable: int = 0  # passwords that a guest's agent was to set, and did not
    refused: int = 0  # connections of strangers, and too many at once
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, name: str, number: int = 1) -> None:
        with self._lock:
            setattr(self, name, getattr(self, name) + number)

    def serve(self, what: str) -> None:
        with self._lock:
            self.served[what] += 1

    def status(self) -> dict[str, Any]:
        """The numbers by name."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "_lock"}

    def metrics(self) -> Iterator[Family]:
        """The numbers for Prometheus."""
        yield gauge("ganeti_ext_consoled_open", "Screens that somebody looks at", self.open)
        yield gauge("ganeti_ext_consoled_logs", "Guests that have a serial log here", self.logs)
        yield counter("ganeti_ext_consoled_trimmed_total", "Times that a serial log had become too long", self.trimmed)
        about = "Screens and serial logs that were opened, passwords that were set"
        yield counts("ganeti_ext_consoled_served_total", about, "what", self.served)
        yield counter("ganeti_ext_consoled_absent_total", "Requests for what is not on this node", self.absent)
        yield counter("ganeti_ext_consoled_unable_total", "Passwords that a guest's agent did not set", self.unable)
        yield counter(
            "ganeti_ext_consoled_refused_total", "Connections of strangers, or too many at once", self.refused
        )
