"""A remote API over HTTPS that answers GETs from a dictionary, and a configuration that names it."""

from __future__ import annotations

import contextlib
import http.server
import json
import ssl
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def certificate(folder: Path, name: str = "rapi") -> Path:
    """A self-signed certificate of this name, NAME.pem; its key is key.pem beside it."""
    path = folder / f"{name}.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", str(folder / "key.pem"), "-out", str(path), "-days", "2", "-subj", f"/CN={name}"),
        *("-addext", f"subjectAltName=DNS:{name}"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return path


@contextlib.contextmanager
def serving(folder: Path, answers: Mapping[str, Any]) -> Iterator[str]:
    """The address of the API; `answers` is by path behind /2/ without a query, and may change meanwhile.

    What is asked by query/KIND is answered from answers["KINDs"]; tags are set by a call of answers["tags"].
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, asked = self.path.removeprefix("/2/").partition("?")
            if path.startswith("query/"):
                (fields,) = urllib.parse.parse_qs(asked)["fields"]
                self.answer(table(answers, path, fields.split(","), None))
            else:
                self.answer(answers.get(path))

        def do_PUT(self) -> None:
            if self.path.startswith("/2/tags?"):
                tag = answers.get("tags")
                self.answer(tag and tag(urllib.parse.parse_qs(self.path.partition("?")[2])))
                return
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = self.path.removeprefix("/2/")
            self.answer(table(answers, path, asked["fields"], asked["qfilter"]))

        def answer(self, found: Any) -> None:
            body = json.dumps({"code": 404, "explain": "no such thing"} if found is None else found).encode()
            self.send_response(404 if found is None else 200)
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


def table(answers: Mapping[str, Any], path: str, fields: Sequence[str], wanted: Any) -> Any:
    """The answer of /2/query/KIND: of answers["KINDs"], a list of mappings by field.

    Of jobs, those whose id or status a filter of alternatives names; an id that there is not has no other value.
    """
    kind = path.removeprefix("query/")
    known = answers.get(f"{kind}s", [])
    if wanted is not None:
        asked = [(field, value) for _, field, value in wanted[1:]]
        ids = {entry.get("id") for entry in known}
        known = [entry for entry in known if any(entry[field] == value for field, value in asked)]
        known += [{"id": value} for field, value in asked if field == "id" and value not in ids]
    rows = [[[0, entry[field]] if field in entry else [2, None] for field in fields] for entry in known]
    return {"fields": [{"name": field} for field in fields], "data": rows}


def configure(folder: Path, url: str = "https://127.0.0.1:1", reconcile: str = "") -> Path:
    """A frontend.conf of everything in `folder`, where certificate() was."""
    path = folder / "frontend.conf"
    path.write_text(f"""
[front]
database = sqlite:///{folder}/front.db
secret_file = {folder}/secret
[rapi]
url = {url}
user = front
password = the-secret
ca = {folder}/rapi.pem
[broker]
url = outbox:{folder}/outbox.db
[images]
command = {folder}/image-command
max_upload = 1000000
[health]
control = {folder}/control
counts = {folder}/counts
[reconcile]
{reconcile}
""")
    return path
