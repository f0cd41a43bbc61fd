"""ganeti-ext-consoleproxy: browsers' websockets to guests' screens, and noVNC's files; websockify does the work.

A connection shows a one-time token. Which node the guest is on is asked when it comes, not when the token was made:
a server that has moved opens. The token stands in the request's address; it is taken out before anything can be logged.
"""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import parse_qs

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from websockify.websocketproxy import LibProxyServer, ProxyRequestHandler

from frontend import settings
from frontend.console import console, consolecert, consolenode, consoletoken
from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import remote
from frontend.effect.clusters import Clusters
from frontend.identity import tokens
from frontend.settings import Console
from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.service import log_to_journal, notify

log = logging.getLogger(__name__)

_PING = 25  # seconds: web servers in front end what is silent for a minute


class Refused(ExtError):
    """The token opens nothing."""

    http_status = 403


class Opener:
    """Takes tokens and opens screens, by the nodes of each cluster."""

    def __init__(
        self, engine: Engine, nodes: Callable[[str], consolenode.Nodes], clock: Callable[[], float] = time.time
    ) -> None:
        self._engine, self._nodes, self._clock = engine, nodes, clock

    def open(self, token: str) -> tuple[str, socket.socket]:
        """The instance and its VNC. ExtError says why not; the token is used up all the same."""
        try:
            with self._engine.begin() as connection:
                opened = consoletoken.take(connection, token, console.NOVNC, self._clock())
        except SQLAlchemyError as err:
            raise consolenode.Unreachable(f"database: {str(err).splitlines()[0]}") from err
        if opened is None:
            raise Refused("no such token: it was used, or is too old, or never was")
        instance, cluster = opened
        return instance, self._nodes(cluster).screen(instance)


class Handler(ProxyRequestHandler):  # type: ignore[misc]
    """One connection."""

    timeout = 20  # seconds for each piece that is read or written
    server: Server
    path: str
    _query = ""
    _screen: socket.socket

    def parse_request(self) -> bool:
        """What stands behind the question mark is for `handle_upgrade` alone."""
        understood: bool = super().parse_request()
        if understood:
            self.path, _, self._query = self.path.partition("?")
            self.requestline = f"{self.command} {self.path} {self.request_version}"
        return understood

    def handle_upgrade(self) -> None:
        token = parse_qs(self._query).get("token", [""])[0]
        try:
            instance, self._screen = self.server.opener.open(token)
        except ExtError as err:
            log.warning("%s: no screen: %s", self._peer(), err)
            self._refuse(err.http_status)
            return
        log.info("%s: screen of %s opened", self._peer(), instance)
        try:
            super().handle_upgrade()
        finally:
            self._screen.close()
            log.info("%s: screen of %s closed", self._peer(), instance)

    def new_websocket_client(self) -> None:
        """The websocket stands."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.do_proxy(self._screen)

    def end_headers(self) -> None:
        """The page's own address has the token, which its pieces must not be asked for with."""
        self.send_header("Referrer-Policy", "no-referrer")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: what a client sends may hold a token, well formed or not."""

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self.send_response(HTTPStatus(status))
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _peer(self) -> str:
        """Whom a web server in front, if there is one, says that it is from, in printable words."""
        said = self.headers.get("X-Forwarded-For", "")
        return f"{self.client_address[0]} ({ascii(said)[1:-1][:100]})" if said else str(self.client_address[0])


class Server(LibProxyServer):  # type: ignore[misc]
    """Listens; so many connections at once, each in a thread."""

    daemon_threads = True
    request_queue_size = 64
    file_only = True  # no listings of directories

    def __init__(self, config: Console, opener: Opener) -> None:
        host, _, port = config.listen.rpartition(":")
        host = host.strip("[]")
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.opener = opener
        self._free = threading.BoundedSemaphore(config.connections)
        super().__init__(Handler, listen_host=host, listen_port=int(port), web=config.web, heartbeat=_PING)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            log.warning("%s: too many connections", client_address[0])
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, _request: object, client_address: Any) -> None:
        """A connection has ended otherwise than by a goodbye."""
        log.info("%s: %s", client_address[0], type(sys.exc_info()[1]).__name__)


def main() -> int:
    """Run until SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="ganeti-ext-consoleproxy", description=__doc__)
    parser.add_argument("--config", default=settings.PATH, metavar="FILE", help="default: %(default)s")
    path = parser.parse_args().config
    log_to_journal()
    logging.getLogger("websocket").setLevel(logging.ERROR)
    try:
        server = _server(settings.read(path))
    except (ConfigError, OSError) as err:
        log.error("%s: %s", path, err)
        return err.exit_code if isinstance(err, ConfigError) else 1
    except SQLAlchemyError as err:
        log.error("%s: database: %s", path, str(err).splitlines()[0])
        return 1
    signal.signal(signal.SIGTERM, _end)
    log.info("listening on %s:%d", *server.server_address[:2])
    notify("READY=1")
    with server:
        server.serve_forever()
    return 0


def _server(config: settings.Settings) -> Server:
    consolecert.ensure(config.console.certificate)
    engine, vault = db.connect(config.front.database), Vault(tokens.load_secret(config.front.secret_file))
    known = Clusters(remote.of(config), engine, vault, config)
    return Server(config.console, Opener(engine, lambda cluster: consolenode.of(known, cluster, config.console)))


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)
