"""A remote API over HTTPS that answers GETs from a dictionary, and a configuration that names it."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def certificate(folder: Path) -> Path:
    """A self-signed certificate with its key, in one PEM file."""
    path = folder / "rapi.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", str(folder / "key.pem"), "-out", str(path), "-days", "2", "-subj", "/CN=rapi"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return path


@contextlib.contextmanager
def serving(folder: Path, answers: Mapping[str, Any]) -> Iterator[str]:
    """The address of the API; `answers` is by path behind /2/ without a query, and may change meanwhile."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/2/").partition("?")[0]
            body = json.dumps(answers.get(path, {"code": 404, "explain": "no such thing"})).encode()
            self.send_response(200 if path in answers else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder), folder / "key.pem")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def configure(folder: Path, url: str = "https://127.0.0.1:1", reconcile: str = "") -> Path:
    """A frontend.conf of everything in `folder`, where certificate() was."""
    path = folder / "frontend.conf"
    path.write_text(f"""
[front]
database = sqlite:///{folder}/front.db
[rapi]
url = {url}
user = front
password = the-secret
ca = {folder}/rapi.pem
[broker]
url = outbox:{folder}/outbox.db
[images]
directory = {folder}/store
[reconcile]
{reconcile}
""")
    return path
