"""The proxy with real websockets: websockify in front, a node's door behind, a guest's screen at the end."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.engine import Engine
from sqlalchemy.pool import StaticPool
from websockify import websocketproxy  # noqa: F401 (without it these tests are left out)

from frontend.console import consolenode, consoleproxy, consoletoken
from frontend.database import db, tables
from frontend.settings import Console
from tests.unit.console.node import Node, keys, screen
from tests.unit.frontend.consoles import Cluster

SERVER, INSTANCE = "0aaaaaaa-0000-4000-8000-00000000000a", "gx-1"
ROW = {
    **dict.fromkeys(("user_id", "name", "flavor_id", "image_id", "project_id"), "x"),
    **dict.fromkeys(("vcpus", "ram", "disk", "created", "updated"), 1),
}


class Proxy:
    """A proxy that listens, its database, and the node that it asks."""

    def __init__(self, folder: Path, keys_: Path, node: Node) -> None:
        self.node = node
        self.engine: Engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True
        )
        tables.metadata.create_all(self.engine)
        with self.engine.begin() as connection:
            connection.execute(insert(db.server).values(id=SERVER, instance=INSTANCE, status="ACTIVE", nics=[], **ROW))
        certificate = folder / "console.pem"
        certificate.write_bytes((keys_ / "front.pem").read_bytes())
        certificate.chmod(0o600)
        (folder / "web").mkdir()
        (folder / "web/vnc_lite.html").write_text("<title>noVNC</title>")
        config = Console(
            listen="127.0.0.1:0",
            web=f"{folder}/web",
            certificate=str(certificate),
            ca=f"{keys_}/node.crt",
            port=node.door.socket.getsockname()[1],
            connections=2,
        )
        opener = consoleproxy.Opener(self.engine, lambda _: consolenode.Nodes(Cluster(), config, ""))
        before = os.getcwd()
        self.server = consoleproxy.Server(config, opener)
        os.chdir(before)
        self.web = f"{folder}/web"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.engine.dispose()

    def token(self, seconds: float = 60) -> str:
        with self.engine.begin() as connection:
            return consoletoken.issue(connection, SERVER, "novnc", time.time(), seconds)

    def send(self, path: str, *headers: str) -> socket.socket:
        sock = socket.create_connection(self.server.server_address[:2], 20)
        lines = (f"GET {path} HTTP/1.1", "Host: example.org", *headers, "", "")
        sock.sendall("\r\n".join(lines).encode())
        return sock

    def upgrade(self, path: str) -> tuple[str, socket.socket]:
        """The answer's head, and the connection behind it."""
        key = base64.b64encode(b"0123456789abcdef").decode()
        wanted = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: binary")
        sock = self.send(path, "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", *wanted)
        return head(sock), sock


def head(sock: socket.socket) -> str:
    found = b""
    while not found.endswith(b"\r\n\r\n"):
        octet = sock.recv(1)
        assert octet, found
        found += octet
    return found.decode()


def frame(data: bytes) -> bytes:
    """As a client sends it (RFC 6455, 5.2), masked with zeros."""
    return struct.pack("!BB", 0x82, 0x80 | len(data)) + bytes(4) + data


