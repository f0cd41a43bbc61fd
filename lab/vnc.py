"""A guest's screen as a browser sees it: RFB (RFC 6143) in a websocket (RFC 6455).

As a program it reads an address from stdin, and says what the picture is like: WIDTH HEIGHT COLOURS.
"""

from __future__ import annotations

import base64
import os
import socket
import struct
import sys
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

PATIENCE = 20.0  # seconds
_RAW = 0
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10


class Refused(Exception):
    """The proxy opens no websocket; its words."""


class Picture(NamedTuple):
    width: int
    height: int
    pixels: bytes  # four octets each


class Websocket:
    """The stream of octets behind the address that a tenant is given, whose `path` is the websocket's."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((str(parts.hostname), parts.port or 80), PATIENCE)
        self._data = b""
        path = parse_qs(parts.query)["path"][0]
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET /{path} HTTP/1.1",
            f"Host: {parts.netloc}",
            *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
            *(f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Protocol: binary", "", ""),
        )
        self._socket.sendall("\r\n".join(lines).encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            octet = self._socket.recv(1)
            if not octet:
                break
            head += octet
        if not head.startswith(b"HTTP/1.1 101 "):
            self.close()
            raise Refused(head.partition(b"\r\n")[0].decode())

    def __enter__(self) -> Websocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes, kind: int = _BINARY) -> None:
        """Less than 126 octets."""
        self._socket.sendall(struct.pack("!BB", 0x80 | kind, 0x80 | len(data)) + bytes(4) + data)

    def read(self, length: int) -> bytes:
        """So many octets; EOFError when the stream has ended before."""
        while len(self._data) < length:
            self._data += self._message()
        found, self._data = self._data[:length], self._data[length:]
        return found

    def _message(self) -> bytes:
        first, second = self._exactly(2)
        length = second & 0x7F
        if length >= 126:
            (length,) = struct.unpack("!H" if length == 126 else "!Q", self._exactly(2 if length == 126 else 8))
        data = self._exactly(length)
        kind = first & 0x0F
        if kind == _CLOSE:
            raise EOFError(f"the websocket was closed: {data!r}")
        if kind == _PING:
            self.send(data, _PONG)
        return data if kind in (_TEXT, _BINARY, 0) else b""

    def _exactly(self, length: int) -> bytes:
        found = b""
        while len(found) < length:
            chunk = self._socket.recv(length - len(found))
            if not chunk:
                raise EOFError("the connection ended")
            found += chunk
        return found


def picture(stream: Websocket) -> Picture:
    """Say hello as a client without a password, and take one picture of the whole screen."""
    version = stream.read(12)
    assert version.startswith(b"RFB 003."), version
    stream.send(b"RFB 003.008\n")
    kinds = stream.read(stream.read(1)[0])
    assert 1 in kinds, kinds  # None: who is here has shown who he is
    stream.send(b"\1")
    assert stream.read(4) == bytes(4), "SecurityResult"
    stream.send(b"\1")  # shared
    width, height = struct.unpack("!HH", stream.read(4))
    stream.read(16)
    stream.read(*struct.unpack("!I", stream.read(4)))  # its name
    # 32 bits a pixel, 24 of them colour: 8 red, 8 green, 8 blue.
    stream.send(struct.pack("!B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
    stream.send(struct.pack("!BxHi", 2, 1, _RAW))
    stream.send(struct.pack("!BBHHHH", 3, 0, 0, 0, width, height))
    return Picture(width, height, _pixels(stream))


def _pixels(stream: Websocket) -> bytes:
    assert stream.read(2)[:1] == b"\0", "FramebufferUpdate"
    (count,) = struct.unpack("!H", stream.read(2))
    found = b""
    for _ in range(count):
        _, _, width, height, encoding = struct.unpack("!HHHHi", stream.read(12))
        assert encoding == _RAW
        found += stream.read(width * height * 4)
    return found


def main() -> int:
    try:
        with Websocket(sys.stdin.read().strip()) as stream:
            shown = picture(stream)
    except (Refused, OSError, EOFError) as err:
        sys.stderr.write(f"{err}\n")
        return 1
    colours = {shown.pixels[start : start + 4] for start in range(0, len(shown.pixels), 4)}
    sys.stdout.write(f"{shown.width} {shown.height} {len(colours)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
