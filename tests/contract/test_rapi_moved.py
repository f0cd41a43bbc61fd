"""The master's address goes to another node while an answer of the old master's remote API is awaited."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganeti_ext.errors import RapiError, RapiUnavailable
from ganeti_ext.rapi import Rapi
from tests.contract.kvm_ifup_node import Node, needs_node
from tests.unit.frontend import remote

pytestmark = needs_node

_ADDRESS, _MAC = "10.99.7.1", "02:00:00:00:07:01"
_TIMEOUT = 60.0  # of the client: much longer than anything here takes


@pytest.fixture
def nodes() -> Iterator[list[Node]]:
    """The front, and two that may be the master: all on one bridge."""
    with contextlib.ExitStack() as stack:
        front, *others = [stack.enter_context(contextlib.closing(Node())) for _ in range(3)]
        front.run("ip", "address", "add", "10.99.7.9/24", "dev", "br0")
        for number, other in enumerate(others):
            peer = ("type", "veth", "peer", "name", "up0", "netns", str(other.pid))
            front.run("ip", "link", "add", f"to{number}", *peer)
            front.run("ip", "link", "set", f"to{number}", "master", "br0", "up")
        yield [front, *others]


def has_address(node: Node) -> None:
    """As Ganeti's master-ip-setup does; its gratuitous ARP is the MAC, which goes with it."""
    node.run("ip", "link", "set", "up0", "address", _MAC, "up")
    node.run("ip", "address", "add", f"{_ADDRESS}/24", "dev", "up0")


def loses_address(node: Node) -> None:
    node.run("ip", "link", "set", "up0", "down")
    node.run("ip", "address", "flush", "dev", "up0")


def test_who_awaits_an_answer_hears_that_there_will_be_none(nodes: list[Node], tmp_path: Path) -> None:
    front, old, new = nodes
    has_address(old)
    with old.inside():
        server = socket.create_server((_ADDRESS, 5080))
    rapi = Rapi(f"https://{_ADDRESS}:5080", "front", "s3cret", str(remote.certificate(tmp_path)), _TIMEOUT)
    failures: list[RapiError | RapiUnavailable] = []

    def ask() -> None:
        with front.inside():
            try:
                rapi.get("info")
            except (RapiError, RapiUnavailable) as err:
                failures.append(err)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    server.settimeout(20)
    with server, server.accept()[0] as taken:
        taken.settimeout(20)
        assert taken.recv(1)  # and no answer
        loses_address(old)
        has_address(new)
        began = time.monotonic()
        asking.join(_TIMEOUT / 2)
    assert time.monotonic() - began < _TIMEOUT / 4
    assert [str(err).partition(": ")[2] for err in failures] == ["[Errno 104] Connection reset by peer"]
