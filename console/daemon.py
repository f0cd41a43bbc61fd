"""ganeti-ext-consoled: the guests' screens and serial logs on this node, for the front that may see them."""

from __future__ import annotations

import argparse
import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING

from console.logs import Logs
from console.peer import Server
from console.settings import PATH, Console, load
from console.tally import Tally
from ganeti_ext.control import Control
from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.question import Questions
from ganeti_ext.service import Loop, log_to_journal

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

LOOK = 1.0  # seconds between two looks at the size of all logs
PRUNE = 60.0  # seconds between two looks for instances that are gone


class Door:
    """Takes connections, so many at once: each gets a thread."""

    def __init__(self, settings: Console, server: Server, tally: Tally) -> None:
        self._server, self._tally = server, tally
        self._free = threading.BoundedSemaphore(settings.connections)
        self.socket = _listen(settings.address, settings.port)

    def fileno(self) -> int:
        return self.socket.fileno()

    def ready(self) -> None:
        """Somebody knocks."""
        try:
            sock, address = self.socket.accept()
        except OSError as err:
            log.warning("a connection could not be taken: %s", err)
            return
        if not self._free.acquire(blocking=False):
            self._tally.add("refused")
            sock.close()
            return
        peer = address[0]
        threading.Thread(target=self._serve, args=(sock, peer), name=f"front {peer}", daemon=True).start()

    def _serve(self, sock: socket.socket, peer: str) -> None:
        try:
            self._server.serve(sock, peer)
        finally:
            self._free.release()


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="ganeti-ext-consoled", description=__doc__)
    parser.add_argument("--config", default=PATH, metavar="FILE", help="default: %(default)s")
    arguments = parser.parse_args(argv)
    log_to_journal()
    try:
        settings, _ = load(arguments.config)
        _serve(settings)
    except ExtError as err:
        log.error("%s", err)
        return err.exit_code
    except OSError as err:
        log.error("%s: %s", err.filename or "socket", err)
        return 1
    return 0


def _serve(settings: Console) -> None:
    logs, tally = Logs(settings.logs, settings.log_size * 1024), Tally()
    logs.prepare()
    door = Door(settings, Server(settings, logs, tally), tally)

    def look() -> None:
        logs.trim()
        tally.trimmed, tally.logs = logs.trimmed, logs.count()

    def prune() -> None:
        instances = _instances(settings.instances)
        if instances is not None:
            logs.prune(instances)

    loop = Loop()
    loop.add(door, door.ready)
    loop.every(LOOK, look)
    loop.every(PRUNE, prune)
    loop.on_status(lambda: f"{tally.open} screens are open, {tally.logs} guests have a log")
    look()
    questions = Questions("consoled", tally.status, tally.metrics)
    with contextlib.closing(Control(settings.control, questions.begin, loop, group="ganeti-ext")):
        log.info("listening on port %d", door.socket.getsockname()[1])
        loop.run()
    door.socket.close()


def _instances(path: str) -> set[str] | None:
    """The names of all instances, as Ganeti's master tells the nodes; None when that cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return set(file.read().split())
    except (OSError, UnicodeDecodeError) as err:
        log.warning("no log is removed: %s", err)
        return None


def _listen(address: str, port: int) -> socket.socket:
    """A socket for IPv4 and IPv6 where no address is given."""
    try:
        if address:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.create_server((address, port), family=family)
        elif socket.has_dualstack_ipv6():
            sock = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            sock = socket.create_server(("", port))
    except (OSError, ValueError) as err:
        raise ConfigError(f"[console] {address or 'every address'}, port {port}: {err}") from err
    sock.setblocking(False)
    return sock
