"""What the running daemon tells of itself when it is asked: a request in, records out, and nothing is changed.

{"do": "list"}                    every tap: instance, MAC, addresses, counts; and why a binding is not served
{"do": "show", "tap": TAP}        all of one tap; what a typical client would be answered to each of PROBES
{"do": "test", "tap": TAP, "ask": [NAME, ...]}  what it would be answered to some of PROBES, the reply in hex
{"do": "watch", "tap": TAP}       {"watching": true}, then each transaction as it happens, of all taps without
                                  "tap"; {"lost": N} for those that came faster than they were read; no end
{"do": "metrics"}                 {"queues": [NUMBER, ...]}, then families (ganeti_ext/metric.py), some a tap at a time
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ganeti_ext import __version__, metric
from ganeti_ext.errors import ExtError
from nfdhcpd import discovery, metrics, responder
from nfdhcpd.answer import Pass, Silence
from nfdhcpd.feed import Feed
from nfdhcpd.frame import FrameError
from nfdhcpd.probe import PROBES
from nfdhcpd.stats import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ganeti_ext.session import Job, Record
    from nfdhcpd.client import Client
    from nfdhcpd.service import Watcher
    from nfdhcpd.stats import Stats
    from nfdhcpd.table import Table

_ANSWER = {4: responder.answer, 6: discovery.answer}
_NONE = Counts()


class Service(Protocol):
    """service.Service, as far as it is asked."""

    table: Table
    stats: Stats
    watchers: list[Watcher]


class Questions:
    """Answers requests about a service. `clock` is that of the day."""

    def __init__(self, service: Service, clock: Callable[[], float]) -> None:
        self._service = service
        self._clock = clock
        self._started = clock()

    def begin(self, request: Record, wake: Callable[[], None]) -> Job:
        """The answer, which may raise ExtError at any time; `wake` is called when one that waits has more."""
        do = request.get("do")
        if do == "watch":
            return self._watch(request, wake)
        make = _ANSWERS.get(do) if isinstance(do, str) else None
        if make is None:
            raise ExtError(f"unknown request {str(do)[:40]!r}; known: {', '.join(sorted([*_ANSWERS, 'watch']))}")
        return make(self, request)

    def list(self, _request: Record) -> Iterator[Record]:
        """A record for every binding."""
        table = self._service.table
        for client in list(table):
            counts = self._counts(client.tap)
            yield {**_about(client), "answered": sum(counts.answered.values()), "dropped": sum(counts.dropped.values())}
        for tap, why in list(table.stale.items()):
            yield {"tap": tap, "why": why, "dropped": sum(self._counts(tap).dropped.values())}

    def show(self, request: Record) -> Iterator[Record]:
        """The guest, then its answers."""
        client = self._client(request)
        counts = self._counts(client.tap)
        more = {"ifindex": client.ifindex, "macspoof": client.macspoof, "server_mac": client.source.hex(":")}
        yield {**_about(client), **more, "answered": counts.answered, "dropped": counts.dropped}
        for name in PROBES:
            yield answer(client, name)

    def test(self, request: Record) -> Iterator[Record]:
        """A record for each name that is asked."""
        client = self._client(request)
        names = request.get("ask", list(PROBES))
        if not isinstance(names, list) or not all(isinstance(name, str) and name in PROBES for name in names):
            raise ExtError(f'"ask" is a list of {", ".join(PROBES)}, not {str(names)[:40]!r}')
        for name in names:
            yield answer(client, name)

    def metrics(self, _request: Record) -> Iterator[Record]:
        """Numbers of the daemon, then those of each tap."""
        table, stats = self._service.table, self._service.stats
        instances = {client.tap: client.instance for client in table}
        counted = {"served": len(instances), "not_served": len(table.stale)}
        yield {"queues": list(_queues(table))}
        yield from metric.records(metrics.whole(stats, version=__version__, started=self._started, **counted))
        for tap, counts in list(stats.taps.items()):
            yield from metric.records(metrics.tap(tap, instances.get(tap, ""), counts))

    def _watch(self, request: Record, wake: Callable[[], None]) -> Job:
        tap = None if request.get("tap") is None else self._known(request)
        feed = Feed(tap, wake, self._clock)
        self._service.watchers.append(feed)
        try:
            yield {"watching": True}
            while True:
                yield from feed.taken()
                yield None
        finally:
            self._service.watchers.remove(feed)

    def _counts(self, tap: str) -> Counts:
        return self._service.stats.taps.get(tap, _NONE)

    def _client(self, request: Record) -> Client:
        tap = self._known(request)
        found = [client for client in self._service.table if client.tap == tap]
        if not found:
            raise ExtError(f"{tap} is not served: {self._service.table.stale.get(tap, 'its binding is being read')}")
        return found[0]

    def _known(self, request: Record) -> str:
        tap = request.get("tap")
        if not isinstance(tap, str) or tap not in self._service.table.taps():
            raise ExtError(f"there is no binding of a tap {str(tap)[:40]!r}")
        return tap


_ANSWERS: Mapping[str, Callable[[Questions, Record], Iterator[Record]]] = {
    "list": Questions.list,
    "show": Questions.show,
    "test": Questions.test,
    "metrics": Questions.metrics,
}


def answer(client: Client, name: str) -> Record:
    """What a guest would be answered to one of PROBES: the frame in hex, or why there is none."""
    version, make = PROBES[name]
    try:
        found = _ANSWER[version](make(client), client.mac, client)
    except Pass:
        return {"ask": name, "why": "left to the kernel"}
    except (Silence, FrameError) as err:
        return {"ask": name, "why": str(err)}
    return {"ask": name, "asked": found.asked, "told": found.told, "frame": found.frame.hex()}


def _about(client: Client) -> Record:
    return {
        "tap": client.tap,
        "instance": client.instance,
        "mac": client.mac.hex(":"),
        "ipv4": str(client.lease.ip) if client.lease else "",
        "ipv6": client.ipv6,
    }


def _queues(table: Table) -> Iterable[int]:
    settings = table.settings
    return [section.queue for section in (settings.dhcp, settings.ipv6) if section.enable]
