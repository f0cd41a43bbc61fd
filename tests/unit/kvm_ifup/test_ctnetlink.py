"""Conntrack's messages; the kernel takes them in tests/contract/test_profiles.py."""

from __future__ import annotations

import socket
import sys

import pytest

from kvm_ifup.ctnetlink import Entry, parse, sentence, source

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="as a little-endian machine says it")

# A UDP packet of 10.0.1.5 to 10.0.1.9, as the kernel told of it (nfnetlink_conntrack.h): tuples, mark 3, zone 5.
_ADDRESSES = "1400 0180 0800 0100 0a000105 0800 0200 0a000109"
_BACK = "1400 0180 0800 0100 0a000109 0800 0200 0a000105"
_PORTS = "1c00 0280 0500 0100 11000000 0600 0200 0007 0000 0600 0300 0009 0000"
ORIG = bytes.fromhex(_ADDRESSES + _PORTS)
REPLY = bytes.fromhex(_BACK + _PORTS)
TOLD = (
    bytes.fromhex("02 00 0000 3400 0180") + ORIG + bytes.fromhex("3400 0280") + REPLY
    + bytes.fromhex("0800 0300 00000008 0800 0800 00000003 0600 1200 0005 0000")
)  # fmt: skip
ENTRY = Entry(family=socket.AF_INET, orig=ORIG, reply=REPLY, zone=5, mark=3)


def test_what_is_told() -> None:
    assert parse(TOLD) == ENTRY


def test_no_zone_is_the_zone_0() -> None:
    assert parse(TOLD[:-8]).zone == 0


def test_sources() -> None:
    assert source(socket.AF_INET, ORIG) == bytes((10, 0, 1, 5))
    assert source(socket.AF_INET, REPLY) == bytes((10, 0, 1, 9))


def test_a_sentence_names_the_connection_and_sets_one_bit() -> None:
    sent = sentence(ENTRY)
    assert int.from_bytes(sent[:4], "little") == len(sent)
    assert sent[16:] == bytes.fromhex("02 00 0000 3400 0180") + ORIG + bytes.fromhex(
        "0600 1200 0005 0000 0800 0800 10000000 0800 1500 10000000"
    )


def test_outside_of_zones_none_is_named() -> None:
    assert sentence(ENTRY._replace(zone=0))[16:] == bytes.fromhex("02 00 0000 3400 0180") + ORIG + bytes.fromhex(
        "0800 0800 10000000 0800 1500 10000000"
    )
