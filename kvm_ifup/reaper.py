"""The daemon that undoes what was set up for taps that are gone: Ganeti 3.0 and 3.1 call nothing when a guest stops.

It acts when the kernel tells of a link that went away, and looks over all records at its start and every minute. It
also follows tenants' groups (follower.py), which change for all taps that have them.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import time

from ganeti_ext import binding, files
from ganeti_ext.control import Control
from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.question import Questions
from ganeti_ext.service import Loop, log_to_journal
from kvm_ifup import firewall, ganetifile, groupfile, links, memberfile, plan
from kvm_ifup.apply import Host
from kvm_ifup.follower import Follower
from kvm_ifup.settings import Settings, load
from kvm_ifup.state import Record, Records
from kvm_ifup.tally import Tally

log = logging.getLogger(__name__)

PERIOD = 60.0
CONTROL = "/run/ganeti-ext/reaper/control"
_CHUNK = 256  # locks held at once, each an open file; a process may have 1024


class Reaper:
    """Compares what is recorded with the taps that are there."""

    def __init__(self, records: Records, host: Host, settings: Settings) -> None:
        self._records = records
        self._host = host
        self._settings = settings
        self._directory = settings.binding_directory
        self.tally = Tally()

    def sweep(self) -> None:
        """Undo all that belongs to taps that are gone. Starts no program when there is nothing to do."""
        recorded, there = set(self._records.taps()), 0
        for tap in self._bound() | recorded:
            try:
                there += not self._sweep(tap) and tap in recorded
            except (ExtError, OSError) as err:
                log.error("tap %s: %s", tap, err)  # its record stays: tried again at the next sweep
                self.tally.failures += 1
        self.tally.records, self.tally.taps = len(list(self._records.taps())), there
        self.tally.swept = time.time()
        for folder in (self._records.directory, self._directory, memberfile.DIRECTORY):
            for draft in files.abandoned(folder):
                if files.remove(draft):
                    log.info("%s: whoever wrote it was killed, removed", draft)

    def restore(self) -> None:
        """Heal the rules of the taps that are there, e.g. after `nft flush ruleset`."""
        taps = sorted(self._records.taps())
        chunks = [taps[start : start + _CHUNK] for start in range(0, len(taps), _CHUNK)]
        while chunks:
            chunk = chunks.pop()
            try:
                self._restore(chunk)
            except (ExtError, OSError) as err:
                if len(chunk) == 1:
                    self._restore_isolation(chunk[0], err)
                else:  # one that vanished just now must not cost the others theirs
                    chunks += [[tap] for tap in chunk]

    def _sweep(self, tap: str) -> bool:
        """Whether the tap is gone."""
        if not self._stale(tap):
            return False
        with self._records.lock(tap):
            stale = self._stale(tap)  # a new guest may have come under the same name
            if isinstance(stale, Record):
                self._host.undo(stale)
                self.tally.reaped["record"] += 1
                log.info("tap %s of %s: gone, removed what it had", tap, stale.instance)
            elif stale:
                binding.remove(tap, self._directory)
                self.tally.reaped["binding"] += 1
                log.info("tap %s of %s: gone, removed its binding", tap, stale.instance)
        return bool(stale)

    def _stale(self, tap: str) -> Record | binding.Binding | None:
        """The record of a tap that is gone, or its binding if it has no record (from before a reboot)."""
        record = self._records.read(tap)
        if record:
            return record if self._host.gone(tap, record.ifindex) else None
        return self._left_binding(tap)

    def _left_binding(self, tap: str) -> binding.Binding | None:
        try:
            found = binding.read(tap, self._directory)
        except binding.BindingError:
            return None  # nfdhcpd tells of it
        # Without an ifindex it is an administrator's own file.
        return found if found.ifindex is not None and self._host.gone(tap, found.ifindex) else None

    def _bound(self) -> set[str]:
        try:
            return set(binding.taps(self._directory))
        except FileNotFoundError:
            return set()

    def _restore_isolation(self, tap: str, why: Exception) -> None:
        """What a tap may say, though its firewall profile cannot be had, should its file be gone or be bad."""
        log.error("tap %s: rules not restored: %s", tap, why)
        self.tally.failures += 1
        if not isinstance(why, ConfigError):
            return
        try:
            with self._records.lock(tap):
                record = self._records.read(tap)
                if record and not self._host.gone(tap, record.ifindex):
                    alone = [record._replace(firewall=None)]
                    self._host.restore(plan.skeleton(self._settings, alone), alone)
        except (ExtError, OSError) as err:
            log.error("tap %s: it is not isolated: %s", tap, err)
        else:
            log.error("tap %s: isolated, but without its firewall profile", tap)

    def _restore(self, taps: list[str]) -> None:
        with contextlib.ExitStack() as locks:
            alive = []
            for tap in taps:
                locks.enter_context(self._records.lock(tap))
                record = self._records.read(tap)
                if record and not self._host.gone(tap, record.ifindex):
                    alive.append(firewall.renumbered(record, self._records))
            if alive:
                used = [record.firewall.profile for record in alive if record.firewall and record.firewall.number]
                rules = plan.skeleton(self._settings, alive) + firewall.rules(used, self._settings)
                self._host.restore(rules, alive)
                self.tally.restored += len(alive)
                log.info("rules of %d taps stand", len(alive))


def main() -> int:
    """Run until SIGTERM; SIGHUP heals the rules. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="ganeti-ext-reaper", description=__doc__)
    parser.add_argument("--control", default=CONTROL, metavar="PATH", help="its control socket (default: %(default)s)")
    control = parser.parse_args().control
    log_to_journal()
    try:
        settings = load()
    except ExtError as err:
        log.error("%s", err)
        return err.exit_code
    records = Records()
    host = Host(records, index=links.ifindex)
    reaper, follower = Reaper(records, host, settings), Follower(records, host, settings)
    os.makedirs(memberfile.DIRECTORY, 0o755, exist_ok=True)
    said, members = ganetifile.Directory(groupfile.DIRECTORY), ganetifile.Directory(memberfile.DIRECTORY)
    departures = links.Departures()  # before the first sweep: what goes during it is told of

    def catch_up() -> None:
        reaper.restore()
        every_minute()

    def every_minute() -> None:
        reaper.sweep()
        said.look()
        follower.look()

    def told() -> None:
        said.drain()
        members.drain()
        follower.follow()

    loop = Loop()
    loop.add(departures, lambda: reaper.sweep() if departures.drain() else None)
    loop.add(said, told)
    loop.add(members, told)
    loop.every(PERIOD, every_minute)
    loop.on_reload(catch_up)
    catch_up()
    questions = Questions("reaper", reaper.tally.status, reaper.tally.metrics)
    with contextlib.closing(Control(control, questions.begin, loop, group="ganeti-ext")):
        loop.run()
    departures.close()
    said.close()
    members.close()
    return 0
