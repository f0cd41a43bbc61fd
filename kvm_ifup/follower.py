"""Groups of tenants that change while taps have them: their profiles are compiled anew, of all taps in one go.

What changed, Ganeti's file of the cluster's tags tells; so whatever is missed is mended at the next look.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ganeti_ext.errors import ExtError
from kvm_ifup import firewall, groupfile, plan, profile_nft, profiles
from kvm_ifup.profile import is_composed
from kvm_ifup.state import DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from kvm_ifup.apply import Host
    from kvm_ifup.profile import Profile
    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Records

log = logging.getLogger(__name__)

# Seconds in which whoever brings up a tap with a profile has written that down: until then no number is freed.
_SURELY = 600.0


class Follower:
    """Of one node. Its methods never raise: who calls them is called by the kernel or the clock."""

    def __init__(
        self,
        records: Records,
        host: Host,
        settings: Settings,
        directory: str = DIRECTORY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records, self._host, self._settings = records, host, settings
        self._directory, self._clock = directory, clock
        self._stamp: object = None
        self._known: dict[str, Profile] = {}
        self._unused: dict[str, float] = {}

    def follow(self) -> None:
        """If Ganeti's file is another one, put what it says of groups in force."""
        stamp = groupfile.stamp()
        if stamp == self._stamp:
            return
        try:
            self._put()
        except (ExtError, OSError) as err:
            log.error("security groups: rules stay as they were: %s", err)
        else:
            self._stamp = stamp

    def look(self) -> None:
        """Every now and then: also what was missed, and numbers that no tap needs any more."""
        self._stamp = None
        self.follow()
        try:
            self._tidy()
        except (ExtError, OSError) as err:
            log.error("security groups: %s", err)

    def _put(self) -> None:
        now = {name: profiles.load(name) for name in sorted(self._used())}
        changed = [name for name, each in now.items() if each != self._known.get(name)]
        if changed:
            text = plan.judging(self._settings) + firewall.rules(changed, self._settings, self._directory)
            self._host.restore(text, [])
            log.info("security groups: profiles %s are in force", ", ".join(changed))
        self._known = now

    def _used(self) -> set[str]:
        """The profiles of taps that groups are a part of, and that judge anything."""
        assigned = (record.firewall for record in self._records.all())
        return {each.profile for each in assigned if each and each.number and is_composed(each.profile)}

    def _tidy(self) -> None:
        """Each new choice of groups takes a number on this node, of which there are some thousands."""
        now, numbers = self._clock(), firewall.numbers(self._directory)
        used = {record.firewall.profile for record in self._records.all() if record.firewall}
        unused = {name: number for name, number in numbers.all().items() if is_composed(name) and name not in used}
        self._unused = {name: self._unused.get(name, now) for name in unused}
        for name, since in [*self._unused.items()]:
            if now - since >= _SURELY:
                self._host.restore(profile_nft.unchain(unused[name], int(self._settings.mark_mask, 16)), [])
                numbers.free(name)
                del self._unused[name]
                log.info("security groups: profile %s is no tap's, number %d is free", name, unused[name])
