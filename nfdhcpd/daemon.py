"""The daemon: makes the sockets, wires the parts, runs the loop."""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from typing import TYPE_CHECKING

from ganeti_ext.control import Control
from ganeti_ext.errors import ExtError
from ganeti_ext.service import Loop
from nfdhcpd import divert
from nfdhcpd import settings as settings_of
from nfdhcpd.bindings import Directory
from nfdhcpd.link import Sender
from nfdhcpd.nfqueue import Queue
from nfdhcpd.questions import Questions
from nfdhcpd.rtnetlink import Watch
from nfdhcpd.service import Service

if TYPE_CHECKING:
    from nfdhcpd.settings import Settings

log = logging.getLogger(__name__)

TICK = 0.5  # seconds between two looks at which advertisements are due


def serve(settings: Settings, config: str) -> None:
    """Serve until SIGTERM."""
    if settings.general.bridged:
        divert.check_bridge(settings)
    with contextlib.ExitStack() as undo:
        links, files = Watch(), Directory(settings.general.directory)
        undo.callback(links.close)
        undo.callback(files.close)
        service = Service(settings, files, links, Sender().send)
        loop = Loop()
        loop.add(links, service.sync)
        loop.add(files, service.sync)
        for section, take in ((settings.dhcp, service.dhcp4), (settings.ipv6, service.ipv6)):
            if section.enable:
                queue = Queue(section.queue, take, service.flush, service.bug)
                undo.callback(queue.close)
                loop.add(queue, queue.ready)
        if settings.general.control:
            questions = Questions(service, time.time)
            undo.callback(Control(settings.general.control, questions.begin, loop).close)
        loop.every(TICK, service.tick)
        loop.on_status(lambda: f"{len(list(service.table))} taps served, {len(service.table.stale)} bindings not")
        loop.on_reload(lambda: reload(service, config))
        loop.on_signal(signal.SIGUSR1, service.dump)
        loop.run()


def reload(service: Service, config: str) -> None:
    """Take the configuration anew; keep the old one when the new one is bad."""
    try:
        settings = settings_of.load(config)
    except ExtError as err:
        log.error("not reloaded: %s", err)
        return
    before = service.table.settings
    if _fixed(settings) != _fixed(before):
        log.warning("directory, tap_prefix, bridged, rate, burst, control, enable, queue change with the next restart")
    service.reconfigure(settings)
    log.info("reloaded")


def _fixed(settings: Settings) -> tuple[object, ...]:
    """What sockets and rules were made from."""
    general, dhcp, ipv6, *_ = settings
    rules = (general.tap_prefix, general.bridged, general.rate, general.burst)
    return (general.directory, general.control, *rules, dhcp.enable, dhcp.queue, ipv6.enable, ipv6.queue)
