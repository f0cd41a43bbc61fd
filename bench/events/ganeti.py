"""Ganeti as far as eventd and the consumer ask it: luxid on its socket, the remote API with TLS. It answers at once.

    python3 -m bench.events.ganeti SOCKET STATES CERTIFICATE

STATES is a file with an octet for each server, 1 if it runs; the certificate has its key with it.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bench.events.jobfiles import CLUSTER, NODE, SERVERS, instance, tags
from ganeti_ext.service import notify

PORT = 5080
_NEVER = 3600.0  # seconds from one look whether to end to the next
_BEGAN = time.time()
_BEPARAMS = {"vcpus": 1, "memory": 512, "minmem": 512, "maxmem": 512, "auto_balance": True}
_NETWORK = {
    "name": "blue",
    "uuid": "6d0e3f70-3a4c-4d1f-8a5e-000000000001",
    "network": "10.0.0.0/24",
    "gateway": "10.0.0.1",
    "network6": None,
    "gateway6": None,
    "mac_prefix": None,
    "tags": [],
    "ctime": _BEGAN,
    "mtime": _BEGAN,
    "map": "",
    "external_reservations": "",
    "group_list": [["default", "bridged", "br0", ""]],
    "inst_list": [instance(n) for n in range(SERVERS)],
}
_NODE = {"name": NODE, "offline": False, "pip": "127.0.0.1", "master": True, "uuid": "node-uuid", "group": "default"}

_GROUP = {"name": "default", "uuid": "group-uuid", "node_cnt": 1}
_INFO = {"name": CLUSTER, "uuid": "0b6c1c2e-9a53-4f57-8a55-0000000000ff", "master": NODE}


def server(number: int, runs: bool) -> dict[str, Any]:
    """An instance by the names of its fields, as both ways of asking have them."""
    return {
        "name": instance(number),
        "uuid": f"i-{number}",
        "ctime": _BEGAN,
        "mtime": time.time(),
        "pnode": NODE,
        "snodes": [],
        "admin_state": "up" if runs else "down",
        "oper_state": runs,
        "oper_ram": 512 if runs else None,
        "status": "running" if runs else "ADMIN_down",
        "tags": tags(number),
        "beparams": _BEPARAMS,
        "os": "none",
        "disk_template": "ext",
        "disk.names": [None],
        "disk.sizes": [1024],
        "disk.uuids": [f"d-{number}"],
        "nic.names": [None],
        "nic.networks.names": ["blue"],
        "nic.networks": [_NETWORK["uuid"]],
        "nic.ips": [f"10.0.0.{number + 2}"],
        "nic.macs": [f"aa:00:00:00:00:{number:02x}"],
        "nic.modes": ["bridged"],
        "nic.links": ["br0"],
        "nic.uuids": [f"n-{number}"],
        "hypervisor": "kvm",
    }


class Cluster:
    """What there is; `states` is the file with who runs."""

    def __init__(self, states: str) -> None:
        self._states = os.open(states, os.O_RDONLY | os.O_CLOEXEC)

    def instances(self) -> list[dict[str, Any]]:
        runs = os.pread(self._states, SERVERS, 0)
        return [server(number, bool(runs[number])) for number in range(SERVERS)]

    def query(self, what: str, fields: Sequence[str], chosen: Sequence[Any] | None) -> dict[str, Any]:
        """Objects of a kind, with these fields; none of a kind that there is not."""
        known: Mapping[str, Callable[[], list[dict[str, Any]]]] = {
            "instance": self.instances,
            "network": lambda: [_NETWORK],
            "node": lambda: [_NODE],
            "group": lambda: [_GROUP],
        }
        rows = [row for row in (known[what]() if what in known else ()) if matches(chosen, row)]
        data = [[[0, row[field]] if field in row else [3, None] for field in fields] for row in rows]
        return {"fields": [{"name": field} for field in fields], "data": data}

    def luxi(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a call of luxid."""
        if request["method"] != "Query":
            return {"success": False, "result": f"no such method here: {request['method']}"}
        return {"success": True, "result": self.query(*request["args"])}

    def rapi(self, path: str, body: dict[str, Any] | None = None) -> object:
        """The answer to GET, or PUT, /2/PATH; None where there is nothing."""
        parts = urlsplit(path)
        if parts.path == "info":
            return _INFO
        if not parts.path.startswith("query/"):
            return None
        asked = body or {"fields": parse_qs(parts.query)["fields"][0].split(",")}
        return self.query(parts.path.removeprefix("query/"), asked["fields"], asked.get("qfilter"))


def matches(chosen: Sequence[Any] | None, row: dict[str, Any]) -> bool:
    """Whether an object is chosen by a filter of & | = (qlang.py)."""
    if not chosen:
        return True
    kind, *parts = chosen
    if kind == "=":
        return bool(row.get(parts[0]) == parts[1])
    if kind in ("&", "|"):
        found = (matches(part, row) for part in parts)
        return all(found) if kind == "&" else any(found)
    raise ValueError(f"a filter with {kind!r}")


@contextlib.contextmanager
def luxid(path: str, cluster: Cluster) -> Iterator[None]:
    """Answer at a socket, for the length of a `with` block."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            data = b""
            while piece := self.request.recv(65536):
                data += piece
                while b"\3" in data:
                    request, _, data = data.partition(b"\3")
                    self.request.sendall(json.dumps(cluster.luxi(json.loads(request))).encode() + b"\3")

    with socketserver.ThreadingUnixStreamServer(path, Handler) as made:
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, args=(_NEVER,), daemon=True).start()
        yield


def _remote_api(certificate: str, cluster: Cluster) -> None:
    """For ever."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(cluster.rapi(self.path.removeprefix("/2/")))

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._say(cluster.rapi(self.path.removeprefix("/2/"), body))

        def _say(self, answer: object) -> None:
            body = json.dumps({"code": 404, "explain": "nothing"} if answer is None else answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler) as made:
        made.socket = context.wrap_socket(made.socket, server_side=True)
        notify("READY=1")
        made.serve_forever(_NEVER)


def main() -> None:
    path, states, certificate = sys.argv[1:]
    Path(path).unlink(missing_ok=True)
    cluster = Cluster(states)
    with luxid(path, cluster):
        _remote_api(certificate, cluster)


if __name__ == "__main__":
    main()
