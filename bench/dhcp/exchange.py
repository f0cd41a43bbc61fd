"""Four-way exchanges: how many a second, at what delay, for how much processor time."""

from __future__ import annotations

from itertools import product

from bench.dhcp import perfdhcp
from bench.dhcp.bench import Bench
from bench.dhcp.perfdhcp import Report
from bench.dhcp.servers import ALL, NFDHCPD, Server, idle, lost_in_queue, serving
from bench.process import Process
from bench.stats import highest, percentile
from lab.step import step

RATES = (200, 2000, 5000)  # exchanges/s that delay and cost are compared at
LOSS = 0.01
_HIGHEST = "highest rate, exchanges/s"
_START = {"dnsmasq": 400.0}
_LEAST, _MOST = 25.0, 40_000.0


def measure(bench: Bench) -> None:
    """All servers in turns, each round in another order."""
    for guests, turn, number in product(bench.sizes, range(bench.rounds), range(len(ALL))):
        server = ALL[(turn + number) % len(ALL)]
        with (
            step(f"Exchanges, {guests:,} guests, round {turn + 1} of {bench.rounds}: {server.name}"),
            serving(bench, server, guests) as process,
        ):
            _Turn(bench, server, guests, process).take()


class _Turn:
    """One server's turn."""

    def __init__(self, bench: Bench, server: Server, guests: int, process: Process) -> None:
        self._bench = bench
        self._server = server
        self._guests = guests
        self._process = process
        self._overruns = 0
        self._heading = f"Four-way exchanges with {guests:,} guests"

    def take(self) -> None:
        perfdhcp.warm(self._bench, self._guests, self._server.name)
        idle(self._process)
        self._fixed()
        self._highest()
        self._add("RSS, MB", self._process.rss())
        if self._server is NFDHCPD:
            self._add("lost in NFQUEUE, packets", lost_in_queue(self._process))

    def _fixed(self) -> None:
        """Delay and cost at the rates that the server keeps; who does not keep one is spared the next."""
        keeps = True
        for rate in RATES:
            p50, p99, cost = None, None, None
            if keeps:
                report, spent = self._offer(rate, *perfdhcp.TIMERS)
                if keeps := report.lost < LOSS:
                    p50, p99, cost = percentile(report.delays, 0.5), percentile(report.delays, 0.99), spent
                else:
                    self._note(f"{self._server.name} does not keep {rate:,}/s")
                    idle(self._process)
            self._add(f"p50 at {rate:,}/s, ms", p50)
            self._add(f"p99 at {rate:,}/s, ms", p99)
            self._add(f"processor at {rate:,}/s, us an exchange", cost)

    def _highest(self) -> None:
        done: dict[float, tuple[float, float]] = {}

        def keeps(rate: float) -> bool:
            return self._keeps(rate, done)

        known = [rate for rate in self._bench.result.samples(self._heading, _HIGHEST, self._server.name) if rate]
        start = known[-1] if known else _START.get(self._server.name, 4000.0)
        # Within 10 %: from nowhere in long steps, from what an earlier round found in short ones.
        step, halvings = (1.2, 1) if known else (1.5, 2)
        best = highest(keeps, start, step=step, halvings=halvings, least=_LEAST, most=_MOST)
        rate, cost = done[best] if best else (None, None)
        self._add(_HIGHEST, rate)
        self._add("processor there, us an exchange", cost)
        self._add("answers dropped by perfdhcp", self._overruns)

    def _keeps(self, rate: float, done: dict[float, tuple[float, float]]) -> bool:
        """Whether a rate is kept; what was done of it a second, and at what cost, goes into `done`.

        A hiccup of the machine is no limit of the server: a rate that fails once is tried again.
        """
        for _ in range(2):
            report, cost = self._offer(rate)
            done[rate] = report.served / self._bench.seconds, cost
            self._overruns += report.overruns
            offered = report.offer.sent > 0.95 * rate * self._bench.seconds
            if offered and report.lost < LOSS:
                return True
            idle(self._process)
            if not offered:
                self._note(f"{self._server.name}: the highest rate is perfdhcp's, which cannot offer more")
                break
        return False

    def _offer(self, rate: float, *options: str) -> tuple[Report, float]:
        """One run of perfdhcp, and the server's microseconds an exchange."""
        before = self._process.cpu()
        report = perfdhcp.offer(self._bench, rate, self._bench.seconds, self._guests, *options)
        return report, 1e6 * (self._process.cpu() - before) / max(1.0, report.served)

    def _add(self, measure: str, sample: float | None) -> None:
        self._bench.result.add(self._heading, measure, self._server.name, sample)

    def _note(self, text: str) -> None:
        self._bench.result.note(self._heading, text)
