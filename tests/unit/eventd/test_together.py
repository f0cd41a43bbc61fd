"""What goes to the broker in one call of the kernel."""

from __future__ import annotations

import contextlib

import pytest

from eventd import publish
from eventd.publish import Together


class Transport:
    """As amqp's."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, frames: bytearray | memoryview) -> None:
        self.written.append(bytes(frames))


class Connection:
    frame_max = 131_072
    bytes_sent = 0


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def together(transport: Transport) -> Together:
    made = Together()
    made.writer(Connection(), transport)
    return made


def test_what_is_written_within_goes_at_once_and_the_rest_by_itself(together: Together, transport: Transport) -> None:
    together.write(b"before")
    buffer = bytearray(b"one")
    with together:
        together.write(memoryview(buffer))
        buffer[:] = b"two"  # amqp fills the same one again
        together.write(memoryview(buffer))
        assert transport.written == [b"before"]
    together.write(b"after")
    assert transport.written == [b"before", b"onetwo", b"after"]


def test_nothing_written_within_writes_nothing(together: Together, transport: Transport) -> None:
    with together:
        pass
    assert transport.written == []


def test_no_more_is_kept_back_than_there_is_room_for(
    together: Together, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_MOST", 9)
    with together:
        for octet in b"abcdefghijklmnopqrstuvwxyz":
            together.write(bytes([octet]))
    assert transport.written == [b"abcdefghij", b"klmnopqrst", b"uvwxyz"]


def test_of_what_failed_nothing_goes_later(together: Together, transport: Transport) -> None:
    with contextlib.suppress(ConnectionError), together:
        together.write(b"half")
        raise ConnectionError
    together.write(b"close")
    assert transport.written == [b"close"]


def test_frames_are_amqps_own(transport: Transport) -> None:
    together = Together()
    write = together.writer(Connection(), transport)
    with together:
        write(8, 0, None, b"", None)
        write(8, 0, None, b"", None)
    assert transport.written == [b"\x08\x00\x00\x00\x00\x00\x00\xce" * 2]
