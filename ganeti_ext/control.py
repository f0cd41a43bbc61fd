"""A daemon's control socket: a Unix stream socket on which it tells of itself.

What is said on it stands in session.py (form) and the daemon's questions.py (content). The daemon's own work comes
first: a turn of its loop does one thing here, half a millisecond long at most, however many peers there are; nothing
blocks, and what a peer does wrong ends its own connection. The socket's mode lets root and one group in.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from ganeti_ext.errors import ExtError
from ganeti_ext.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from ganeti_ext.service import Loop
    from ganeti_ext.session import Job, Record

    # Gives a request's answer, which may raise ExtError at any time; the other is called when one that waits has more.
    Begin = Callable[[Record, Callable[[], None]], Job]

log = logging.getLogger(__name__)

PEERS = 32
IDLE = 60.0  # seconds after which a peer that does not take its answer, or asks nothing, is dropped
SWEEP = 5.0
CHUNK = 4096


class Control:
    """Listens at a path from its making on. When it cannot it says so: the daemon does its work all the same.

    `group` is who may ask beside root and the daemon's user; "" is the group that the daemon runs as.
    """

    def __init__(
        self, path: str, begin: Begin, loop: Loop, clock: Callable[[], float] = time.monotonic, group: str = ""
    ) -> None:
        self._path = path
        self._clock = clock
        self._begin = begin
        self._peers: dict[int, _Peer] = {}
        self._epoll = select.epoll()
        self._listener: socket.socket | None = None
        try:
            self._listener = _listen(path)
        except (OSError, ExtError) as err:
            log.warning("no control socket at %s, nobody can ask this daemon: %s", path, err)
            return
        if group:
            # In a checkout there may be no such group, and root is the one to ask.
            with contextlib.suppress(LookupError, OSError):
                shutil.chown(path, group=group)
        self._epoll.register(self._listener, select.EPOLLIN)
        loop.add(self._epoll, self.ready)
        loop.every(SWEEP, self.sweep)

    def close(self) -> None:
        """Drop all peers and take the socket away."""
        for peer in list(self._peers.values()):
            self._drop(peer)
        if self._listener is not None:
            self._listener.close()
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._epoll.close()

    def ready(self) -> None:
        """Do one thing that is due. The kernel gives each peer its turn."""
        for number, events in self._epoll.poll(0, 1):
            peer = self._peers.get(number)
            if peer is None:
                self._accept()
                continue
            try:
                self._serve(peer, events)
            except OSError:
                self._drop(peer)
            except Exception:
                log.exception("bug: a connection to the control socket was dropped")
                self._drop(peer)

    def sweep(self) -> None:
        """Drop those who stand still, but for those who wait for news."""
        now = self._clock()
        for peer in list(self._peers.values()):
            waits = not peer.session.reads and not peer.session.writes
            if now - peer.moved >= IDLE and not waits:
                self._drop(peer)
        if self._listener is not None:  # which a lack of files may have silenced
            self._epoll.modify(self._listener, select.EPOLLIN)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as err:
            log.warning("control socket: %s", err)
            self._epoll.modify(self._listener, 0)
            return
        sock.setblocking(False)
        if len(self._peers) >= PEERS:
            with sock, contextlib.suppress(OSError):
                sock.send(b'{"error":"too many connections"}\n')
            return
        peer = _Peer(sock, self._clock())
        peer.session = Session(partial(self._asked, peer), time.perf_counter)
        self._peers[sock.fileno()] = peer
        self._epoll.register(sock, select.EPOLLIN)

    def _asked(self, peer: _Peer, request: Record) -> Job:
        return self._begin(request, partial(self._wake, peer))

    def _serve(self, peer: _Peer, events: int) -> None:
        session = peer.session
        if events & select.EPOLLIN:
            session.take(peer.socket.recv(CHUNK))
            peer.moved = self._clock()
        elif events & (select.EPOLLHUP | select.EPOLLERR):
            self._drop(peer)
            return
        session.make()
        if session.out:
            with contextlib.suppress(BlockingIOError):
                del session.out[: peer.socket.send(session.out)]
                peer.moved = self._clock()
        if session.over:
            self._drop(peer)
        else:
            self._poll(peer)

    def _poll(self, peer: _Peer) -> None:
        reads, writes = peer.session.reads, peer.session.writes
        self._epoll.modify(peer.socket, (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if writes else 0))

    def _wake(self, peer: _Peer) -> None:
        peer.session.resume()
        self._poll(peer)

    def _drop(self, peer: _Peer) -> None:
        del self._peers[peer.socket.fileno()]
        peer.session.close()
        peer.socket.close()


class _Peer:
    session: Session

    def __init__(self, sock: socket.socket, now: float) -> None:
        self.socket = sock
        self.moved = now  # when bytes went either way


def _listen(path: str) -> socket.socket:
    with contextlib.ExitStack() as undo:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        undo.callback(sock.close)
        try:
            sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            pass  # nobody, or the remains of one who was killed
        else:
            raise ExtError("another one listens there")
        sock.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        undo.callback(sock.close)
        before = os.umask(0o117)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        sock.listen(PEERS)
        undo.pop_all()
        return sock
