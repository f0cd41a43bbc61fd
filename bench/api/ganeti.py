"""Ganeti's remote API as far as creates need it: takes every job at once, counts calls, and answers bench.remote.

    python3 -m bench.api.ganeti CERTIFICATE PORT

The certificate has its key with it.
"""

from __future__ import annotations

import http.server
import json
import re
import ssl
import sys
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from bench.remote import answer

Said = tuple[int, object] | None
"""Status and body of an answer; None: it is lost."""

_CREATE_OF = re.compile(r"INSTANCE_CREATE\((.+)\)")


class Queue:
    """The jobs that were taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()
        self._made: list[tuple[int, str]] = []
        self._last = 2_000_000
        self._lose = 0

    def count(self, call: str) -> None:
        with self._lock:
            self._calls[call] += 1

    def create(self, instance: str) -> tuple[int, bool]:
        """The job's number, and whether its answer is to be lost."""
        with self._lock:
            self._last += 1
            self._made.append((self._last, instance))
            return self._last, bool(self._lose) and len(self._made) % self._lose == 0

    def jobs(self, wanted: Any) -> list[list[Any]]:
        """Id and opcodes of creates of the instance that a filter names (frontend/effect/lostjob.py creates_of)."""
        found = _CREATE_OF.search(json.dumps(wanted))
        with self._lock:
            ids = [job for job, instance in self._made if found and instance == found[1]]
        return [[job, [{"OP_ID": "OP_INSTANCE_CREATE", "instance_name": found[1]}]] for job in ids if found]

    def lose(self, every: int) -> None:
        """Forget what was taken; from now on each so-manieth create is taken, but not answered. 0: none."""
        with self._lock:
            self._lose = every
            self._made.clear()

    def calls(self) -> dict[str, int]:
        """How often each kind of call came until now."""
        with self._lock:
            return dict(self._calls)

    def made(self) -> list[str]:
        """The instances whose creates were taken since `lose`, one for each job."""
        with self._lock:
            return [instance for _, instance in self._made]

    def answer(self, method: str, path: str, body: Any) -> Said:
        self.count(f"{method} {path}")
        if method == "POST":
            job, lost = self.create(body["instance_name"])
            return None if lost else (200, job)
        if (method, path) != ("PUT", "/2/query/job"):
            return 404, {"code": 404, "explain": "nothing"}
        rows = [[[0, value] for value in row] for row in self.jobs(body["qfilter"])]
        return 200, {"fields": [{"name": name} for name in body["fields"]], "data": rows}


class Server(http.server.ThreadingHTTPServer):
    """Each connection's handshake is made by its own thread."""

    request_queue_size = 256
    daemon_threads = True


def serve(certificate: str, port: int, answered: Callable[[str, str, Any], Said]) -> Server:
    """A server on the loopback interface that is at work; 0: any port. It answers by method, path and body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._come()

        def do_DELETE(self) -> None:
            self._come()

        def do_PUT(self) -> None:
            self._come()

        def do_POST(self) -> None:
            self._come()

        def _come(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            said = answered(self.command, self.path, json.loads(body or "null"))
            if said is not None:
                self._say(*said)

        def _say(self, status: int, said: object) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made = Server(("127.0.0.1", port), Handler)
    made.socket = context.wrap_socket(made.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=made.serve_forever, args=(3600.0,), daemon=True).start()
    return made


def main() -> None:
    queue = Queue()
    serve(sys.argv[1], int(sys.argv[2]), queue.answer)
    answer(queue.calls, queue.lose, queue.made)


if __name__ == "__main__":
    main()
