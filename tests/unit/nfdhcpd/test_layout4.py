from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nfdhcpd import dhcp4
from nfdhcpd.dhcp4 import Dhcp4
from nfdhcpd.layout4 import Layout, lay_out, room

SERVER = dhcp4.option(54, b"\x0a\0\0\1")
texts = st.dictionaries(st.integers(1, 254).filter(lambda code: code not in (52, 54)), st.binary(max_size=120))
QUERY = Dhcp4(2, b"abcd", bytes(6), {})


def encoded(values: dict[int, bytes]) -> dict[int, bytes]:
    return {54: SERVER, **{code: dhcp4.option(code, value) for code, value in values.items()}}


def read(layout: Layout) -> dict[int, bytes]:
    """What a client reads of it that takes the fields in the order of RFC 3396."""
    found = dhcp4.parse(dhcp4.assemble(QUERY, layout.options, layout.file, layout.sname)).options
    return {code: value for code, value in found.items() if code != 52}


@given(
    texts, st.integers(60, 1200), st.one_of(st.none(), st.binary(max_size=40)), st.sampled_from((b"", b"pxelinux.0"))
)
def test_whatever_there_is_it_fits_and_is_whole(
    values: dict[int, bytes], free: int, wanted: bytes | None, file: bytes
) -> None:
    options = encoded(values)
    layout = lay_out(options, free, wanted, file=file)
    assert len(layout.options) <= free
    assert len(layout.file) <= 128
    assert len(layout.sname) <= 64
    assert layout.options.startswith(SERVER)
    assert layout.file == file or not file
    told = read(layout)
    assert told.items() <= {54: SERVER[2:], **values}.items()
    if sum(map(len, options.values())) <= free:
        assert told == {54: SERVER[2:], **values}
        assert not layout.sname


def test_the_order_is_the_clients_and_then_that_of_need() -> None:
    options = encoded({51: b"l", 1: b"m", 3: b"r", 12: b"h", 15: b"d"})
    assert [*read(lay_out(options, 300, b"\x0f\x63\3\3"))] == [54, 15, 3, 51, 1, 12]
    assert [*read(lay_out(options, 300, None))] == [*options]


def test_each_field_has_the_clients_order_too() -> None:
    options = encoded({51: b"l", **{code: bytes(28) for code in (200, 201, 202, 203, 204, 205)}})
    layout = lay_out(options, 50, bytes((205, 204, 203, 202, 201, 200)))
    assert [*read(layout)] == [54, 205, 51, 204, 203, 202, 201, 200] or len(read(layout)) == 8
    for field in (layout.file, layout.sname):
        assert field.endswith(b"\xff")
        codes = [code for code in read(Layout(field[:-1])) if code]
        assert codes == sorted(codes, reverse=True)


def test_largest_first_where_that_finds_room_for_all() -> None:
    # In order of need the small ones would take the place that the large one must have.
    options = encoded({51: bytes(4), 12: bytes(60), 15: bytes(50), 119: bytes(200)})
    layout = lay_out(options, 6 + 6 + 3 + 202, None)
    assert set(read(layout)) == set(options)
    assert [code for code in read(Layout(layout.options)) if code != 52] == [54, 51, 119]


def test_least_needed_is_left_out_where_there_is_no_room_for_all() -> None:
    options = encoded({51: bytes(4), 12: bytes(100), 15: bytes(100), 119: bytes(100), 120: bytes(100)})
    assert set(read(lay_out(options, 6 + 6 + 3 + 102, None))) == {54, 51, 12, 15}
    assert set(read(lay_out(options, 6 + 6 + 3 + 102, None, file=b"pxelinux.0"))) == {54, 51, 12}


def test_nothing_is_said_of_fields_that_nothing_went_to() -> None:
    layout = lay_out(encoded({224: bytes(200)}), 100, None)
    assert layout == Layout(SERVER)


@pytest.mark.parametrize(("size", "fits"), [(0, True), (125, True), (126, False)])
def test_an_option_of_the_size_of_the_first_field(size: int, fits: bool) -> None:
    layout = lay_out(encoded({224: bytes(size), 225: bytes(200)}), 10, None)
    assert (layout.file == dhcp4.option(224, bytes(size)) + b"\xff") is fits
    assert layout.options == SERVER + (b"\x34\1\1" if fits else b"")


@pytest.mark.parametrize(("size", "fits"), [(61, True), (62, False)])
def test_an_option_of_the_size_of_the_second_field(size: int, fits: bool) -> None:
    layout = lay_out(encoded({224: bytes(size)}), 10, None, file=b"f")
    assert (layout.sname == dhcp4.option(224, bytes(size)) + b"\xff") is fits
    assert bool(layout.sname) is fits


@pytest.mark.parametrize(
    ("size", "mtu", "free"),
    [
        (b"", None, 307),
        (b"\0\1", None, 307),
        (b"\2\x41", None, 308),
        (b"\xff\xff", None, 1231),
        (b"\5\xdc", 1280, 1011),
        (b"\5\xdc", 9000, 1231),
        (b"\5\xdc", 68, 307),
        (b"\5\xdc\0", None, 307),
    ],
)
def test_room(size: bytes, mtu: int | None, free: int) -> None:
    assert room(size, mtu) == free
