"""IPv6 router advertisements (RFC 4861, 4.2 and 6.2) and the solicitations that ask for them. No socket, no clock."""

from __future__ import annotations

import heapq
import struct
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext.address import link_local
from nfdhcpd import frame, names
from nfdhcpd.answer import Answer, Silence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ganeti_ext.binding import Binding
    from nfdhcpd.client import Client
    from nfdhcpd.settings import Ipv6
    from nfdhcpd.terms import Terms

SOLICIT, ADVERT = 133, 134
ALL_NODES = IPv6Address("ff02::1").packed
ALL_NODES_MAC = b"\x33\x33\0\0\0\1"
UNSPECIFIED = bytes(16)
_LINK_LOCAL = IPv6Network("fe80::/10")

SLLA, PREFIX, MTU, RDNSS, DNSSL = 1, 3, 5, 25, 31
ON_LINK, AUTONOMOUS = 0x80, 0x40
# Lifetimes of a prefix in seconds, the defaults of RFC 4861, 6.2.1.
VALID, PREFERRED = 2592000, 604800
LIFETIME = 1800


class Uplink(NamedTuple):
    """The interface that answers: its MAC, its packed IPv6 addresses, and whether it is the tap itself."""

    mac: bytes
    addresses: frozenset[bytes]
    routed: bool


class Network(NamedTuple):
    """What a binding says of IPv6."""

    subnet6: str | None
    gateway6: str | None
    private: bool


class Advert(NamedTuple):
    """Frames for one guest: the advertisement, and the one that takes its router back when it named one."""

    frame: bytes
    source: bytes
    withdrawal: bytes | None


def advertise(binding: Binding, uplink: Uplink, ipv6: Ipv6, terms: Terms) -> Advert | None:
    """What a binding's guest is told, None when it has no IPv6; ValueError says what is wrong with the binding."""
    if binding.subnet6 is None and binding.gateway6 is None:
        return None
    network = Network(binding.subnet6, binding.gateway6, binding.private)
    return _advert(network, uplink, ipv6, binding.mtu or terms.mtu, terms)


@lru_cache(maxsize=1024)
def _advert(network: Network, uplink: Uplink, ipv6: Ipv6, mtu: int, terms: Terms) -> Advert:
    """Guests of one bridge and network are told the same."""
    gateway = IPv6Address(network.gateway6) if network.gateway6 else None
    prefix = IPv6Network(network.subnet6, strict=False) if network.subnet6 else None
    if gateway is not None and gateway in _LINK_LOCAL:
        # The real router has this address and answers for it: its MAC is not ours to tell.
        source, options = gateway.packed, b""
    else:
        source, options = _source(uplink), _option(SLLA, uplink.mac)
    options += b"".join(_options(mtu, prefix, ipv6, terms))
    lifetime = max(LIFETIME, 3 * ipv6.ra_period) if _is_router(network.private, gateway, uplink) else 0
    told = _frame(uplink, source, lifetime, options)
    return Advert(told, source, _frame(uplink, source, 0, b"") if lifetime else None)


def _is_router(private: bool, gateway: IPv6Address | None, uplink: Uplink) -> bool:
    """Whether the source of the advertisement forwards: the router itself, or this host for a routed tap."""
    if gateway is None or private:
        return False
    return gateway in _LINK_LOCAL or uplink.routed or gateway.packed in uplink.addresses


def _source(uplink: Uplink) -> bytes:
    """A link-local address of the interface, which it then answers for; else the one that its MAC gives."""
    usual = IPv6Address(link_local(uplink.mac.hex(":"))).packed
    held = sorted(address for address in uplink.addresses if IPv6Address(address) in _LINK_LOCAL)
    return held[0] if held and usual not in held else usual


def _options(mtu: int, prefix: IPv6Network | None, ipv6: Ipv6, terms: Terms) -> Iterator[bytes]:
    if mtu >= 1280:  # with less there is no IPv6, and hosts ignore it (RFC 4861, 6.3.4)
        yield _option(MTU, struct.pack("!2xI", mtu))
    if prefix is not None:
        # Hosts make addresses in a /64 only (RFC 4862, 5.5.3 d; RFC 2464, 4).
        flags = ON_LINK | (AUTONOMOUS if prefix.prefixlen == 64 else 0)
        head = struct.pack("!BBII4x", prefix.prefixlen, flags, VALID, PREFERRED)
        yield _option(PREFIX, head + prefix.network_address.packed)
    lifetime = struct.pack("!2xI", 3 * ipv6.ra_period)  # RFC 8106, 5.1
    servers = [IPv6Address(server).packed for server in terms.nameservers if ":" in server]
    if servers:
        yield _option(RDNSS, lifetime + b"".join(servers))
    if terms.search:
        yield _option(DNSSL, lifetime + b"".join(map(names.encode, terms.search)))


