"""Asks all daemons of a machine at once, for one scrape."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ganeti_ext import metric
from ganeti_ext.errors import ExtError
from ganeti_ext.metric import Family, Sample
from monitor import daemon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.daemon import Place

log = logging.getLogger(__name__)


class Collection:
    """What the daemons at some places tell, anew at each call."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._trouble: dict[str, str] = {}

    def __call__(self) -> list[Family]:
        up = Family("ganeti_ext_up", "gauge", "Whether a daemon that is installed on this machine answers", [])
        families = [up]
        with ThreadPoolExecutor(max(1, len(self._places))) as pool:
            for place, found in zip(self._places, pool.map(self._ask, self._places), strict=True):
                up.samples.append(Sample(found is not None, {"daemon": place.name}))
                families += daemon.down(place) if found is None else found
        return metric.joined(families)

    def _ask(self, place: Place) -> list[Family] | None:
        """None when it does not answer; the log says why, once."""
        try:
            found = daemon.metrics(place)
        except (ExtError, OSError, ValueError) as err:
            if self._trouble.get(place.name) != str(err):
                log.warning("%s: %s", place.name, err)
            self._trouble[place.name] = str(err)
            return None
        if self._trouble.pop(place.name, None):
            log.info("%s answers again", place.name)
        return found
