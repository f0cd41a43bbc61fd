"""A remote API over HTTPS that takes jobs, and loses connections at a point that a test chooses."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganeti_ext.rapi import Rapi
from tests.unit.frontend import remote

# Where a connection breaks off before Ganeti has a job, and after that.
NOT_TAKEN = ("handshake", "reset", "request", "queue is full", "queue is drained", "throttled")
TAKEN = (
    "no answer",
    "half a status",
    "half an answer",
    "no length",
    "no JSON",
    "no number",
    "lost its master",
    "silent",
)
_REFUSALS = {
    "queue is full": (503, {"code": 503, "explain": "Job queue is full, needs archiving"}),
    "queue is drained": (503, {"code": 503, "explain": "Job queue is drained, cannot submit"}),
    "throttled": (429, {"code": 429, "explain": "too many requests"}),
    "lost its master": (504, {"code": 504, "explain": "Timeout while talking to the master daemon"}),
}


class Ganeti:
    """`jobs` are the bodies of the creates that it has taken, by number; `cut` is what befalls the next calls that
    would start a job, and `deaf` whether nothing else can be asked."""

    def __init__(self, url: str, ca: str) -> None:
        self.url, self.ca = url, ca
        self.cut: str | None = None
        self.deaf = False
        self.jobs: dict[int, dict[str, Any]] = {}
        self.calls = 0
        self.over = threading.Event()

    def rapi(self, timeout: float = 10) -> Rapi:
        return Rapi(self.url, "front", "pw", self.ca, timeout)

    def names(self) -> list[str]:
        return sorted(body["instance_name"] for body in self.jobs.values())

    def take(self, body: dict[str, Any]) -> int:
        number = 101 + len(self.jobs)
        self.jobs[number] = body
        return number

    def found(self) -> dict[str, Any]:
        """The answer to a query of jobs, whatever its filter: who asks looks himself, too."""
        ops = {number: [{"OP_ID": "OP_INSTANCE_CREATE", **body}] for number, body in self.jobs.items()}
        return {"fields": [], "data": [[[0, number], [0, each]] for number, each in ops.items()]}


@contextlib.contextmanager
def ganeti(folder: Path) -> Iterator[Ganeti]:
    """For the length of a `with` block."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca = remote.certificate(folder)
    context.load_cert_chain(ca, folder / "key.pem")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            if state.cut == "handshake":
                return
            with contextlib.suppress(OSError), context.wrap_socket(request, server_side=True) as tls:
                _Handler(state, tls, client_address, self)

    with Server(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        state = Ganeti(f"https://127.0.0.1:{server.server_address[1]}", str(ca))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield state
        finally:
            state.over.set()
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, state: Ganeti, *connection: Any) -> None:
        self.state = state
        super().__init__(*connection)

    def do_PUT(self) -> None:
        if self.state.deaf:
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say(200, json.dumps(self.state.found()).encode())

    def do_POST(self) -> None:
        state, cut = self.state, self.state.cut
        state.calls += 1
        if cut == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if cut == "request":
            self.rfile.read(10)
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if cut in NOT_TAKEN:
            status, words = _REFUSALS[cut]
            self._say(status, json.dumps(words).encode())
            return
        self._end(cut, str(state.take(body)).encode())

    def _end(self, cut: str | None, number: bytes) -> None:
        """Ganeti has the job, and says so as far as the cut."""
        if cut in _REFUSALS:
            status, words = _REFUSALS[cut]
            self._say(status, json.dumps(words).encode())
        elif cut == "half a status":
            self.wfile.write(b"HTTP/1.1 2")
        elif cut == "half an answer":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + number)
        elif cut == "no length":  # the answer's end is the connection's, wherever that is cut
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        elif cut in ("no JSON", "no number"):
            self._say(200, b"<html>" if cut == "no JSON" else b"null")
        elif cut == "silent":
            self.state.over.wait(60)
        elif cut is None:
            self._say(200, b'"' + number + b'"')

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
