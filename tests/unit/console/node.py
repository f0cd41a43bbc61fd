"""A node's door with a front that knocks, and a guest's screen."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from console.daemon import Door
from console.logs import Logs
from console.peer import Server
from console.settings import Console
from console.tally import Tally
from ganeti_ext import consolewire


def certificate(folder: Path, name: str, *more: str) -> Path:
    """A certificate with its key in one file, and NAME.crt without."""
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt", "-days", "2", "-subj", f"/CN={name}"),
        *more,
    ]
    subprocess.run(command, check=True, capture_output=True)
    both = (folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text()
    (folder / f"{name}.pem").write_text(both)
    return folder / f"{name}.pem"


def keys(folder: Path) -> Path:
    """Certificates of a node, a front and strangers."""
    for name in ("node", "front", "stranger"):
        certificate(folder, name)
    certificate(folder, "child", "-CA", f"{folder}/front.crt", "-CAkey", f"{folder}/front.key")
    return folder


class Node:
    """A daemon's door, and a front that knocks."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self.folder, self.keys = folder, keys
        self.clients = folder / "clients.pem"
        self.clients.write_text("# the front\n" + (keys / "front.crt").read_text())
        self.settings = Console(
            address="127.0.0.1",
            port=0,
            certificate=f"{keys}/node.pem",
            clients=str(self.clients),
            screens=str(folder),
            agents=str(folder),
            logs=f"{folder}/log",
            connections=2,
        )
        self.logs, self.tally = Logs(self.settings.logs, 1000), Tally()
        self.logs.prepare()
        self.door = Door(self.settings, Server(self.settings, self.logs, self.tally), self.tally)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.door.socket.setblocking(True)
        while not self.over.is_set():
            self.door.ready()

    def close(self) -> None:
        self.over.set()
        socket.create_connection(self.door.socket.getsockname()).close()
        self.thread.join()
        self.door.socket.close()

    def settle(self) -> None:
        """Wait until all that was asked is answered."""
        for thread in threading.enumerate():
            if thread.name.startswith("front "):
                thread.join(10)
                assert not thread.is_alive()

    def knock(self, who: str | None = "front") -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(f"{self.keys}/node.crt")
        if who:
            context.load_cert_chain(f"{self.keys}/{who}.pem")
        return context.wrap_socket(socket.create_connection(self.door.socket.getsockname(), 10))

    def ask(self, do: str, name: str, who: str | None = "front", **more: str) -> tuple[dict[str, object], bytes]:
        with self.knock(who) as sock:
            consolewire.send(sock, {"do": do, "instance": name, **more})
            answer = consolewire.receive(sock)
            return answer, consolewire.exactly(sock, answer.get("octets", 0))


@contextlib.contextmanager
def screen(path: Path) -> Iterator[socket.socket]:
    """A QEMU's VNC socket."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener
