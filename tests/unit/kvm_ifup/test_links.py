"""Messages of rtnetlink."""

from __future__ import annotations

import errno
import struct

import pytest

from kvm_ifup import links


def message(kind: int, payload: bytes = b"") -> bytes:
    length = 16 + len(payload)
    return struct.pack("=IHHII", length, kind, 0, 0, 0) + payload + bytes(-length % 4)


NEW, GONE = message(16, b"abcde"), message(17, b"abcdefg")


@pytest.mark.parametrize(
    ("data", "gone"),
    [(b"", False), (NEW, False), (GONE, True), (NEW + GONE, True), (GONE + NEW, True), (NEW * 3, False)],
)
def test_departed(data: bytes, gone: bool) -> None:
    assert links.departed(data) is gone


def test_cut_messages_end() -> None:
    for end in range(len(NEW)):
        assert not links.departed(NEW[:end])
    assert not links.departed(bytes(64))  # lengths of nothing


class Socket:
    def __init__(self, *answers: bytes | int) -> None:
        self._answers = list(answers)

    def recv(self, room: int) -> bytes:
        assert room >= 1 << 15  # netlink(7): a message of up to 32 KiB must not be cut
        answer = self._answers.pop(0) if self._answers else errno.EAGAIN
        if isinstance(answer, int):
            raise OSError(answer, "")
        return answer


@pytest.mark.parametrize(
    ("answers", "gone"),
    [((), False), ((NEW,), False), ((GONE, NEW), True), ((errno.ENOBUFS,), True), ((errno.ENOBUFS, NEW), True)],
)
def test_drain_reads_all(monkeypatch: pytest.MonkeyPatch, answers: tuple[bytes | int, ...], gone: bool) -> None:
    departures = links.Departures()
    departures.close()
    fake = Socket(*answers)
    monkeypatch.setattr(departures, "_socket", fake)
    assert departures.drain() is gone
    assert not fake._answers


def test_other_errors_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    departures = links.Departures()
    departures.close()
    monkeypatch.setattr(departures, "_socket", Socket(errno.EBADF))
    with pytest.raises(OSError, match=r"\[Errno 9\]"):
        departures.drain()


def test_nothing_waits_on_a_quiet_host() -> None:
    departures = links.Departures()
    assert departures.fileno() > 0
    departures.close()


def test_ifindex() -> None:
    assert links.ifindex("lo") == 1
    assert links.ifindex("no-such-link") is None
