from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import dhcp6 as scapy6

from nfdhcpd import dhcp6
from nfdhcpd.dhcp6 import Code, Ia, Status
from nfdhcpd.frame import FrameError
from tests.unit.nfdhcpd.guest6 import ADDRESS, IA_NA, IA_PD, IA_TA, OTHER, PREFIX, ia, option

OWN, ELSE = IPv6Address(ADDRESS).packed, IPv6Address(OTHER).packed
NETWORK = b"\x38" + IPv6Network(PREFIX).network_address.packed
HEAD = b"\1\x12\x34\x56"

codes = st.integers(0, 0xFFFF).filter(lambda code: code not in (IA_NA, IA_TA, IA_PD))
values = st.binary(max_size=60)
four, sixteen = (st.binary(min_size=size, max_size=size) for size in (4, 16))
ias = st.tuples(st.sampled_from((IA_NA, IA_TA)), four, st.lists(sixteen.filter(any), max_size=3))


@given(st.integers(0, 11), st.binary(min_size=3, max_size=3), st.dictionaries(codes, values, max_size=6))
def test_options_are_read_as_they_are_written(kind: int, xid: bytes, options: dict[int, bytes]) -> None:
    payload = bytes((kind,)) + xid + b"".join(dhcp6.option(code, value) for code, value in options.items())
    assert dhcp6.parse(payload) == (kind, xid, options, ())


@given(st.lists(ias, max_size=4))
def test_ias_are_read_as_they_are_written(many: list[tuple[int, bytes, list[bytes]]]) -> None:
    text = b"".join(
        dhcp6.ia(code, iaid, 1, 2, b"".join(dhcp6.address(one, 3, 4) for one in leases)) for code, iaid, leases in many
    )
    assert dhcp6.parse(HEAD + text).ias == tuple(Ia(code, iaid, tuple(leases)) for code, iaid, leases in many)


def test_a_message_of_scapy() -> None:
    built = (
        scapy6.DHCP6_Solicit(trid=0x123456)
        / scapy6.DHCP6OptElapsedTime(elapsedtime=7)
        / scapy6.DHCP6OptIA_NA(iaid=5, ianaopts=[scapy6.DHCP6OptIAAddress(addr=ADDRESS)])
        / scapy6.DHCP6OptOptReq(reqopts=[23, 24])
        / scapy6.DHCP6OptIA_PD(iaid=6, iapdopt=[scapy6.DHCP6OptIAPrefix(prefix="fd00:88::", plen=56)])
    )
    found = dhcp6.parse(bytes(built))
    assert (found.kind, found.xid) == (1, b"\x12\x34\x56")
    assert found.options == {8: b"\0\7", 6: b"\0\x17\0\x18"}
    assert found.ias == (Ia(IA_NA, b"\0\0\0\5", (OWN,)), Ia(IA_PD, b"\0\0\0\6", (NETWORK,)))


def test_of_an_option_that_comes_twice_the_first_counts() -> None:
    assert dhcp6.parse(HEAD + option(1, b"one") + option(1, b"two")).options == {1: b"one"}


def test_other_options_in_an_ia_are_skipped() -> None:
    status = dhcp6.status(Status.NO_BINDING, "no")
    inner = status + dhcp6.address(OWN, 1, 2) + dhcp6.prefix(NETWORK, 1, 2)
    assert dhcp6.parse(HEAD + dhcp6.ia(IA_NA, b"iaid", 0, 0, inner)).ias == (Ia(IA_NA, b"iaid", (OWN,)),)
    assert dhcp6.parse(HEAD + dhcp6.ia(IA_PD, b"iaid", 0, 0, inner)).ias == (Ia(IA_PD, b"iaid", (NETWORK,)),)


def test_options_within_an_address_are_skipped() -> None:
    address = option(5, OWN + bytes(8) + dhcp6.status(Status.SUCCESS, ""))
    assert dhcp6.parse(HEAD + dhcp6.ia(IA_NA, b"iaid", 0, 0, address)).ias == (Ia(IA_NA, b"iaid", (OWN,)),)


