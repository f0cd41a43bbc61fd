"""Packets and changes to the table in, frames out."""

from __future__ import annotations

import errno
import logging
import random
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from ganeti_ext.binding import BindingError
from nfdhcpd import discovery, memory, ra
from nfdhcpd.answer import Pass, Silence
from nfdhcpd.frame import FrameError
from nfdhcpd.notice import Notices
from nfdhcpd.schedule import Schedule
from nfdhcpd.stats import Stats
from nfdhcpd.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ganeti_ext.binding import Binding
    from nfdhcpd.client import Client, Link
    from nfdhcpd.settings import Settings
    from nfdhcpd.table import Change

log = logging.getLogger(__name__)


class Files(Protocol):
    """bindings.Directory."""

    def taps(self) -> set[str]: ...
    def read(self, tap: str) -> Binding | None: ...
    def changed(self) -> set[str] | None: ...


class Links(Protocol):
    """rtnetlink.Watch."""

    def look(self, name: str) -> Link | None: ...
    def changed(self) -> set[str]: ...


# Sends frames to interface indexes; the errors of those that could not be sent, by their place in the list.
Send = Callable[[list[tuple[int, bytes]]], dict[int, OSError]]
# An answer function: its Answer, or as much of a tuple.
Handler = Callable[[bytes, "bytes | None", "Client"], tuple[str, str, bytes]]
# Answers that leave together: one call of the kernel costs less than many, but who asked first should not wait.
GROUP = 8
# What is worth a line though it was answered: an address in use by another, or given back.
NOTED = frozenset(("DECLINE6", "RELEASE6"))
# Tap, instance, what was asked, what was told or why nothing, seconds that it took.
Watcher = Callable[[str, str, str, str, float], None]


