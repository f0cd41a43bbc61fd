"""Which identity association has the address or the prefix; every reply is read by scapy (see guest6.Answer6)."""

from __future__ import annotations

import pytest

from tests.unit.nfdhcpd.guest import guests
from tests.unit.nfdhcpd.guest6 import (
    ADDRESS,
    DECLINE,
    FOREIGN,
    GRANTED,
    IA_NA,
    IA_PD,
    IA_TA,
    OTHER,
    PREFIX,
    RAPID,
    REBIND,
    RELEASE,
    RENEW,
    REPLY,
    REQUEST,
    SOLICIT,
    TIMES,
    ask6,
    guest6,
    ia,
    told,
)


@pytest.mark.parametrize("kind", [REQUEST, RENEW, REBIND])
def test_granted(kind: int) -> None:
    reply = ask6(kind, ia(IA_NA, 1, ADDRESS))
    assert (reply.kind, reply.ias) == (REPLY, [(IA_NA, 1, *TIMES, [GRANTED], None)])
    assert {7, 13, 14}.isdisjoint(reply.codes)


@pytest.mark.parametrize("kind", [REQUEST, RENEW, REBIND])
def test_granted_to_an_ia_that_names_no_address(kind: int) -> None:
    # RFC 8415, 18.3.4: we are a server that makes bindings as it renews.
    assert ask6(kind, ia(IA_NA, 1)).ias == [(IA_NA, 1, *TIMES, [GRANTED], None)]


@pytest.mark.parametrize("kind", [REQUEST, RENEW, REBIND])
def test_other_addresses_are_taken_back(kind: int) -> None:
    (found,) = ask6(kind, ia(IA_NA, 1, OTHER, ADDRESS, "fd00:77::12")).ias
    assert found[4] == [GRANTED, (OTHER, 0, 0), ("fd00:77::12", 0, 0)]


@pytest.mark.parametrize("kind", [RENEW, REBIND])
def test_renewing_an_address_of_another_link(kind: int) -> None:
    assert ask6(kind, ia(IA_NA, 1, FOREIGN)).ias == [(IA_NA, 1, *TIMES, [GRANTED, (FOREIGN, 0, 0)], None)]


def test_a_solicit_only_names_what_it_would_like() -> None:
    assert ask6(SOLICIT, ia(IA_NA, 1, OTHER, FOREIGN)).ias == [(IA_NA, 1, *TIMES, [GRANTED], None)]


def test_a_request_of_another_link_is_refused_by_ia() -> None:
    reply = ask6(REQUEST, ia(IA_NA, 1, FOREIGN), ia(IA_NA, 2))
    assert reply.ias == [(IA_NA, 1, 0, 0, [], 4), (IA_NA, 2, *TIMES, [GRANTED], None)]


def test_a_request_where_one_of_two_addresses_is_of_another_link() -> None:
    assert ask6(REQUEST, ia(IA_NA, 1, ADDRESS, FOREIGN)).ias == [(IA_NA, 1, 0, 0, [], 4)]


def test_unset_addresses_are_no_addresses() -> None:
    assert ask6(REQUEST, ia(IA_NA, 1, "::")).ias == [(IA_NA, 1, *TIMES, [GRANTED], None)]


@pytest.mark.parametrize(("kind", "rapid"), [(SOLICIT, b""), (SOLICIT, RAPID), (REQUEST, b""), (RENEW, b"")])
def test_of_several_ias_the_first_has_the_address(kind: int, rapid: bytes) -> None:
    found = ask6(kind, ia(IA_NA, 1), ia(IA_NA, 2), rapid).ias
    assert found == [(IA_NA, 1, *TIMES, [GRANTED], None), (IA_NA, 2, 0, 0, [], 2)]


@pytest.mark.parametrize("kind", [REQUEST, RENEW, REBIND])
def test_of_several_ias_the_one_that_names_the_address_has_it(kind: int) -> None:
    found = ask6(kind, ia(IA_NA, 1), ia(IA_NA, 2, ADDRESS)).ias
    assert found == [(IA_NA, 1, 0, 0, [], 2), (IA_NA, 2, *TIMES, [GRANTED], None)]


def test_an_ia_that_is_not_to_have_what_it_names() -> None:
    ias = (ia(IA_NA, 1, ADDRESS), ia(IA_NA, 2, OTHER))
    assert ask6(RENEW, *ias).ias[1] == (IA_NA, 2, 0, 0, [(OTHER, 0, 0)], None)
    assert ask6(REQUEST, *ias).ias[1] == (IA_NA, 2, 0, 0, [], 2)


@pytest.mark.parametrize("kind", [SOLICIT, REQUEST, RENEW, REBIND])
def test_there_are_no_temporary_addresses(kind: int) -> None:
    found = ask6(kind, ia(IA_TA, 1), ia(IA_NA, 2)).ias
    assert found == [(IA_TA, 1, 0, 0, [], 2), (IA_NA, 2, *TIMES, [GRANTED], None)]


@pytest.mark.parametrize("kind", [SOLICIT, REQUEST, RENEW, REBIND])
def test_a_prefix_is_delegated(kind: int) -> None:
    served = guest6(guests(prefix6=PREFIX))
    assert ask6(kind, ia(IA_PD, 7), ia(IA_NA, 7), served=served).ias == [
        (IA_PD, 7, *TIMES, [(PREFIX, 378000, 604800)], None),
        (IA_NA, 7, *TIMES, [GRANTED], None),
    ]


def test_other_prefixes_are_taken_back() -> None:
    served = guest6(guests(prefix6=PREFIX))
    (found,) = ask6(RENEW, ia(IA_PD, 7, "2001:db8::/56", "fd00:88::/60", "::/56"), served=served).ias
    assert found[4] == [(PREFIX, 378000, 604800), ("2001:db8::/56", 0, 0), ("fd00:88::/60", 0, 0)]


@pytest.mark.parametrize("kind", [SOLICIT, REQUEST, RENEW, REBIND])
def test_no_prefix(kind: int) -> None:
    assert ask6(kind, ia(IA_PD, 7)).ias == [(IA_PD, 7, 0, 0, [], 6)]


def test_a_guest_that_makes_its_address_itself_may_have_a_prefix() -> None:
    served = guest6(guests(prefix6=PREFIX, ipv6_mode="slaac+dhcpv6"))
    reply = ask6(SOLICIT, ia(IA_NA, 1), ia(IA_PD, 2), RAPID, served=served)
    assert (reply.kind, reply.told) == (REPLY, f"REPLY6 {PREFIX}")
    assert [found[-1] for found in reply.ias] == [2, None]


@pytest.mark.parametrize("kind", [RENEW, REBIND])
def test_an_address_of_former_times_is_taken_back(kind: int) -> None:
    served = told(ipv6_mode="slaac+dhcpv6")
    assert ask6(kind, ia(IA_NA, 1, ADDRESS), served=served).ias == [(IA_NA, 1, 0, 0, [(ADDRESS, 0, 0)], None)]


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_what_is_not_the_guests_has_no_binding(kind: int) -> None:
    reply = ask6(kind, ia(IA_NA, 1, ADDRESS), ia(IA_NA, 2, OTHER), ia(IA_TA, 3, ADDRESS), ia(IA_PD, 4, PREFIX))
    assert reply.status == 0
    assert reply.ias == [(code, iaid, 0, 0, [], 3) for code, iaid in ((IA_NA, 2), (IA_TA, 3), (IA_PD, 4))]
