from __future__ import annotations

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from bench.dhcp import frames

MAC = "02:00:00:00:13:87"


def options(frame: Ether) -> dict[str, object]:
    return {entry[0]: entry[1] for entry in frame[DHCP].options if isinstance(entry, tuple)}


def test_a_discover_is_what_a_guest_without_address_sends() -> None:
    frame = Ether(frames.discover(MAC, 0x1234))
    assert (frame.src, frame.dst) == (MAC, "ff:ff:ff:ff:ff:ff")
    assert (frame[IP].src, frame[IP].dst) == ("0.0.0.0", "255.255.255.255")
    assert (frame[UDP].sport, frame[UDP].dport) == (68, 67)
    assert (frame[BOOTP].xid, frame[BOOTP].chaddr[:6].hex(":")) == (0x1234, MAC)
    assert options(frame)["message-type"] == 1


def test_a_relayed_one_says_where_the_answer_goes() -> None:
    frame = Ether(frames.relayed(MAC, 7, "10.99.255.3", "10.99.255.1", "02:ff:00:00:00:01"))
    assert (frame.src, frame.dst) == (MAC, "02:ff:00:00:00:01")
    assert (frame[IP].src, frame[IP].dst, frame[UDP].sport) == ("10.99.255.3", "10.99.255.1", 67)
    assert (frame[BOOTP].giaddr, frame[BOOTP].xid) == ("10.99.255.3", 7)
    assert options(frame)["message-type"] == 1


@pytest.mark.parametrize("made", [frames.discover(MAC, 1), frames.relayed(MAC, 1, "10.0.0.3", "10.0.0.1", MAC)])
def test_the_headers_add_up(made: bytes) -> None:
    frame = Ether(made)
    again = frame.copy()
    del again[IP].chksum, again[IP].len, again[UDP].len
    built = Ether(bytes(again))
    assert (frame[IP].chksum, frame[IP].len, frame[UDP].len) == (built[IP].chksum, built[IP].len, built[UDP].len)
    assert frame[IP].len == len(made) - 14


def reply(kind: str) -> bytes:
    message = BOOTP(op=2, xid=99, yiaddr="10.99.20.250", chaddr=bytes.fromhex(MAC.replace(":", "")))
    ends = Ether(dst=MAC, src="02:ff:00:00:00:01") / IP(src="10.99.255.1", dst="10.99.20.250") / UDP(sport=67, dport=68)
    return bytes(ends / message / DHCP(options=[("message-type", kind), ("server_id", "10.99.255.1"), "end"]))


def test_an_offer_is_read() -> None:
    assert frames.offer(reply("offer")) == frames.Offer(MAC, 99, "10.99.20.250")


def test_nothing_else_is_an_offer() -> None:
    whole = reply("offer")
    for other in (reply("ack"), frames.discover(MAC, 99), b"", bytes(60), *(whole[:n] for n in range(285))):
        assert frames.offer(other) is None
