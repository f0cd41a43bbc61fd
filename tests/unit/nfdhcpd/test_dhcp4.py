from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from nfdhcpd import dhcp4
from nfdhcpd.dhcp4 import Code, Dhcp4, Kind
from nfdhcpd.frame import FrameError

four = st.binary(min_size=4, max_size=4)
# Overload changes where options are looked for, pad and end are no options.
codes = st.integers(1, 254).filter(lambda code: code != Code.OVERLOAD)
messages = st.builds(
    Dhcp4,
    op=st.sampled_from((1, 2)),
    xid=four,
    chaddr=st.binary(min_size=6, max_size=6),
    options=st.dictionaries(codes, st.binary(max_size=600), max_size=12),
    hops=st.integers(0, 255),
    secs=st.integers(0, 0xFFFF),
    flags=st.integers(0, 0xFFFF),
    ciaddr=four,
    yiaddr=four,
    siaddr=four,
    giaddr=four,
    link=st.just(b"\1\6"),
)
QUERY = Dhcp4(1, b"abcd", b"\x52\x54\0\0\0\1", {53: b"\1", 55: b"\1\3\6", 61: b"\1RT\0\0\0\1"})


@given(messages)
def test_round_trip(message: Dhcp4) -> None:
    assert dhcp4.parse(dhcp4.build(message)) == message


@given(messages.filter(lambda message: all(len(value) < 256 for value in message.options.values())))
def test_header_is_as_scapy_reads_it(message: Dhcp4) -> None:
    read = BOOTP(dhcp4.build(message))
    assert (read.op, read.htype, read.hlen, read.hops) == (message.op, 1, 6, message.hops)
    assert (read.xid.to_bytes(4, "big"), read.secs, int(read.flags)) == (message.xid, message.secs, message.flags)
    assert read.chaddr == message.chaddr + bytes(10)
    addresses = [bytes(map(int, str(getattr(read, name)).split("."))) for name in ("ciaddr", "yiaddr", "giaddr")]
    assert addresses == [message.ciaddr, message.yiaddr, message.giaddr]


def test_least_size() -> None:
    assert len(dhcp4.build(QUERY)) == 300


def test_long_option_is_split() -> None:
    raw = dhcp4.option(Code.SEARCH, bytes(300))
    assert (raw[:2], raw[257:259], len(raw)) == (b"\x77\xff", b"\x77\x2d", 304)


@pytest.mark.parametrize("size", range(240 + 3 + 5 + 9 + 1))
def test_truncated(size: int) -> None:
    payload = dhcp4.build(QUERY)[:size]
    boundaries = {240: {}, 243: {53}, 248: {53, 55}, 257: {53, 55, 61}}
    if size in boundaries:  # a missing end mark is forgiven, as clients leave it out
        assert set(dhcp4.parse(payload).options) == set(boundaries[size])
    else:
        with pytest.raises(FrameError):
            dhcp4.parse(payload)


@given(st.binary(max_size=400))
def test_noise_behind_the_header(noise: bytes) -> None:
    payload = dhcp4.build(QUERY)[:240] + noise
    try:
        found = dhcp4.parse(payload)
    except FrameError:
        return
    assert sum(map(len, found.options.values())) <= 2 * (len(noise) + 192)


def test_options_in_file_and_sname() -> None:
    raw = bytearray(dhcp4.build(Dhcp4(1, b"abcd", bytes(6), {52: b"\3", 55: b"\1"})))
    raw[108:117] = b"\x32\4\x0a\0\0\1\xff\0\0"  # file: requested address
    raw[44:52] = b"\x37\1\6\x0c\2vm\xff"  # sname: more of option 55, a host name
    assert dhcp4.parse(bytes(raw)).options == {52: b"\3", 55: b"\1\6", 50: b"\x0a\0\0\1", 12: b"vm"}


def test_a_value_in_pieces_over_all_fields() -> None:
    """RFC 3396, 5 to 7: the pieces follow each other by field, whatever stands between them."""
    raw = bytearray(dhcp4.build(Dhcp4(1, b"abcd", bytes(6), {52: b"\3", 119: b"one", 12: b"vm"})))
    raw[108:116] = b"\x77\3two\0\x77\0"  # file, in which a pad and an empty piece do no harm
    raw[44:52] = b"\x77\5three\xff"  # sname
    assert dhcp4.parse(bytes(raw)).options == {52: b"\3", 119: b"onetwothree", 12: b"vm"}


@pytest.mark.parametrize(("overload", "found"), [(0, set()), (1, {12}), (2, {15}), (3, {12, 15}), (4, set())])
def test_only_the_fields_that_are_named(overload: int, found: set[int]) -> None:
    raw = bytearray(dhcp4.build(Dhcp4(1, b"abcd", bytes(6), {52: bytes((overload,))})))
    raw[108:113], raw[44:49] = b"\x0c\2vm\xff", b"\x0f\2de\xff"
    assert set(dhcp4.parse(bytes(raw)).options) == {52, *found}


def test_fields_of_boot_as_scapy_reads_them() -> None:
    read = BOOTP(dhcp4.assemble(QUERY._replace(siaddr=b"\x0a\0\0\2"), b"", b"pxelinux.0", b"server"))
    assert (read.siaddr, read.file, read.sname) == (
        "10.0.0.2",
        b"pxelinux.0".ljust(128, b"\0"),
        b"server".ljust(64, b"\0"),
    )


def test_bootp_has_no_cookie() -> None:
    with pytest.raises(FrameError, match="cookie"):
        dhcp4.parse(dhcp4.build(QUERY)[:236] + bytes(64))


@pytest.mark.parametrize(("at", "value"), [(1, 6), (2, 16), (2, 0)])
def test_other_hardware(at: int, value: int) -> None:
    raw = bytearray(dhcp4.build(QUERY))
    raw[at] = value
    with pytest.raises(FrameError, match="hardware type"):
        dhcp4.parse(bytes(raw))


@pytest.mark.parametrize("value", [None, b"", b"\0", b"\x09", b"\1\1"])
def test_message_type_missing_or_bad(value: bytes | None) -> None:
    message = QUERY._replace(options={} if value is None else {53: value})
    with pytest.raises(FrameError, match="message type"):
        _ = dhcp4.parse(dhcp4.build(message)).kind


def test_kinds_are_those_of_scapy() -> None:
    for kind in Kind:
        read = BOOTP(dhcp4.build(QUERY._replace(options={53: bytes((kind,))})))
        assert read[DHCP].options[0] == ("message-type", kind)
