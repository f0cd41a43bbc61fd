"""Serves metrics by HTTP. The only user of python3-prometheus-client."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.service import notify

try:
    import prometheus_client
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector, CollectorRegistry
except ImportError as err:
    raise ExtError("python3-prometheus-client is not installed: the exporter needs it") from err

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ganeti_ext.metric import Family


class Told(Collector):
    """Collects anew for each scrape."""

    def __init__(self, found: Callable[[], Iterable[Family]]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        for family in self._found():
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
            for sample in family.samples:
                metric.add_sample(family.name + sample.suffix, dict(sample.labels), sample.value)
            yield metric

    def describe(self) -> list[Metric]:
        """Nothing: what there is follows from the daemons."""
        return []


def export(listen: str, found: Callable[[], Iterable[Family]]) -> None:
    """Serve at HOST:PORT until SIGTERM or SIGINT; ExtError when that cannot be listened at."""
    host, port = address(listen)
    registry = CollectorRegistry()
    registry.register(Told(found))
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before there are threads
    try:
        server, _ = prometheus_client.start_http_server(port, host, registry)
    except OSError as err:
        raise ExtError(f"{listen}: {err.strerror or err}") from err
    notify("READY=1")
    signal.sigwait(ends)
    notify("STOPPING=1")
    server.shutdown()
    server.server_close()


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT or [HOST]:PORT, taken apart; ConfigError when it is neither."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"listen: {listen!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
