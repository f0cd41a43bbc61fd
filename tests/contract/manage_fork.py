"""ganeti-ext-manage without its start, which is most of what a call costs: each call is forked off a process that has
imported it, with streams of its own, and ends as the program does.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_STREAMS = 3
_LARGEST = 1 << 16
_PATIENCE = 120.0  # seconds, on a machine that does much else


class Forks:
    """`call` does what `subprocess.run` of the program would."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(_PATIENCE)
        with theirs:
            self._process = subprocess.Popen([sys.executable, "-I", __file__], stdin=theirs.fileno(), env=dict(env))

    def call(self, argv: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            told.write(stdin.encode())
            told.seek(0)
            streams = [told.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(self._socket, [json.dumps(argv).encode()], streams)
            code = int(self._socket.recv(_LARGEST))
            for stream in (out, err):
                stream.seek(0)
            return subprocess.CompletedProcess(argv, code, out.read().decode(), err.read().decode())

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


def _serve() -> None:
    sys.path.insert(0, str(ROOT))
    # With what its commands import when they need it.
    from alembic import command, script  # noqa: F401, PLC0415
    from sqlalchemy.dialects import sqlite  # noqa: F401, PLC0415

    from frontend.manage.manage import main  # noqa: PLC0415

    gc.freeze()  # else a fork that ends would look through, and so copy, all that was imported
    calls = socket.socket(fileno=os.dup(0))
    while True:
        asked, streams, _, _ = socket.recv_fds(calls, _LARGEST, _STREAMS)
        if not asked:
            return
        child = os.fork()
        if not child:
            calls.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            sys.exit(main(json.loads(asked)))
        for stream in streams:
            os.close(stream)
        calls.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    _serve()
