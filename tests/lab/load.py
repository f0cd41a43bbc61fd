"""An administrator's work that goes on all the time: jobs of all kinds on many objects, by the remote API.

What the jobs lead to is no matter here: many are in each other's way, and Ganeti refuses some. What came of them is
asked elsewhere (promise.py).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import Protocol

from ganeti_ext.errors import ExtError, RapiError
from tests.lab.jobfiles import JobFiles

_AT_ONCE = 2  # jobs that a worker submits before it waits for their ends
_POLL = 0.3  # seconds between two looks at the jobs' files, and before a call that failed is tried again
_OPERATIONS = 8  # on an object before it is removed

Call = Callable[[], int]
"""Submits a job, and returns its number."""


class Target(Protocol):
    """What is worked on: one object at a time, again and again."""

    def add(self) -> int:
        """A new one, for the others to work on."""

    def remove(self) -> int: ...

    def operations(self) -> Sequence[tuple[str, int, Call]]:
        """Names, how often each is chosen, and what submits it."""


class Load:
    """A thread for each target; all are paused until `resume`."""

    def __init__(self, targets: Sequence[Target], jobs: JobFiles, random: Random) -> None:
        self._jobs, self._random = jobs, random
        self._go, self._stop = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(target,)) for target in targets]
        self.submitted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def resume(self) -> None:
        self._go.set()

    def pause(self) -> None:
        """Submit nothing more, but what is being submitted just now."""
        self._go.clear()

    def stop(self) -> None:
        """Pause for good; what was submitted may still go on in Ganeti."""
        self._stop.set()
        self._go.set()
        for thread in self._threads:
            thread.join()

    def _work(self, target: Target) -> None:
        for batch in self._batches(target):
            self._go.wait()
            if self._stop.is_set():
                return
            self._await([job for name, call in batch if (job := self._submit(name, call))])

    def _batches(self, target: Target) -> Iterator[Sequence[tuple[str, Call]]]:
        while True:
            yield [("add", target.add)]
            for _ in range(0, _OPERATIONS, _AT_ONCE):
                known = target.operations()
                chosen = self._random.choices(known, [weight for _, weight, _ in known], k=_AT_ONCE)
                yield [(name, call) for name, _, call in chosen]
            yield [("remove", target.remove)]

    def _submit(self, name: str, call: Call) -> int | None:
        self._go.wait()
        try:
            job = call()
        except RapiError as err:
            self.refused[f"{name}: {err}"] += 1
            return None
        except ExtError:  # there is no master just now, or nobody knows whether it took the job
            self._stop.wait(_POLL)
            return None
        self.submitted[name] += 1
        return job

    def _await(self, numbers: Sequence[int]) -> None:
        waiting = list(numbers)
        while waiting and not self._stop.wait(_POLL):
            with suppress(LookupError, OSError):
                waiting = [number for number in waiting if not self._jobs.has_ended(number)]
