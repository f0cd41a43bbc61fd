"""A front that knows a node with its console daemon, and a cluster that says that all instances are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frontend.app import create_app
from frontend.settings import Console, Front, RapiAccess, Settings
from tests.unit.console.node import Node
from tests.unit.frontend.conftest import Api, FakeRapi

URL = "https://console.example.org"


class Cluster(FakeRapi):
    """Tells where an instance is."""

    offline = False

    def get(self, path: str, query: Any = None) -> Any:
        super().get(path, query)
        kind, _, name = path.partition("/")
        if kind == "instances":
            return {"pnode": "node1.example.org"}
        return {"name": name, "pip": "127.0.0.1", "offline": self.offline}


def settings(folder: Path, keys: Path, node: Node) -> Console:
    certificate = folder / "console.pem"
    certificate.write_bytes((keys / "front.pem").read_bytes())
    certificate.chmod(0o600)
    port = node.door.socket.getsockname()[1]
    return Console(url=URL, certificate=str(certificate), ca=f"{keys}/node.crt", port=port, timeout=10)


def api(front: Front, rapi: FakeRapi, console: Console) -> Api:
    app = create_app(Settings(front=front, console=console, rapi=RapiAccess()), rapi)
    return Api(app.test_client(), app.extensions["ganeti-ext"].engine, rapi).become("alice")
