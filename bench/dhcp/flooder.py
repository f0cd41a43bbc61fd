"""A hostile guest, as a program: sends one frame out of an interface over and over, and at its end says how often."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> None:
    """INTERFACE FRAME-IN-HEX, until SIGTERM."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((argv[0], 0))
    frame = bytes.fromhex(argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    sent = 0
    try:
        while True:
            sock.send(frame)
            sent += 1
    finally:
        print(sent)


if __name__ == "__main__":
    main(sys.argv[1:])
