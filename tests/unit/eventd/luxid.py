"""A luxid for tests: answers as they say."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

Answer = Callable[[dict[str, Any]], bytes]


class Luxid:
    """A luxid that answers each connection's request, in small pieces, with what `answer` makes of it."""

    def __init__(self, path: str) -> None:
        self.requests: list[dict[str, Any]] = []
        self.answer: Answer = lambda _: b""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(path)
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                data = b""
                while not data.endswith(b"\x03"):
                    data += peer.recv(4096)
                self.requests.append(json.loads(data[:-1]))
                reply = self.answer(self.requests[-1])
                for start in range(0, len(reply), 7):
                    peer.sendall(reply[start : start + 7])

    def close(self) -> None:
        self._socket.close()


def packed(value: object, *, success: bool = True) -> bytes:
    return json.dumps({"success": success, "result": value}).encode() + b"\x03"


def rows(*found: dict[str, Any]) -> Answer:
    """Answers with these objects; a field that one lacks is unavailable (RS_UNAVAIL)."""

    def answer(request: dict[str, Any]) -> bytes:
        fields = request["args"][1]
        data = [[[0, row[name]] if name in row else [3, None] for name in fields] for row in found]
        return packed({"fields": [{"name": name} for name in fields], "data": data})

    return answer