def _option(kind: int, value: bytes) -> bytes:
    """An option; its length counts units of 8 bytes (RFC 4861, 4.6)."""
    units = (2 + len(value) + 7) // 8
    return (bytes((kind, units)) + value).ljust(units * 8, b"\0")


def _frame(uplink: Uplink, source: bytes, lifetime: int, options: bytes) -> bytes:
    """Hop limit of the guest's own packets unsaid, M=0, O=0, preference medium (RFC 4191), timers unsaid."""
    body = struct.pack("!BBHII", 0, 0, lifetime, 0, 0) + options
    packet = frame.build_icmp6(frame.Icmp6(source, ALL_NODES, 255, ADVERT, 0, body))
    return ALL_NODES_MAC + uplink.mac + frame.IPV6 + packet


def answer(packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    """The answer to a router solicitation; `hardware` is the source MAC of its frame. Silence or FrameError else."""
    check_solicit(packet)
    if hardware != client.mac and not client.macspoof:
        raise Silence("spoofed", f"spoofed: frame from {(hardware or b'').hex(':')}", "RS")
    if client.advert is None:
        raise Silence("nothing", "no IPv6 to advertise", "RS")
    return Answer("RS", "RA", client.advert.frame)


def check_solicit(packet: bytes) -> None:
    """Whether a packet is a router solicitation that must be answered (RFC 4861, 6.1.1); FrameError else."""
    message = frame.parse_icmp6(packet)
    if (message.type, message.code, message.hop_limit) != (SOLICIT, 0, 255):
        raise frame.FrameError(f"type {message.type}, code {message.code}, hop limit {message.hop_limit}")
    anonymous = message.src == UNSPECIFIED
    if not anonymous and IPv6Address(message.src) not in _LINK_LOCAL:
        raise frame.FrameError(f"solicitation from {IPv6Address(message.src)}")
    if len(message.body) < 4:
        raise frame.FrameError("solicitation is cut short")
    at = 4
    while at < len(message.body):
        kind, size = message.body[at], message.body[at + 1] * 8 if at + 1 < len(message.body) else 0
        if not size or at + size > len(message.body):
            raise frame.FrameError(f"option {kind} of a solicitation is cut short")
        if kind == SLLA and anonymous:
            raise frame.FrameError("solicitation from :: with a link-layer address")
        at += size


class Schedule:
    """When each tap's next periodic advertisement is due (RFC 4861, 6.2.4).

    `jitter` gives numbers from 0 to 1. The first comes within two seconds, two more within half a minute for a
    guest that was still booting, then one within each period.
    """

    FIRST = (2.0, 16.0, 16.0)

    def __init__(self, period: float, jitter: Callable[[], float]) -> None:
        self.period = period
        self._jitter = jitter
        self._heap: list[tuple[float, int]] = []
        self._due: dict[int, float] = {}
        self._sent: dict[int, int] = {}

    def start(self, ifindex: int, now: float) -> None:
        """Begin with a tap, or begin again."""
        self._sent[ifindex] = 0
        self._push(ifindex, now)

    def stop(self, ifindex: int) -> None:
        self._due.pop(ifindex, None)
        self._sent.pop(ifindex, None)

    def due(self, now: float) -> Iterator[int]:
        """Taps whose time has come; each is scheduled anew."""
        while self._heap and self._heap[0][0] <= now:
            when, ifindex = heapq.heappop(self._heap)
            if self._due.get(ifindex) == when:  # else it was stopped or begun again since
                self._sent[ifindex] += 1
                self._push(ifindex, now)
                yield ifindex

    def _push(self, ifindex: int, now: float) -> None:
        sent = self._sent[ifindex]
        wait = min(self.FIRST[sent], self.period) if sent < len(self.FIRST) else self.period
        when = now + wait * (0.75 + self._jitter() / 4)
        self._due[ifindex] = when
        heapq.heappush(self._heap, (when, ifindex))
