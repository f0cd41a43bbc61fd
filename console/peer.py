"""One connection of a front, in a thread of its own: TLS, a request, the answer."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING

from console import agent, tunnel
from ganeti_ext import consolewire
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from console.logs import Logs
    from console.settings import Console
    from console.tally import Tally

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds for the handshake and the request, and for each piece of an answer
# Seconds: a front that vanished without a word is noticed after two minutes.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))


class Absent(ExtError):
    """There is no such console on this node."""


class Stranger(ExtError):
    """Whoever connected is no front that may ask."""


class Server:
    """What all connections share."""

    def __init__(self, settings: Console, logs: Logs, tally: Tally) -> None:
        self._settings, self._logs, self._tally = settings, logs, tally

    def serve(self, sock: socket.socket, peer: str) -> None:
        """Answer one connection and close it."""
        with contextlib.closing(sock):
            try:
                sock.settimeout(PATIENCE)
                with self._trusted(sock) as front:
                    self._answer(front, peer)
            except Stranger as err:
                self._tally.add("refused")
                log.warning("%s: refused: %s", peer, err)
            except (ExtError, OSError) as err:
                log.info("%s: %s", peer, err)

    def _trusted(self, sock: socket.socket) -> ssl.SSLSocket:
        """The same connection behind TLS, with one of the fronts at its other end.

        The files are read each time: Ganeti may renew its certificate, an administrator allow another front.
        """
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.verify_mode = ssl.CERT_REQUIRED
            context.num_tickets = 0  # nothing but the guest's octets makes the front's end readable
            # They stand for themselves, without an authority: the peer's is one of them, or it is a stranger's.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_cert_chain(self._settings.certificate)
            context.load_verify_locations(self._settings.clients)
            known = _certificates(self._settings.clients)
        except (OSError, ValueError) as err:
            files = f"{self._settings.certificate}, {self._settings.clients}"
            raise Stranger(f"nobody can be let in, look at {files}: {err}") from err
        try:
            front = context.wrap_socket(sock, server_side=True)
        except OSError as err:
            raise Stranger(str(err)) from err
        if front.getpeercert(binary_form=True) not in known:
            front.close()
            raise Stranger("a certificate that a front's signed, not the front's")
        return front

    def _answer(self, front: ssl.SSLSocket, peer: str) -> None:
        asked = consolewire.receive(front)
        do, name = consolewire.request(asked)
        try:
            if do == consolewire.LOG:
                self._tell(front, name)
            elif do == consolewire.PASSWORD:
                self._set(front, name, asked)
            else:
                self._show(front, name, peer)
        except Absent as err:
            self._tally.add("absent")
            consolewire.send(front, {"error": str(err), "absent": True})
        except agent.Unable as err:
            self._tally.add("unable")
            log.info("%s: %s", peer, err)
            consolewire.send(front, {"error": str(err), "why": err.why, "said": err.said})

    def _tell(self, front: ssl.SSLSocket, name: str) -> None:
        found = self._logs.read(name, consolewire.NEWEST)
        if found is None:
            raise Absent(f"{name}: no serial log here")
        consolewire.send(front, {"octets": len(found)})
        front.sendall(found)
        self._tally.serve(consolewire.LOG)

    def _set(self, front: ssl.SSLSocket, name: str, asked: consolewire.Record) -> None:
        agent.tell(self._settings.agents, name, *consolewire.account(asked))
        self._tally.serve(consolewire.PASSWORD)
        log.info("%s: a password was set", name)
        consolewire.send(front, {})

    def _show(self, front: ssl.SSLSocket, name: str, peer: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as guest:
            guest.settimeout(PATIENCE)
            try:
                guest.connect(os.path.join(self._settings.screens, f"{name}.vnc"))
            except OSError as err:
                raise Absent(f"{name}: no screen here: {err.strerror or err}") from err
            consolewire.send(front, {})
            front.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, seconds in _KEEPALIVE:
                front.setsockopt(socket.IPPROTO_TCP, option, seconds)
            front.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            log.info("%s: screen of %s opened", peer, name)
            self._tally.serve(consolewire.SCREEN)
            self._tally.add("open")
            shown = 0
            try:
                shown = tunnel.run(front, guest)
            finally:
                self._tally.add("open", -1)
                log.info("%s: screen of %s closed after %d octets", peer, name, shown)


def _certificates(path: str) -> set[bytes]:
    """All of a PEM file, in DER."""
    with open(path, encoding="ascii") as file:
        found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", file.read(), re.DOTALL)
    return {ssl.PEM_cert_to_DER_cert(text) for text in found}
