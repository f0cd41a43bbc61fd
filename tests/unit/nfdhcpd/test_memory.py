"""A remembered answer is the answer: whatever differs in a request, the result is that of responder.answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfdhcpd import memory, responder
from nfdhcpd.answer import Silence
from nfdhcpd.client import Client
from nfdhcpd.frame import FrameError
from tests.unit.nfdhcpd.guest import IP4, MAC, guest, packet

DISCOVER, REQUEST, INFORM = 1, 3, 8
OWN = bytes((10, 77, 0, 10))
MESSAGES = [
    packet(DISCOVER),
    packet(DISCOVER, flags=0x8000),
    packet(REQUEST, options={50: OWN}),
    packet(REQUEST, options={50: bytes((10, 77, 0, 11))}),
    packet(REQUEST, ciaddr=IP4, src=IP4, options={61: b"\1" + MAC}),
    packet(INFORM, ciaddr=IP4, src=IP4),
]


def both(raw: bytes, served: Client) -> tuple[bytes, bytes]:
    return memory.answer(raw, MAC, served)[2], responder.answer(raw, MAC, served).frame


@given(st.sampled_from(MESSAGES), st.binary(min_size=4, max_size=4), st.binary(min_size=2, max_size=2))
def test_another_transaction(raw: bytes, xid: bytes, secs: bytes) -> None:
    served = guest()
    memory.answer(raw, MAC, served)
    again = raw[:32] + xid + secs + raw[38:]
    found, wanted = both(again, served)
    assert found == wanted
    assert found[46:50] == xid


def test_a_message_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    served = guest()
    memory.answer(MESSAGES[0], MAC, served)
    monkeypatch.setattr(responder, "answer", None)
    assert memory.answer(MESSAGES[0], MAC, served)[0] == "DISCOVER"


@given(st.sampled_from(MESSAGES), st.integers(0, 299), st.integers(0, 255))
def test_any_other_byte_is_another_message(raw: bytes, at: int, value: int) -> None:
    served = guest()
    memory.answer(raw, MAC, served)
    other = raw[:at] + bytes((value,)) + raw[at + 1 :]
    try:
        wanted = responder.answer(other, MAC, served)
    except (Silence, FrameError):
        with pytest.raises((Silence, FrameError)):
            memory.answer(other, MAC, served)
    else:
        assert memory.answer(other, MAC, served) == wanted


def test_another_card_is_judged_anew() -> None:
    served = guest()
    memory.answer(MESSAGES[0], MAC, served)
    with pytest.raises(Silence, match="spoofed"):
        memory.answer(MESSAGES[0], b"\x52\x54\0\0\0\x99", served)


def test_a_guest_that_makes_up_messages_is_not_remembered_without_end() -> None:
    served = guest()
    for number in range(100):
        memory.answer(packet(DISCOVER, options={61: bytes((1, number))}), MAC, served)
    memory.answer(packet(DISCOVER, options={n: bytes(200) for n in (200, 201, 202)}), MAC, served)
    assert 0 < len(served.memory) <= memory.MESSAGES
    assert all(len(key) < memory.LARGEST for key in served.memory)


def test_options_of_ipv4_move_the_fields() -> None:
    raw = packet(DISCOVER)
    longer = b"\x46" + raw[1:2] + (len(raw) + 4).to_bytes(2, "big") + raw[4:20] + b"\1\1\1\1" + raw[20:]
    served = guest()
    memory.answer(longer, MAC, served)
    other = longer[:36] + b"\x99\x88\x77\x66" + longer[40:]
    found, wanted = both(other, served)
    assert found == wanted