def exactly(sock: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        chunk = sock.recv(length - len(found))
        assert chunk, found
        found += chunk
    return found


def message(sock: socket.socket) -> bytes:
    """What a server sends, in one frame of less than 126 octets."""
    kind, length = exactly(sock, 2)
    assert kind == 0x82
    return exactly(sock, length)


@pytest.fixture(scope="session", name="keys")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def proxy(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "node").mkdir()
    with (
        contextlib.closing(Node(tmp_path / "node", keys)) as node,
        contextlib.closing(Proxy(tmp_path, keys, node)) as made,
    ):
        monkeypatch.chdir(made.web)
        yield made


@pytest.fixture
def guest(proxy: Proxy) -> Iterator[socket.socket]:
    with screen(proxy.node.folder / f"{INSTANCE}.vnc") as listener:
        yield listener


def test_a_token_opens_the_guests_screen_once(proxy: Proxy, guest: socket.socket) -> None:
    token = proxy.token()
    said, sock = proxy.upgrade(f"/?token={token}")
    assert said.startswith("HTTP/1.1 101 ")
    with sock, guest.accept()[0] as vnc:
        vnc.sendall(b"RFB 003.008\n")
        assert message(sock) == b"RFB 003.008\n"
        sock.sendall(frame(b"RFB 003.003\n"))
        assert exactly(vnc, 12) == b"RFB 003.003\n"
        again, second = proxy.upgrade(f"/?token={token}")
        second.close()
        assert again.startswith("HTTP/1.1 403 ")


def test_a_guest_that_ends_closes_the_websocket(proxy: Proxy, guest: socket.socket) -> None:
    _, sock = proxy.upgrade(f"/console/?token={proxy.token()}")
    guest.accept()[0].close()
    with sock:
        assert exactly(sock, 1) == b"\x88"  # a Close frame


def test_a_browser_that_goes_closes_the_screen(proxy: Proxy, guest: socket.socket) -> None:
    _, sock = proxy.upgrade(f"/?token={proxy.token()}")
    with guest.accept()[0] as vnc:
        sock.close()
        vnc.settimeout(20)
        assert vnc.recv(1) == b""


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=nonsense", "/websockify", "/?path=token"])
def test_without_a_token_nothing_is_opened_and_nothing_is_said(proxy: Proxy, guest: socket.socket, path: str) -> None:
    said, sock = proxy.upgrade(path)
    with sock:
        assert said.startswith("HTTP/1.1 403 ")
        assert sock.recv(1) == b""
    guest.setblocking(False)
    with pytest.raises(BlockingIOError):
        guest.accept()


def test_a_token_that_is_too_old_opens_nothing(proxy: Proxy, guest: socket.socket) -> None:
    said, sock = proxy.upgrade(f"/?token={proxy.token(seconds=-1)}")
    sock.close()
    assert said.startswith("HTTP/1.1 403 ")


def test_a_guest_that_is_not_there_uses_the_token_up(proxy: Proxy) -> None:
    token = proxy.token()
    for status in ("404", "403"):
        said, sock = proxy.upgrade(f"/?token={token}")
        sock.close()
        assert said.startswith(f"HTTP/1.1 {status} ")


@pytest.mark.parametrize(
    "request_", ["/?token={}", "/vnc_lite.html?path=%3Ftoken%3D{}", "/none?token={}", "/a b?token={} c d"]
)
@pytest.mark.parametrize("upgrades", [True, False])
def test_a_token_is_in_no_log(
    proxy: Proxy,
    guest: socket.socket,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    request_: str,
    upgrades: bool,
) -> None:
    token = proxy.token()
    with caplog.at_level(logging.DEBUG):
        path = request_.format(token)
        if upgrades:
            _, sock = proxy.upgrade(path)
        else:
            sock = proxy.send(path)
            head(sock)
        sock.close()
        proxy.close()
        proxy.close = lambda: None  # type: ignore[method-assign]
    told = capfd.readouterr()
    assert token not in caplog.text + told.out + told.err


def test_novnc_is_served_and_no_list_of_it(proxy: Proxy) -> None:
    sock = proxy.send("/vnc_lite.html?path=%3Ftoken%3Dx", "Connection: close")
    with sock:
        said = head(sock)
        assert exactly(sock, 20) == b"<title>noVNC</title>"
    assert said.startswith("HTTP/1.1 200 ")
    assert "\r\nReferrer-Policy: no-referrer\r\n" in said
    for path in ("/", "/../console.pem", "/%2e%2e/console.pem"):
        with proxy.send(path, "Connection: close") as sock:
            assert head(sock).startswith("HTTP/1.1 404 ")


def test_too_many_are_sent_away(proxy: Proxy, guest: socket.socket) -> None:
    opened = [proxy.upgrade(f"/?token={proxy.token()}")[1] for _ in range(2)]
    with opened[0], opened[1], socket.create_connection(proxy.server.server_address[:2], 20) as third:
        assert third.recv(1) == b""
