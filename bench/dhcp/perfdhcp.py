"""perfdhcp of Kea: to run it, and what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from bench import netns
from bench.dhcp import topology
from bench.dhcp.bench import Bench
from bench.process import running
from ganeti_ext.errors import ExtError

_LEG = re.compile(r"\*\*\*Statistics for: (\S+)\*\*\*\s+sent packets: (\d+)\s+received packets: (\d+)")
_SHARED = re.compile(r"non unique addresses: (\d+)")
TIMERS = ("-x", "t")  # options for offer()

_TIMER = re.compile(r"sent / received: (\d+\.\d+) / (\d+\.\d+)")


class Leg(NamedTuple):
    """One half of the exchanges."""

    sent: int
    received: int


class Report(NamedTuple):
    """A run: both legs, and how long each answer took in ms, if asked for.

    `overruns` are answers that came and were dropped at perfdhcp's own socket, `shared` those with an address that
    another guest has, if that was looked at.
    """

    offer: Leg
    ack: Leg
    delays: Sequence[float]
    overruns: int = 0
    shared: int = 0

    @property
    def missing(self) -> int:
        """Messages that perfdhcp saw no answer to."""
        return self.offer.sent - self.offer.received + self.ack.sent - self.ack.received

    @property
    def lost(self) -> float:
        """The share of exchanges that the server failed: of answers that did come, nobody can blame it."""
        return max(0, self.missing - self.overruns) / self.offer.sent if self.offer.sent else 1.0

    @property
    def served(self) -> float:
        """Exchanges that the server did: two answers are one."""
        return (self.offer.received + self.ack.received + min(self.overruns, self.missing)) / 2


def parse(text: str) -> Report:
    """What perfdhcp printed; ValueError when it has no statistics."""
    legs = {name: Leg(int(sent), int(received)) for name, sent, received in _LEG.findall(text)}
    try:
        offer, ack = legs["DISCOVER-OFFER"], legs["REQUEST-ACK"]
    except KeyError as err:
        raise ValueError(f"perfdhcp printed no statistics of {err}: {text[-500:]!r}") from err
    delays = [1000 * (float(got) - float(sent)) for sent, got in _TIMER.findall(text)]
    return Report(offer, ack, delays, shared=sum(map(int, _SHARED.findall(text))))


def warm(bench: Bench, guests: int, name: str) -> None:
    """A first run that does not count: nothing is made for the first time afterwards.

    ExtError when the server answers nobody, or two guests alike: requests would be at the wrong taps.
    """
    report = offer(bench, 500, 1, guests, "-u")
    if report.shared or not report.ack.received:
        said = bench.log(name).read_text(errors="backslashreplace")[-500:]
        raise ExtError(
            f"{name}: of {report.offer.sent} guests {report.ack.received} were served, {report.shared} answers had an "
            f"address of another; its log: {said!r}"
        )


def offer(bench: Bench, rate: float, seconds: int, guests: int, *options: str) -> Report:
    """Start `rate` exchanges a second, one guest after the other."""
    argv = [
        *("perfdhcp", "-4", "-l", "c0", "-r", f"{rate:.0f}", "-p", str(seconds), "-W", "400000"),
        *("-R", str(guests), "-b", f"mac={topology.BASE_MAC}"),
        *options,
        topology.SERVER_IP,
    ]
    before = netns.udp_overruns(topology.CLIENT)
    with running(argv, bench.client, bench.log("perfdhcp")) as process:
        said = process.finish(seconds + 30, good=(0, 3))
    return parse(said)._replace(overruns=netns.udp_overruns(topology.CLIENT) - before)
