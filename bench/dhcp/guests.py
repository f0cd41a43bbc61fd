"""Guests of our own at the far ends of the taps, for what perfdhcp cannot do: all at once, and one that waits."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator

from bench import netns
from bench.dhcp import frames, topology
from bench.dhcp.bench import Bench


class Guests:
    """Sends and receives at every tap; answers are counted only at the tap of the guest that they are for."""

    def __init__(self) -> None:
        self._socket = netns.packet_socket(topology.DEMUX, receive=True)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def discover(self, guest: int, xid: int) -> None:
        self._socket.sendto(frames.discover(topology.mac(guest), xid), (f"g{guest}", 0))

    def storm(self, guests: Iterable[int], xid: int) -> float:
        """A DISCOVER of each, as fast as it goes; the seconds that took."""
        ready = [(frames.discover(topology.mac(guest), xid), (f"g{guest}", 0)) for guest in guests]
        start = time.monotonic()
        for frame, place in ready:
            self._socket.sendto(frame, place)
        return time.monotonic() - start

    def offers(self, xid: int, wait: float) -> Iterator[int]:
        """Guests that are offered their own address, as it happens, until nothing comes for `wait` seconds."""
        while select.select([self._socket], [], [], wait)[0]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    frame, (name, *_) = self._socket.recvfrom(2048)
                    guest = int(name[1:]) if name[1:].isdecimal() else -1
                    mine = guest >= 0 and frames.Offer(topology.mac(guest), xid, topology.address(guest))
                    if mine and frames.offer(frame) == mine:
                        yield guest

    def first(self, ask: Callable[[], int], xid: int, every: float, timeout: float) -> float:
        """Let guests ask, one each `every` seconds, until one is answered; when that was, in time.monotonic().

        TimeoutError when nobody is.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.discover(ask(), xid)
            for _ in self.offers(xid, every):
                return time.monotonic()
        raise TimeoutError(f"no guest was offered an address within {timeout:g} s")


@contextlib.contextmanager
def guests(bench: Bench) -> Iterator[Guests]:
    """Guests for the length of a `with` block, on the core that is not the server's."""
    made = Guests()
    with contextlib.closing(made), pinned(bench.demux.core):
        yield made


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """This process on one core; none: where it is."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
