"""Hears a broker of a cluster's own, in a thread: one that hangs keeps no other cluster's messages waiting."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from frontend.update.consumer import Applies, Pump, Source
from ganeti_ext.errors import ExtError
from ganeti_ext.service import Loop

log = logging.getLogger(__name__)


class Listener:
    """Begins at once. `source` is made in the thread, as is what `returned` says of the database."""

    def __init__(self, name: str, source: Callable[[], Source], mirror: Applies, returned: Callable[[], None]) -> None:
        self._name, self._source, self._mirror, self._returned = name, source, mirror, returned
        self._loop = Loop()
        self._pump: Pump | None = None
        self._thread = threading.Thread(target=self._run, name=f"listener {name}", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Everything that was there is applied."""
        return self._pump is not None and self._pump.idle

    @property
    def is_dead(self) -> bool:
        """It has ended by itself: another one is to be begun."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """It ends within a second, unless its broker keeps it."""
        self._loop.stop()

    def _run(self) -> None:
        try:
            self._pump = Pump(self._source(), self._mirror, returned=self._returned)
            self._pump.start(self._loop)
            self._loop.work()
        except (ExtError, SQLAlchemyError, OSError) as err:
            log.error("cluster %s: its messages are not heard: %s", self._name, str(err).split("\n", 1)[0])
        finally:
            if self._pump is not None:
                self._pump.close()
