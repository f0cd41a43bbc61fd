"""What the reaper saw and did since it started, and its metrics. Plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ganeti_ext.metric import Family, counter, counts, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Tally:
    """`records` and `taps` are of the last sweep, which ended at `swept`, in seconds since the epoch (0.0: never)."""

    records: int = 0  # taps that something was set up for
    taps: int = 0  # of these, those that are there
    reaped: dict[str, int] = field(default_factory=lambda: {"record": 0, "binding": 0})
    failures: int = 0  # taps for which something could not be undone, or rules not restored
    restored: int = 0  # taps whose rules were put back
    swept: float = 0.0

    def status(self) -> dict[str, Any]:
        """The numbers by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def metrics(self) -> Iterator[Family]:
        """The numbers for Prometheus."""
        yield gauge("ganeti_ext_reaper_records", "Taps that something was set up for", self.records)
        yield gauge("ganeti_ext_reaper_taps", "Of the recorded taps, those that are there", self.taps)
        about = "What was undone of taps that are gone, by what there was of them"
        yield counts("ganeti_ext_reaper_reaped_total", about, "what", self.reaped)
        yield counter("ganeti_ext_reaper_restored_total", "Taps whose rules were put back", self.restored)
        yield counter("ganeti_ext_reaper_failures_total", "What could not be undone or put back", self.failures)
        when = "When all records were last looked over, in seconds since 1970"
        yield gauge("ganeti_ext_reaper_last_sweep_timestamp_seconds", when, self.swept or None)
