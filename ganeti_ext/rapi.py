"""A client of Ganeti's remote API (ganeti-doc, rapi.rst)."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ganeti_ext.errors import ConfigError, RapiError, RapiLost, RapiUnavailable

Query = Mapping[str, str | int | Sequence[str]]
"""Of an address: a list stands for the same key several times."""

# Seconds to reach the cluster's address: after a failover of the master, to try anew is what helps.
_CONNECT = 3.0
# A master that is one no more answers nothing: its address is another node's, who knows no such connection and says so
# when the kernel asks. Seconds of silence until it does, between its questions, and how many of them go unanswered.
_SILENCE = {socket.TCP_KEEPIDLE: 1, socket.TCP_KEEPINTVL: 1, socket.TCP_KEEPCNT: 8}
_PEM = "-----BEGIN"


class Rapi:
    """One cluster's remote API.

    `ca` is a PEM file, or PEM itself, with the certificate that the API shows (Ganeti makes a self-signed one, whose
    name never matches: it is trusted as that one certificate, not by its name). Calls raise RapiError when the answer
    is a refusal, RapiUnavailable when nothing was done, and RapiLost when nobody knows. Nothing is ever sent twice:
    what changes something may not be, unless it is proven that it was not done. One connection a call: safe to use
    from several threads.
    """

    of_cluster = ""
    """What the front calls the cluster."""

    def __init__(self, url: str, user: str, password: str, ca: str, timeout: float = 10) -> None:
        self._host, self._port = _address(url)
        self._timeout = timeout
        self._where = f"{self._host}:{self._port}"
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "Accept": "application/json"}
        try:
            if ca.startswith(_PEM):
                self._context = ssl.create_default_context(cadata=ca)
            else:
                self._context = ssl.create_default_context(cafile=ca)
        except (OSError, ssl.SSLError) as err:
            raise ConfigError(f"RAPI certificate {ca:.200}: {err}") from err
        self._context.check_hostname = False
        # Ganeti's certificate does not say that it is an authority, which Python 3.13 wants of one that it is given.
        self._context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def get(self, path: str, query: Query | None = None) -> Any:
        """GET /2/PATH."""
        return self._call("GET", path, query, None)

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Objects of a kind (instance, network, group, job), each with these fields; None where there is no value.

        `wanted` is a filter of Ganeti's query language, e.g. ["=", "id", 7] (design-query2.rst); the remote API
        takes one for jobs alone. A job that Ganeti does not know comes with None in all fields but its id.
        """
        if wanted is None:
            answer = self._call("GET", f"query/{what}", {"fields": ",".join(fields)}, None)
        else:
            answer = self._call("PUT", f"query/{what}", None, {"fields": list(fields), "qfilter": wanted})
        # Each value comes as [status, value]; a status other than 0 tells why there is none (constants.RS_*).
        rows = ([value if status == 0 else None for status, value in row] for row in answer["data"])
        return [dict(zip(fields, row, strict=True)) for row in rows]

    def submit(self, method: str, path: str, body: object = None, query: Query | None = None) -> int:
        """A call that starts a job; returns the job's number."""
        answer = self._call(method, path, query, body)
        try:
            return int(answer)
        except (TypeError, ValueError):
            raise RapiLost(f"RAPI {self._where}: expected a job id, got {answer!r:.200}") from None

    def cancel(self, job: int) -> bool:
        """DELETE /2/jobs/N: whether Ganeti takes back a job, which it can until it runs."""
        return bool(self._call("DELETE", f"jobs/{job}", None, None)[0])

    def _call(self, method: str, path: str, query: Query | None, body: object) -> Any:
        target = quote(f"/2/{path}") + (f"?{urlencode(query, doseq=True)}" if query else "")
        headers = dict(self._headers)
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)
        try:
            connection.sock = self._connect()
        except OSError as err:
            raise RapiUnavailable(f"RAPI {self._where}: {err}") from err
        try:
            connection.request(method, target, payload, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as err:
            raise RapiLost(f"RAPI {self._where}: {err or type(err).__name__}") from err
        finally:
            connection.close()
        return _decode(f"{method} {target}", response.status, text)

    def _connect(self) -> ssl.SSLSocket:
        sock = socket.create_connection((self._host, self._port), min(self._timeout, _CONNECT))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, value in _SILENCE.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        sock.settimeout(self._timeout)
        return self._context.wrap_socket(sock, server_hostname=self._host)


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            return parts.hostname, parts.port or 5080
    except ValueError:  # its words are about brackets and casts
        pass
    raise ConfigError(f"RAPI address {url!r}: expected https://HOST:PORT")


def _decode(call: str, status: int, text: bytes) -> Any:
    try:
        answer = json.loads(text)
    except ValueError as err:
        raise RapiLost(f"RAPI {call}: status {status} without JSON") from err
    if status == http.client.OK:
        return answer
    words = answer.get("explain") or answer.get("message") if isinstance(answer, dict) else answer
    words = words or f"status {status}"
    if status == http.client.SERVICE_UNAVAILABLE:  # the queue is full, or drained (rapi/baserlib.py SubmitJob)
        raise RapiUnavailable(f"RAPI {call}: {words}")
    if status in (http.client.BAD_GATEWAY, http.client.GATEWAY_TIMEOUT):  # it lost its own way to the master's daemon
        raise RapiLost(f"RAPI {call}: {words}")
    raise RapiError(f"RAPI {call}: {words}", status)
