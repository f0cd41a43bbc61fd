"""The client of the API's measurement."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bench.api import client


class Answers(http.server.ThreadingHTTPServer):
    """Says what `said` is, with `status`; notes who asked."""

    daemon_threads = True
    said: Any = None
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []
        self.connections: set[Any] = set()

    @property
    def at(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.server_address[1])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answers

    def do_GET(self) -> None:
        self._say()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._say()

    def _say(self) -> None:
        self.server.asked.append((self.path, self.headers["X-Auth-Token"]))
        self.server.connections.add(self.client_address)
        body = json.dumps(self.server.said).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Answers]:
    with Answers() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_reads_go_on_until_there_are_enough_on_connections_that_stay(server: Answers) -> None:
    server.said = {"servers": [1, 2, 3], "servers_links": []}
    wall, took, entries = client.read(server.at, "/x", {"X-Auth-Token": "t"}, 2, 0, 30)
    assert entries == 3
    assert 30 <= len(took) == len(server.asked) - 1  # the first one told the length
    assert wall >= max(took)
    assert set(server.asked) == {("/x", "t")}
    assert len(server.connections) == 3


def test_a_list_is_itself() -> None:
    assert client.entries([1, 2]) == 2
    assert client.entries({"servers": [1], "servers_links": [1, 2]}) == 1


def test_an_error_is_no_answer(server: Answers) -> None:
    server.said, server.status = {"message": "gone"}, 503
    with pytest.raises(RuntimeError, match=r"GET /x: status 503: b'.*gone"):
        client.read(server.at, "/x", {}, 1, 0, 1)
    with pytest.raises(RuntimeError, match=r"POST /x: status 503: b'.*gone"):
        client.create(server.at, "/x", ["a"], 1, {})


def test_a_refusal_that_is_expected_makes_none(server: Answers) -> None:
    server.said, server.status = {"forbidden": {"code": 403}}, 403
    _, made = client.create(server.at, "/x", ["a", "b"], 2, {}, 403)
    assert (made, len(server.asked)) == ([], 4)


def test_each_client_makes_its_servers(server: Answers) -> None:
    server.said, server.status = {"server": {"id": "s"}}, 202
    _, made = client.create(server.at, "/x", ["a", "b"], 3, {"server": {}})
    assert [ident for _, ident in made] == ["s"] * 6
    assert sorted(token or "" for _, token in server.asked) == ["a"] * 3 + ["b"] * 3
