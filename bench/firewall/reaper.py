"""The reaper on a measured node, as systemd runs it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator

from bench.firewall.node import Node
from bench.root import OURS
from ganeti_ext.errors import ExtError

_PATIENCE = 60.0


@contextlib.contextmanager
def reaper(node: Node) -> Iterator[None]:
    """Run it from when it is ready to the end of the block."""
    argv = node.argv("env", "NOTIFY_SOCKET=/run/notify", f"{OURS}/kvm_ifup/ganeti-ext-reaper")
    log = node.root / "var/log/reaper.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, log.open("wb") as file:
        ready.bind(str(node.root / "run/notify"))
        ready.settimeout(_PATIENCE)
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
        try:
            if ready.recv(64) != b"READY=1":
                raise ExtError(f"the reaper does not start: {log.read_text()[-500:]}")
            yield
        finally:
            process.terminate()
            process.wait(_PATIENCE)
