from __future__ import annotations

import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from bench.firewall import guests
from ganeti_ext import selection
from ganeti_ext.nicenv import Nic

LAST = 999


@pytest.mark.parametrize("frame", [guests.to_guest(LAST, 7), guests.from_guest(LAST, 7)])
def test_frames_are_as_small_as_ethernet_has_them_and_whole(frame: bytes) -> None:
    parsed = Ether(frame)
    assert len(frame) == 60
    sums = parsed[IP].chksum, parsed[UDP].chksum
    del parsed[IP].chksum, parsed[UDP].chksum
    again = Ether(bytes(parsed))
    assert (again[IP].chksum, again[UDP].chksum) == sums


def test_both_directions_are_one_flow() -> None:
    there, back = Ether(guests.to_guest(LAST, 7)), Ether(guests.from_guest(LAST, 7))
    assert (there.src, there[IP].src, there[UDP].sport) == (back.dst, back[IP].dst, back[UDP].dport)
    assert (there.dst, there[IP].dst, there[UDP].dport) == (back.src, back[IP].src, back[UDP].sport)
    assert there[UDP].sport == guests.FIRST_PORT + 7


def test_a_spoofed_frame_differs_in_nothing_but_its_address() -> None:
    spoofed, own = (Ether(guests.from_guest(1, source=address)) for address in ("10.99.0.3", "10.99.0.2"))
    assert (spoofed[IP].src, own[IP].src) == ("10.99.0.3", guests.address(1))
    assert (spoofed.src, spoofed[IP].dst, spoofed[UDP].sport) == (own.src, own[IP].dst, own[UDP].sport)


def test_guests_are_told_apart_and_from_the_station() -> None:
    everyone = range(LAST + 2)
    assert len({guests.mac(guest) for guest in everyone} | {guests.STATION}) == len(everyone) + 1
    assert len({guests.address(guest) for guest in everyone} | {guests.STATION_IP}) == len(everyone) + 1


def test_the_environment_is_one_that_the_script_takes() -> None:
    nic = Nic.from_env(guests.environment(LAST, "limited", "private-filtered"))
    assert (nic.tap, nic.mac, nic.ip, nic.mode) == ("tap999", guests.mac(LAST), guests.address(LAST), "bridged")
    assert nic.network is not None
    assert nic.network.tags == ("nfdhcpd", "private-filtered")
    assert selection.choose(nic, "unprotected").profile == "limited"


def test_a_bulk_frame_leaves_one_checksum_for_later() -> None:
    whole = guests.from_guest(LAST, payload=guests.BULK)
    frame = guests.bulk(whole)
    head, flags, start, offset = frame[:10], frame[0], *struct.unpack("<HH", frame[6:10])
    assert (len(head), flags, struct.unpack("<H", head[4:6])) == (10, 1, (1448,))
    # What a card does: the sum over all from `start`, in which the field holds that of the pseudo-header.
    udp = frame[10 + start :]
    done = udp[:offset] + guests.checksum(udp).to_bytes(2) + udp[offset + 2 :]
    assert frame[10 : 10 + start] + done == whole