class Service:
    """The daemon without its sockets."""

    def __init__(
        self,
        settings: Settings,
        files: Files,
        links: Links,
        send: Send,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._links = links
        self._send = send
        self._clock = clock
        self._schedule = Schedule(settings.ipv6.ra_period, random.random)
        self._notices = Notices(clock)
        # Answers that wait for `flush`: whose, what was asked and told, the frame, when it was asked.
        self._outbox: list[tuple[Client, str, str, bytes, float]] = []
        # A packet of IPv4 to port 67, or of IPv6 discovery; whether it ends here.
        self.dhcp4 = partial(self._take, memory.answer)
        self.ipv6 = partial(self._take, discovery.answer)
        self.stats = Stats()
        self.watchers: list[Watcher] = []
        self.table = Table(settings, links.look)
        self.resync()

    def _take(self, answer: Handler, ifindex: int, hardware: bytes | None, packet: bytes) -> bool:
        client = self.table.by_index.get(ifindex) or self._missing(ifindex)
        if client is None:
            return self._foreign(ifindex)
        start = self._clock()
        try:
            asked, told, frame = answer(packet, hardware, client)
        except Pass:
            return False
        except (Silence, FrameError) as err:
            self._unanswered(client, err, start)
        else:
            self._outbox.append((client, asked, told, frame, start))
            if len(self._outbox) >= GROUP:
                self.flush()
        return True

    def flush(self) -> None:
        """Send the answers that wait."""
        if not self._outbox:
            return
        outbox, self._outbox = self._outbox, []
        failed = self._send([(client.ifindex, frame) for client, _, _, frame, _ in outbox])
        now = self._clock()
        for place, (client, asked, told, _, start) in enumerate(outbox):
            if place in failed:
                self._unanswered(client, failed[place], start)
                continue
            self.stats.count(client.counts, asked, now - start)
            if asked in NOTED:
                self._notices.say(str(client), "%s: %s", asked, told)
            if self.watchers:
                self._tell(client, asked, told, now - start)

    def _tell(self, client: Client, asked: str, told: str, seconds: float) -> None:
        for watcher in self.watchers:
            watcher(client.tap, client.instance, asked, told, seconds)

    def bug(self, ifindex: int) -> None:
        """A packet was dropped because of the exception that is being handled."""
        self.stats.bugs += 1
        client = self.table.by_index.get(ifindex)
        key = str(client) if client else f"interface {ifindex}"
        self._notices.say(key, "bug: a packet was dropped: %s", traceback.format_exc(), level=logging.ERROR)

    def _missing(self, ifindex: int) -> Client | None:
        """The client whose binding may be among the events that the loop has not come to yet."""
        self.sync()
        return self.table.by_index.get(ifindex)

    def _foreign(self, ifindex: int) -> bool:
        """Whether a packet ends here that is of no client: only if its tap was to be one, and its binding is bad."""
        tap = self.table.refused.get(ifindex)
        if tap is None:
            self.stats.foreign += 1
            return False
        self.stats.drop(tap, "refused")
        self._notices.say(tap, "dropped: its binding is bad")
        return True

    def _unanswered(self, client: Client, err: Exception, start: float) -> None:
        """Count and say why."""
        if isinstance(err, Silence):
            asked, reason, text = err.asked, err.reason, "no answer: %s"
        elif isinstance(err, OSError):
            asked, reason, text = "", "unsent", "a frame could not be sent: %s"
        else:
            asked, reason, text = "", "malformed", "no answer: %s"
        self.stats.drop(client.tap, reason)
        self._notices.say(str(client), text, err)
        self._tell(client, asked, text % err, self._clock() - start)

    def tick(self) -> None:
        """Send the periodic advertisements that are due.

        Syncs first: what broke while a packet was handled, such as a directory that went away, ends the daemon here.
        """
        self.sync()
        for ifindex in self._schedule.due(self._clock()):
            client = self.table.by_index.get(ifindex)
            if client is not None and client.advert is not None:
                self._out(client, client.advert.frame)

    def sync(self) -> None:
        """Take in what the kernel has told of interfaces, then of files: a tap exists before its binding."""
        self._apply(self.table.changed(self._links.changed()))
        touched = self._files.changed()
        if touched is None:
            log.warning("events of the binding directory were lost: reading all of it")
            self.resync()
        else:
            self._read(touched)

    def resync(self) -> None:
        """Read every binding, and forget those that are gone."""
        self._read(self._files.taps() | self.table.taps())

    def reconfigure(self, settings: Settings) -> None:
        """Serve by other settings from now on."""
        self._schedule.period = settings.ipv6.ra_period
        self._apply(self.table.reconfigure(settings))
        self.resync()

    def dump(self) -> None:
        """Log the table."""
        for client in sorted(self.table, key=lambda client: client.tap):
            ip = client.lease.ip if client.lease else "no IPv4"
            six = client.ipv6 or ("advertised" if client.advert else "no IPv6")
            log.info("%s: ifindex %d, %s, %s, %s", client, client.ifindex, client.mac.hex(":"), ip, six)
        for tap, why in sorted(self.table.stale.items()):
            log.info("%s: not served: %s", tap, why)
        log.info("%d taps served, %d bindings not", len(list(self.table)), len(self.table.stale))

    def _read(self, taps: Iterable[str]) -> None:
        for tap in sorted(taps):
            found: Binding | BindingError | None
            try:
                found = self._files.read(tap)
            except BindingError as err:
                found = err
            self._apply(self.table.drop(tap) if found is None else self.table.put(tap, found))
            if found is None:
                self.stats.forget(tap)

    def _apply(self, changes: Iterable[Change]) -> None:
        for before, after in changes:
            if before is not None:
                self._schedule.stop(before.ifindex)
                self._withdraw(before, after)
                if after is None:
                    self._notices.forget(str(before))
                    self.stats.forget(before.tap)
            if after is not None:
                after.counts = self.stats.of(after.tap)
            if after is not None and after.advert is not None:
                self._schedule.start(after.ifindex, self._clock())
            if before is None or after is None:
                log.info("%s: %s", after or before, "served" if after else "no longer served")

    def _withdraw(self, before: Client, after: Client | None) -> None:
        """Take back what is not advertised any more (RFC 4861, 6.2.5), if its tap is still there."""
        link = self._links.look(before.tap)
        if before.advert is None or link is None or link.ifindex != before.ifindex:
            return
        frame = ra.withdraw(before.advert, after.advert if after else None)
        if frame is not None:
            self._out(before, frame)

    def _out(self, client: Client, frame: bytes) -> None:
        for err in self._send([(client.ifindex, frame)]).values():
            if err.errno not in (
                errno.ENXIO,
                errno.ENODEV,
            ):  # else the tap has just gone, and rtnetlink is about to say so
                self._notices.say(str(client), "a frame could not be sent: %s", err)
