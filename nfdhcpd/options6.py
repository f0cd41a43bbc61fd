"""What DHCPv6 can tell beside addresses, encoded once for all guests that are told the same."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd import dhcp6, names, raw
from nfdhcpd.dhcp6 import Code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nfdhcpd.terms import Terms

NTP_ADDRESS = 1  # RFC 5908, 4.1
# How often a client asks again when nobody answers (RFC 8415, 7.6): the default, and the most that can be told.
USUAL, SELDOM = 3600, 86400


class Facts(NamedTuple):
    """What the options follow from; `leases` says whether the guest is given an address or a prefix."""

    terms: Terms
    domain: str
    leases: bool


def _addresses(texts: tuple[str, ...]) -> list[bytes]:
    return [IPv6Address(text).packed for text in texts if ":" in text]


def _seconds(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _search(facts: Facts) -> bytes:
    """The domain of the guest where none is to be searched: DHCPv6 has no other option that tells it."""
    domains = facts.terms.search or ((facts.domain,) if facts.domain else ())
    return b"".join(map(names.encode, domains))


# An empty value is not told.
OPTIONS: Mapping[int, Callable[[Facts], bytes]] = {
    Code.NAMESERVERS: lambda facts: b"".join(_addresses(facts.terms.nameservers)),
    Code.SEARCH: _search,
    Code.SNTP: lambda facts: b"".join(_addresses(facts.terms.ntp)),
    Code.NTP: lambda facts: b"".join(dhcp6.option(NTP_ADDRESS, server) for server in _addresses(facts.terms.ntp)),
    # A guest that is given nothing need not ask every hour (RFC 7083).
    Code.SOL_MAX_RT: lambda facts: _seconds(USUAL if facts.leases else SELDOM),
    Code.INF_MAX_RT: lambda _facts: _seconds(USUAL),
}


@lru_cache(maxsize=1024)
def encode(facts: Facts) -> Mapping[int, bytes]:
    """Options by code, ready to send; the raw ones of the terms take the place of others. ValueError if reserved."""
    values = {code: make(facts) for code, make in OPTIONS.items()}
    found = {int(code): dhcp6.option(code, value) for code, value in values.items() if value}
    said: dict[int, bytes] = {}
    for code, value in map(raw.six, facts.terms.options6):
        said[code] = said.get(code, b"") + dhcp6.option(code, value)
    return found | said


def refresh(terms: Terms) -> bytes:
    """How long what an Information-request was told is good for: IRT_MINIMUM to IRT_DEFAULT (RFC 8415, 7.6)."""
    return dhcp6.option(Code.REFRESH, _seconds(max(600, min(terms.lease, 86400))))
