"""What a run has found: told as tables, kept as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from bench import OUT, table
from bench.stats import Sample


class Result:
    """Samples of one run by heading, measure and subject; notes are what a reader must know of a table."""

    def __init__(self, name: str, ours: str, **facts: object) -> None:
        self._name = name
        self._ours = ours
        self._facts = {**facts, **_machine()}
        self._samples: dict[str, dict[str, dict[str, list[Sample]]]] = {}
        self._notes: dict[str, list[str]] = {}

    def add(self, heading: str, measure: str, subject: str, sample: Sample) -> None:
        self._samples.setdefault(heading, {}).setdefault(measure, {}).setdefault(subject, []).append(sample)

    def samples(self, heading: str, measure: str, subject: str) -> list[Sample]:
        """Those of the turns so far."""
        return self._samples.get(heading, {}).get(measure, {}).get(subject, [])

    def note(self, heading: str, text: str) -> None:
        notes = self._notes.setdefault(heading, [])
        if text not in notes:
            notes.append(text)

    def text(self) -> str:
        """All tables, each with its notes; nothing when there are none."""
        if not self._samples:
            return ""
        facts = ", ".join(f"{name} {self._facts[name]}" for name in ("processor", "cores", "kernel", "load before"))
        parts = [f"{facts}\n"]
        for heading, samples in self._samples.items():
            notes = "".join(f"\n  * {note}" for note in self._notes.get(heading, ()))
            parts.append(f"{heading}\n{table.render(self._lines(samples))}{notes}\n")
        return "\n".join(parts)

    def _lines(self, samples: table.Samples) -> list[list[str]]:
        """One table."""
        return table.compare(samples, self._ours)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Print and save at the end of the block what was measured in it; before a failure, too."""
        whole = False
        try:
            yield
            whole = True
        finally:
            if text := self.text():
                print(f"\n{text}\n{self.save(whole=whole)}")

    def save(self, *, whole: bool) -> Path:
        """Write bench/out/NAME-TIME.json and .txt, and of a run that came to its end the same as NAME.json and .txt."""
        OUT.mkdir(exist_ok=True)
        self._facts["load after"] = os.getloadavg()[0]
        content = {"facts": self._facts, "samples": self._samples, "notes": self._notes}
        path = OUT / f"{self._name}-{time.strftime('%Y%m%dT%H%M%S')}.json"
        for place in (path, OUT / f"{self._name}.json") if whole else (path,):
            place.write_text(json.dumps(content, indent=1) + "\n")
            place.with_suffix(".txt").write_text(self.text())
        return path


def _machine() -> dict[str, object]:
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": platform.release(),
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load before": os.getloadavg()[0],
    }