@pytest.mark.parametrize(("code", "unset"), [(IA_NA, "::"), (IA_TA, "::"), (IA_PD, "::/56")])
def test_what_is_unset_is_not_named(code: int, unset: str) -> None:
    assert dhcp6.parse(HEAD + ia(code, 1, unset)).ias[0].leases == ()


def test_as_scapy_reads_it() -> None:
    text = dhcp6.ia(IA_NA, b"\0\0\0\5", 10, 16, dhcp6.address(OWN, 20, 30) + dhcp6.status(Status.NOT_ON_LINK, "no"))
    found = scapy6.DHCP6OptIA_NA(text)
    assert (found.iaid, found.T1, found.T2, found.optlen) == (5, 10, 16, len(text) - 4)
    address, status = found.ianaopts
    assert (address.addr, address.preflft, address.validlft) == (ADDRESS, 20, 30)
    assert (status.statuscode, status.statusmsg) == (4, b"no")


def test_a_prefix_as_scapy_reads_it() -> None:
    found = scapy6.DHCP6OptIA_PD(dhcp6.ia(IA_PD, b"\0\0\0\6", 10, 16, dhcp6.prefix(NETWORK, 20, 30)))
    (prefix,) = found.iapdopt
    assert (prefix.prefix, prefix.plen, prefix.preflft, prefix.validlft) == ("fd00:88::", 56, 20, 30)


def test_temporary_addresses_have_no_times() -> None:
    assert dhcp6.ia(IA_TA, b"iaid", 1, 2, b"") == b"\0\4\0\4iaid"


def test_an_option_that_is_too_long() -> None:
    assert len(dhcp6.option(Code.NTP, bytes(0xFFFF))) == 0x10003
    with pytest.raises(ValueError, match="option 56 of 65536 bytes"):
        dhcp6.option(Code.NTP, bytes(0x10000))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "message of 0 bytes"),
        (b"\1\2\3", "message of 3 bytes"),
        (HEAD + b"\0", "option in 1 bytes"),
        (HEAD + b"\0\1\0", "option in 3 bytes"),
        (HEAD + b"\0\1\0\1", "option 1 is cut short"),
        (HEAD + option(1, b"x") + b"\0\x27\0\5abcd", "option 39 is cut short"),
        (HEAD + option(IA_NA, bytes(11)), "IA option 3 of 11 bytes"),
        (HEAD + option(IA_TA, bytes(3)), "IA option 4 of 3 bytes"),
        (HEAD + option(IA_PD, bytes(11)), "IA option 25 of 11 bytes"),
        (HEAD + option(IA_NA, bytes(12) + b"\0\5\0"), "option in 3 bytes of IA option 3"),
        (HEAD + option(IA_NA, bytes(12) + b"\0\5\0\x18" + bytes(23)), "option 5 in IA option 3 is cut short"),
        (HEAD + option(IA_NA, bytes(12) + option(5, bytes(23))), "option 5 of 23 bytes"),
        (HEAD + option(IA_PD, bytes(12) + option(26, bytes(24))), "option 26 of 24 bytes"),
        (b"\x0c" + bytes(40), "of a relay"),
        (b"\x0d" + bytes(40), "of a relay"),
    ],
)
def test_malformed(payload: bytes, why: str) -> None:
    with pytest.raises(FrameError, match=why):
        dhcp6.parse(payload)


def test_the_kind_of_nothing() -> None:
    assert dhcp6.kind(b"\7") == 7
    with pytest.raises(FrameError, match="0 bytes"):
        dhcp6.kind(b"")


@given(st.binary(max_size=200))
def test_noise(payload: bytes) -> None:
    try:
        found: Any = dhcp6.parse(payload)
    except FrameError:
        return
    assert found.xid == payload[1:4]
