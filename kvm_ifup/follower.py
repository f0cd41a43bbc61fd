"""Groups of tenants that change while taps have them: their profiles are compiled anew, of all taps in one go.

What changed, Ganeti's file of the cluster's tags tells, and the one of groups' members (memberfile.py): of that, only
the elements of sets change. Whatever is missed is mended at the next look.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ganeti_ext.errors import ExtError
from kvm_ifup import firewall, memberfile, plan, profile_nft, profiles
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
        self._members: dict[str, tuple[str, ...]] = {}
        self._sets: set[str] = set()  # of groups whose members were ever put
        self._unused: dict[str, float] = {}

    def follow(self) -> None:
        """If one of the files is another one, put what it says of groups and their members in force."""
        stamp = firewall.stamp()
        if stamp == self._stamp:
            return
        now, told = self._compiled(), memberfile.read()
        changed = [name for name, each in now.items() if each != self._known.get(name)]
        failed = self._put(changed)
        self._known = {name: each for name, each in now.items() if name not in failed}
        fresh = {key for name in changed if name in self._known for key in self._known[name].groups}
        known = {key: told.get(key, ()) for each in self._known.values() for key in each.groups}
        others = [key for key, some in known.items() if key not in fresh and some != self._members.get(key)]
        joined = self._join(others)
        self._sets |= known.keys()
        self._members = known if joined else {}
        self._stamp = stamp if joined and not failed else None

    def look(self) -> None:
        """Every now and then: also what was missed, and numbers that no tap needs any more."""
        self._stamp = None
        self.follow()
        try:
            self._tidy()
            self._tidy_sets()
        except (ExtError, OSError) as err:
            log.error("security groups: %s", err)

    def _compiled(self) -> dict[str, Profile]:
        """The profiles of taps that groups are a part of, but for those of which another part cannot be read."""
        found = {}
        for name in sorted(self._used()):
            try:
                found[name] = profiles.load(name)
            except (ExtError, OSError) as err:
                log.error("security groups: profile %s stays as it was: %s", name, err)
        return found

    def _put(self, names: list[str]) -> list[str]:
        """Bring profiles into force, all at once; those for which that failed, alone as well."""
        if not names:
            return []
        try:
            text = plan.judging(self._settings) + firewall.rules(names, self._settings, self._directory)
            self._host.restore(text, [])
        except (ExtError, OSError) as err:
            if len(names) > 1:  # one must not cost the others theirs
                return [failed for name in names for failed in self._put([name])]
            log.error("security groups: profile %s stays as it was: %s", names[0], err)
            return names
        log.info("security groups: profiles %s are in force", ", ".join(names))
        return []

    def _join(self, keys: list[str]) -> bool:
        """Let the sets of these groups hold their members; whether they do."""
        if not keys:
            return True
        try:
            text = firewall.member_rules(keys, self._settings)
            if text:
                self._host.restore(text, [])
        except (ExtError, OSError) as err:
            log.error("security groups: members of %s stay as they were: %s", ", ".join(keys), err)
            return False
        log.info("security groups: members of %s are known", ", ".join(keys))
        return True

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

    def _tidy_sets(self) -> None:
        """Sets of members go when no profile's rules can have them any more."""
        needless = self._sets - self._members.keys()
        if needless and not self._unused and self._stamp is not None:
            text = firewall.no_member_rules(needless, self._settings)
            if text:
                self._host.restore(text, [])
            self._sets -= needless
