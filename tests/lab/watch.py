"""A client of the API who looks at servers all the time, beside one who pings them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from tests.lab.caller import COMPUTE, Caller
from tests.lab.guests import pings

_PAUSE = 0.2  # seconds between two looks

Told = tuple[str, str | None]
"""A server's status, and its task state."""


class Watch:
    """Looks in threads of its own until `stop`; `pinged` has an address of each server by its name.

    `told` is all that a client was told of each server by name; `away` and `silent` are the longest times in seconds
    that the API, and that each server, did not answer.
    """

    def __init__(self, caller: Caller, pinged: Mapping[str, str]) -> None:
        self._caller, self._pinged = caller, pinged
        self.told: dict[str, set[Told]] = defaultdict(set)
        self.away = 0.0
        self.silent: dict[str, float] = dict.fromkeys(pinged, 0.0)
        self._over = threading.Event()
        looks: list[Callable[[], None]] = [self._look, *(lambda name=name: self._ping(name) for name in pinged)]
        self._threads = [threading.Thread(target=look) for look in looks]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _look(self) -> None:
        heard = time.monotonic()
        while not self._over.wait(_PAUSE):
            try:
                servers: list[dict[str, Any]] = self._caller.call("GET", f"{COMPUTE}/servers/detail")["servers"]
            except OSError:  # urllib.error.URLError and HTTPError are some
                servers = []
            else:
                heard = time.monotonic()
            self.away = max(self.away, time.monotonic() - heard)
            for server in servers:
                self.told[server["name"]].add((server["status"], server["OS-EXT-STS:task_state"]))

    def _ping(self, name: str) -> None:
        heard = time.monotonic()
        while not self._over.wait(_PAUSE):
            if pings(self._pinged[name]):
                heard = time.monotonic()
            self.silent[name] = max(self.silent[name], time.monotonic() - heard)
