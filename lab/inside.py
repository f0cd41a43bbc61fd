"""For a moment, a thread of this process is in a network namespace of the lab: what it connects to is there."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganeti_ext.rapi import Query, Rapi
from lab import RUN, ganeti, wires
from lab.node import Node

_NETWORK = 0x40000000  # CLONE_NEWNET; Python 3.12 has os.setns


@contextlib.contextmanager
def namespace(name: str) -> Iterator[None]:
    """Sockets that the calling thread makes in this block are in a namespace; OSError when there is none such."""
    with open("/proc/thread-self/ns/net", "rb") as outside, open(f"/run/netns/{name}", "rb") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(outside.fileno())


class RemoteApi(Rapi):
    """Ganeti's remote API, asked from beside the nodes."""

    def _call(self, method: str, path: str, query: Query | None, body: object) -> Any:
        with namespace(wires.SWITCHES):
            return super()._call(method, path, query, body)


def remote_api(master: Node) -> RemoteApi:
    """For the user that may write; at the cluster's address, whichever node has it."""
    certificate: Path = RUN / "rapi-ca.pem"
    certificate.write_text(master.run("openssl", "x509", "-in", "/var/lib/ganeti/rapi.pem"))
    url = f"https://{wires.address(0)}:5080"
    return RemoteApi(url, ganeti.USER, ganeti.rapi_password(master), str(certificate))


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _NETWORK) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"network namespace: {os.strerror(number)}")
