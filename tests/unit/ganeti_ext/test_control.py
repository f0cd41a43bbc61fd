"""The control socket: real sockets, a loop that is turned by hand."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext.control import IDLE, PEERS, Control
from ganeti_ext.errors import ExtError
from ganeti_ext.feed import WAITING, Feed
from ganeti_ext.service import Loop
from ganeti_ext.session import LINE


class Daemon:
    """Lists so many records, tells those who watch what happens, and fails in both ways."""

    def __init__(self, records: int = 1) -> None:
        self.records = records
        self.watchers: list[Any] = []

    def begin(self, request: Any, wake: Any) -> Iterator[Any]:
        match request.get("do"):
            case "list":
                yield from ({"tap": f"tap{number}", "words": "x" * 100} for number in range(self.records))
            case "watch":
                yield from self._watch(wake)
            case "bug":
                raise ZeroDivisionError
            case unknown:
                raise ExtError(f"unknown request {unknown}")

    def _watch(self, wake: Any) -> Iterator[Any]:
        feed = Feed(wake)
        self.watchers.append(feed.add)
        try:
            yield {"watching": True}
            while True:
                yield from feed.taken()
                yield None
        finally:
            self.watchers.remove(feed.add)

    def happens(self, times: int = 1) -> None:
        for _ in range(times):
            for watcher in self.watchers:
                watcher({"told": "RA"})


class Turns(Loop):
    """A loop whose turns are made here; `slowest` is the longest of them in seconds of processor time."""

    slowest = 0.0

    def settle(self) -> None:
        """Turn until nothing is ready."""
        while self._epoll.poll(0):
            before = time.thread_time()
            self._turn()
            self.slowest = max(self.slowest, time.thread_time() - before)


class World:
    def __init__(self, path: str, taps: int = 1) -> None:
        self.path = path
        self.now = 0.0
        self.loop = Turns()
        self.service = Daemon(taps)
        self.control = Control(path, self.service.begin, self.loop, lambda: self.now)

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(self.path)
        self.loop.settle()
        return sock

    def send(self, sock: socket.socket, data: bytes) -> None:
        sock.sendall(data)
        self.loop.settle()

    def ask(self, sock: socket.socket, **request: Any) -> list[Any]:
        """The records of one answer."""
        self.send(sock, json.dumps(request).encode() + b"\n")
        return self.answer(sock)

    def answer(self, sock: socket.socket) -> list[Any]:
        text = b""
        while not any(key in json.loads(line) for line in text.splitlines(True)[-1:] for key in ("end", "error")):
            text += sock.recv(1 << 20)
            while not text.endswith(b"\n"):
                text += sock.recv(1 << 20)
            self.loop.settle()
        return [json.loads(line) for line in text.splitlines()]

    def peers(self) -> int:
        return len(self.control._peers)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(str(tmp_path / "control"))
    yield found
    found.control.close()
    assert not os.path.exists(found.path)


def gone(sock: socket.socket) -> bool:
    """Whether the other end has left, after all that it said."""
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(1 << 20):
            assert data
    return True


def test_asks_and_answers(world: World) -> None:
    with world.connect() as sock:
        tap, end = world.ask(sock, do="list")
        assert (tap["tap"], end) == ("tap0", {"end": True})
        assert world.ask(sock, do="show") == [{"error": "unknown request show"}]
        assert world.ask(sock, do="list")[0]["tap"] == "tap0"
    world.loop.settle()
    assert world.peers() == 0


def test_the_socket_is_for_the_owner_and_the_group_whatever_the_umask(world: World) -> None:
    assert stat.S_IMODE(os.stat(world.path).st_mode) == 0o660
    before = os.umask(0)
    os.umask(before)
    assert before != 0o117


def test_a_group_that_may_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(shutil, "chown", lambda *path, **who: given.append((*path, who)))
    path = str(tmp_path / "control")
    Control(path, Daemon().begin, Turns(), group="ganeti-ext").close()
    assert given == [(path, {"group": "ganeti-ext"})]


def test_a_group_that_does_not_exist_is_no_hindrance(tmp_path: Path) -> None:
    control = Control(str(tmp_path / "control"), Daemon().begin, Turns(), group="no-such-group")
    with contextlib.closing(control):
        assert os.path.exists(tmp_path / "control")


def test_a_peer_that_asks_all_at_once_and_says_that_this_was_all(world: World) -> None:
    with world.connect() as sock:
        sock.sendall(b'{"do":"list"}\n{"do":"list"}')
        sock.shutdown(socket.SHUT_WR)
        world.loop.settle()
        lines = b"".join(iter(lambda: sock.recv(1 << 16), b"")).splitlines()
    assert [json.loads(line) for line in lines].count({"end": True}) == 2
    assert world.peers() == 0


@pytest.mark.parametrize("garbage", [b"\0" * 100 + b"\n", b"GET / HTTP/1.1\r\n\r\n", os.urandom(3000) + b"\n"])
def test_garbage_gets_an_error_and_harms_nobody(world: World, garbage: bytes) -> None:
    with world.connect() as bad, world.connect() as good:
        world.send(bad, garbage)
        assert b'{"error":"not JSON' in bad.recv(1 << 16)
        assert world.ask(good, do="list")[-1] == {"end": True}


def test_a_request_without_end_ends_the_connection(world: World) -> None:
    with world.connect() as sock:
        world.send(sock, b"x" * (2 * LINE))
        assert json.loads(sock.recv(1 << 16))["error"].startswith("a request of more than")
        assert gone(sock)
    assert world.peers() == 0


def test_there_are_only_so_many_peers(world: World) -> None:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(world.connect()) for _ in range(PEERS)]
        with world.connect() as late:
            assert json.loads(late.recv(100)) == {"error": "too many connections"}
            assert gone(late)
        assert world.ask(socks[0], do="list")[-1] == {"end": True}
        socks.pop().close()
        world.loop.settle()
        with world.connect() as sock:
            assert world.ask(sock, do="list")[-1] == {"end": True}


def test_a_big_list_is_told_in_slices(tmp_path: Path) -> None:
    world = World(str(tmp_path / "control"), taps=5000)
    with contextlib.closing(world.control), world.connect() as sock:
        world.loop.slowest = 0
        records = world.ask(sock, do="list")
    assert [record.get("tap") for record in records] == [*(f"tap{number}" for number in range(5000)), None]
    # It is 0.7 ms; without slices it is 60.
    assert world.loop.slowest < 0.01


def test_a_slow_reader_stops_his_own_answer_alone_and_is_dropped_in_the_end(tmp_path: Path) -> None:
    world = World(str(tmp_path / "control"), taps=5000)
    with contextlib.closing(world.control), world.connect() as slow, world.connect() as other:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(3):
            world.send(slow, b'{"do":"list"}\n')
        (peer,) = [peer for peer in world.control._peers.values() if peer.session.writes]
        assert len(peer.session.out) < (1 << 17)
        assert "unknown request" in world.ask(other, do="none")[-1]["error"]
        world.now = IDLE
        world.ask(other, do="none")
        world.control.sweep()
        assert world.peers() == 1
        assert gone(slow)


def test_a_peer_that_asks_nothing_is_dropped(world: World) -> None:
    with world.connect() as sock:
        world.now = IDLE - 1
        world.control.sweep()
        assert world.peers() == 1
        world.now = IDLE
        world.control.sweep()
        assert gone(sock)


def test_a_watcher_hears_of_what_happens_and_may_wait_for_ever(world: World) -> None:
    with world.connect() as sock:
        world.send(sock, b'{"do":"watch"}\n')
        assert json.loads(sock.recv(1 << 16)) == {"watching": True}
        world.now = 10 * IDLE
        world.control.sweep()
        world.service.happens()
        world.loop.settle()
        assert json.loads(sock.recv(1 << 16))["told"] == "RA"
    world.loop.settle()
    assert world.service.watchers == []
    assert world.peers() == 0


def test_a_watcher_that_does_not_read_is_told_what_it_missed(world: World) -> None:
    with world.connect() as sock:
        world.send(sock, b'{"do":"watch"}\n')
        for _ in range(20):
            world.service.happens(times=WAITING)
            world.loop.settle()
        world.service.happens(times=2 * WAITING)
        count = lost = 0
        lines = b""
        while count + lost < 22 * WAITING:
            lines += sock.recv(1 << 16)
            *whole, lines = lines.split(b"\n")
            records = [json.loads(line) for line in whole]
            count += sum("told" in record for record in records)
            lost += sum(record.get("lost", 0) for record in records)
            world.loop.settle()
    assert lost >= WAITING
    assert count >= WAITING


def test_a_dead_watcher_costs_nothing(world: World) -> None:
    sock = world.connect()
    world.send(sock, b'{"do":"watch"}\n')
    sock.close()
    world.service.happens(times=3)
    world.loop.settle()
    assert (world.peers(), world.service.watchers) == (0, [])


def test_a_bug_ends_the_connection_and_not_the_daemon(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with world.connect() as sock, world.connect() as other:
        world.send(sock, b'{"do":"bug"}\n')
        assert gone(sock)
        assert "bug: a connection to the control socket was dropped" in caplog.text
        assert world.ask(other, do="list")[-1] == {"end": True}


def test_a_socket_left_by_one_who_was_killed_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "control")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    world = World(path)
    with contextlib.closing(world.control), world.connect() as sock:
        assert world.ask(sock, do="list")[-1] == {"end": True}


def test_a_second_daemon_does_not_take_the_first_ones_socket(world: World, caplog: pytest.LogCaptureFixture) -> None:
    second = Control(world.path, world.service.begin, Turns())
    second.close()
    assert "another one listens there" in caplog.text
    with world.connect() as sock:
        assert world.ask(sock, do="list")[-1] == {"end": True}


@pytest.mark.parametrize("path", ["{}/none/control", "{}/" + "x" * 200])
def test_without_a_place_for_the_socket_the_daemon_works_all_the_same(
    tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Control(path.format(tmp_path), Daemon().begin, Turns()).close()
    assert "nobody can ask this daemon" in caplog.text


def test_a_lack_of_files_is_said_once_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listener = world.control._listener
    assert listener is not None
    number = listener.fileno()

    class Full:
        def accept(self) -> Any:
            raise OSError(24, "Too many open files")

        def fileno(self) -> int:
            return number

    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(world.path)
        with monkeypatch.context() as patch:
            patch.setattr(world.control, "_listener", Full())
            world.loop.settle()
        assert caplog.text.count("Too many open files") == 1
        world.control.sweep()
        world.loop.settle()
        assert world.ask(sock, do="list")[-1] == {"end": True}


def test_one_turn_does_one_thing_however_many_ask(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    serve = Control._serve

    def count(self: Control, *about: Any) -> None:
        served.append(1)
        serve(self, *about)

    monkeypatch.setattr(Control, "_serve", count)
    with contextlib.ExitStack() as stack:
        for sock in [stack.enter_context(world.connect()) for _ in range(5)]:
            sock.sendall(b'{"do":"list"}\n')
        assert select.select([world.control._epoll], [], [], 0)[0]
        world.loop._turn()
        assert len(served) == 1
        world.loop.settle()
        assert len(served) >= 5  # one whose slice of time is over goes on in another turn
