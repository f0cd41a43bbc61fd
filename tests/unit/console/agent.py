"""A guest's agent at the other end of its socket, as QEMU serves it: one client at a time; well-behaved or not."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WELL, SILENT, LOST, REFUSES = "well", "silent", "lost", "refuses"
GARBAGE, FLOOD, DEEP, STRANGE, GOES, LEFT = "garbage", "flood", "deep", "strange", "goes", "left"
# What the agent of a guest with an odd name for its administrator says (qga/commands-posix.c).
NO_USER = "Child process has failed to set user password: chpasswd: line 1: user 'x'\ndoes not exist"


class Agent:
    """`how` it answers; `users` got which passwords."""

    def __init__(self, path: Path, how: str = WELL) -> None:
        self.how = how
        self.users: list[tuple[str, str]] = []
        self.commands: list[str] = []
        self._over = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, contextlib.suppress(OSError):
                    self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        client.settimeout(20)
        if self.how == LEFT:  # what an earlier client did not read
            client.sendall(b'{"return": 7}\n{"return": {}}\n{"ret')
        with client.makefile("rb") as lines:
            for line in lines:
                for piece in self._answer(json.loads(line.lstrip(b"\xff"))):
                    client.sendall(piece)
                if self.how == GOES and self.commands:
                    return

    def _answer(self, request: dict[str, Any]) -> Iterator[bytes]:
        command, arguments = request["execute"], request["arguments"]
        if self.how == SILENT:
            return
        if self.how == FLOOD:
            while not self._over.is_set():
                yield b"x" * 65536
        if command == "guest-sync-delimited":
            yield b"\xff" + json.dumps({"return": arguments["id"]}).encode() + b"\n"
            return
        self.commands.append(command)
        assert command == "guest-set-user-password"
        assert arguments["crypted"] is False
        yield from self._last(arguments)

    def _last(self, arguments: dict[str, Any]) -> Iterator[bytes]:
        if self.how in (WELL, LEFT):
            self.users.append((arguments["username"], base64.b64decode(arguments["password"]).decode()))
            yield b'{"return": {}}\n'
        elif self.how == REFUSES:
            yield json.dumps({"error": {"class": "GenericError", "desc": NO_USER}}).encode() + b"\n"
        elif self.how == STRANGE:
            yield b'[7]\n"x"\n{"error": [1, "\\u0000"]}\n'
        elif self.how == GARBAGE:
            yield b"\xff\xfe\x00{{{\n" * 100
        elif self.how == DEEP:
            yield b"[" * 100_000 + b"\n"
