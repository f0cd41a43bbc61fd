"""The way from the front to a guest's console, and to the agent in it: Ganeti says on which node it is now,
ganeti-ext-consoled there is asked.

The other end is console/peer.py.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import replace
from typing import Any

from frontend.console import consolecert
from frontend.effect.clusters import Clusters
from frontend.effect.remote import RemoteApi
from frontend.settings import Console
from ganeti_ext import consolewire
from ganeti_ext.errors import ExtError, RapiError


class Absent(ExtError):
    """The guest has no such console."""

    http_status = 404


class Unreachable(ExtError):
    """Its node cannot be asked, or will not answer."""

    http_status = 503


class Unable(ExtError):
    """The guest did not set a password; `why` is one of consolewire.WHY, `said` the guest's own words."""

    http_status = 409

    def __init__(self, text: str, why: str, said: str) -> None:
        super().__init__(text)
        self.why, self.said = why, said


def of(clusters: Clusters, cluster: str, settings: Console) -> Nodes:
    """Those of a cluster; Conflict or Unavailable as Clusters.rapi."""
    return Nodes(clusters.rapi(cluster), replace(settings, ca=""), clusters.certificate(cluster))


class Nodes:
    """Asks the nodes. `ca` is a PEM file, or PEM itself, with the certificate that they show."""

    def __init__(self, rapi: RemoteApi, settings: Console, ca: str) -> None:
        self._rapi, self._settings, self._ca = rapi, settings, settings.ca or ca

    def log(self, instance: str) -> bytes:
        """The last octets of what the guest wrote to its serial port."""
        with contextlib.closing(self._connect(instance)) as sock:
            try:
                answer = self._ask(sock, consolewire.LOG, instance)
                return consolewire.exactly(sock, min(int(answer["octets"]), consolewire.NEWEST))
            except (OSError, KeyError, ValueError) as err:
                raise Unreachable(f"serial log of {instance}: {err}") from err

    def screen(self, instance: str) -> ssl.SSLSocket:
        """A connection that is the guest's VNC. The caller closes it."""
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(contextlib.closing(self._connect(instance)))
            try:
                self._ask(sock, consolewire.SCREEN, instance)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as err:
                raise Unreachable(f"screen of {instance}: {err}") from err
            undo.pop_all()
            return sock

    def set_password(self, instance: str, user: str, password: str) -> None:
        """Let the guest's agent set it; Unable when that does not."""
        with contextlib.closing(self._connect(instance)) as sock:
            sock.settimeout(self._settings.timeout + consolewire.AWAKE + consolewire.SET)
            answer = self._ask(sock, consolewire.PASSWORD, instance, user=user, password=password)
        if answer:
            raise Unreachable(f"password of {instance}: ganeti-ext-consoled said more than that it is set")

    def _ask(self, sock: ssl.SSLSocket, do: str, instance: str, **more: str) -> dict[str, Any]:
        """The answer to a request. That the node does not know this front shows here at first (TLS 1.3)."""
        try:
            consolewire.send(sock, {"do": do, "instance": instance, **more})
            answer = consolewire.receive(sock)
        except (OSError, ExtError) as err:
            raise Unreachable(f"{do} of {instance}: ganeti-ext-consoled does not let us in: {err}") from err
        if answer.get("why") in consolewire.WHY:
            raise Unable(str(answer.get("error")), answer["why"], str(answer.get("said", "")))
        if "error" in answer:
            raise (Absent if answer.get("absent") else Unreachable)(str(answer["error"]))
        return answer

    def _connect(self, instance: str) -> ssl.SSLSocket:
        place = (self._address(instance), self._settings.port)
        try:
            context = self._context()
            with contextlib.ExitStack() as undo:
                sock = undo.enter_context(contextlib.closing(socket.create_connection(place, self._settings.timeout)))
                found = context.wrap_socket(sock)
                undo.pop_all()
                return found
        except OSError as err:
            raise Unreachable(f"console of {instance}: ganeti-ext-consoled at {place[0]}:{place[1]}: {err}") from err

    def _address(self, instance: str) -> str:
        """Of the node where the guest is, by Ganeti's word of now: what the database says may be a second old."""
        try:
            node = self._rapi.get(f"nodes/{self._rapi.get(f'instances/{instance}')['pnode']}")
        except RapiError as err:
            raise Absent(f"console of {instance}: {err}") from err
        if node.get("offline"):
            raise Unreachable(f"console of {instance}: {node['name']} is offline")
        return str(node["pip"])

    def _context(self) -> ssl.SSLContext:
        consolecert.ensure(self._settings.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # as with the remote API: the one certificate is trusted, whatever its name
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        is_text = self._ca.startswith("-----BEGIN")
        context.load_verify_locations(None if is_text else self._ca, cadata=self._ca if is_text else None)
        context.load_cert_chain(self._settings.certificate)
        return context
