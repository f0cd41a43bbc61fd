"""IPv6 router advertisements (RFC 4861, 6.2): what a guest is told, and when it asks. No socket, no clock."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext.address import link_local
from nfdhcpd import advert, frame, names, ndp
from nfdhcpd.answer import Answer, Silence, check_card
from nfdhcpd.mode import mode
from nfdhcpd.terms import route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ganeti_ext.binding import Binding
    from nfdhcpd.client import Client
    from nfdhcpd.settings import Ipv6
    from nfdhcpd.terms import Terms

SOLICIT = 133
LIFETIME = 1800
ETHERNET, LEAST_MTU = 1500, 1280


class Uplink(NamedTuple):
    """The interface that answers: its MAC, its packed IPv6 addresses, and whether it is the tap itself."""

    mac: bytes
    addresses: frozenset[bytes]
    routed: bool


class Network(NamedTuple):
    """What a binding says of IPv6. A gateway is None as well where it is the guest itself."""

    subnet6: str | None
    gateway6: str | None
    private: bool
    mtu: int


class Advert(NamedTuple):
    """The advertisement for one guest, as values and as a frame."""

    told: advert.Told
    frame: bytes


class Speaker(NamedTuple):
    """Who advertises: its address, whether this host has it, whether it forwards, and which gateways it is."""

    source: bytes
    ours: bool
    forwards: bool
    gateways: frozenset[bytes]


def advertise(binding: Binding, uplink: Uplink, ipv6: Ipv6, terms: Terms) -> Advert | None:
    """What a binding's guest is told, None when it has no IPv6; ValueError says what is wrong with the binding."""
    if binding.subnet6 is None and binding.gateway6 is None:
        return None
    gateway6 = binding.gateway6
    if gateway6 and binding.eui64 and IPv6Address(gateway6) == IPv6Address(binding.eui64):
        gateway6 = None  # the guest is the router of its network
    return _advert(Network(binding.subnet6, gateway6, binding.private, binding.mtu or terms.mtu), uplink, ipv6, terms)


@lru_cache(maxsize=1024)
def _advert(network: Network, uplink: Uplink, ipv6: Ipv6, terms: Terms) -> Advert:
    """Guests of one bridge and network are told the same."""
    speaker = _speaker(network, uplink)
    prefix = subnet(network.subnet6)
    lifetime = max(LIFETIME, 3 * ipv6.ra_period)
    router = lifetime if speaker.forwards and not network.private else 0
    modes = mode(terms, str(prefix) if prefix else None)
    pref64 = IPv6Network(terms.pref64) if terms.pref64 else None
    servers = (IPv6Address(server).packed for server in terms.nameservers if ":" in server)
    told = advert.Told(
        mac=uplink.mac,
        source=speaker.source,
        limit=min(max(network.mtu or ETHERNET, LEAST_MTU), ETHERNET),
        flags=(advert.MANAGED if modes.stateful else 0) | (advert.OTHER if modes.stateless else 0),
        preference=advert.PREFERENCES[terms.router_preference],
        router=router,
        lifetime=lifetime,
        slla=speaker.ours,
        mtu=network.mtu if network.mtu >= LEAST_MTU else 0,  # hosts ignore less (RFC 4861, 6.3.4)
        prefix=_prefix(prefix, slaac=modes.slaac, on_link=not (uplink.routed and router)) if prefix else None,
        servers=tuple(dict.fromkeys(servers)),
        pref64=((pref64.prefixlen, pref64.network_address.packed),) if pref64 else (),
        routes=tuple(dict.fromkeys(_routes(terms, speaker.gateways))),
        domains=tuple(dict.fromkeys(map(names.encode, terms.search))),
    )
    return Advert(told, advert.encode(told))


def subnet(text: str | None) -> IPv6Network | None:
    """The network, None where it is the link-local one, which is never told (RFC 4861, 4.6.2)."""
    found = IPv6Network(text, strict=False) if text else None
    if found is not None and found.is_multicast:
        raise ValueError(f"SUBNET6 {found} is multicast")
    return None if found is not None and found.is_link_local else found


def _prefix(subnet: IPv6Network, *, slaac: bool, on_link: bool) -> advert.Prefix:
    """The prefix of the network.

    Behind a routed tap nobody of it is on link but the guest: without the flag L a guest sends all by its router and
    asks for no neighbour. Where it is told no router the flag is its only way to the others: it asks for them, and
    neighbour.py answers.
    """
    flags = (advert.ON_LINK if on_link else 0) | (advert.AUTONOMOUS if slaac else 0)
    return advert.Prefix(subnet.prefixlen, flags, subnet.network_address.packed)


def _speaker(network: Network, uplink: Uplink) -> Speaker:
    """The gateway itself if it is link-local, for then the real one is meant and its MAC may be another; else us.

    We forward if the gateway is an address of ours. On a routed tap it is, in any case: nobody else is there.
    """
    gateway = IPv6Address(network.gateway6) if network.gateway6 else None
    if gateway is None:
        return Speaker(source(uplink), True, False, uplink.addresses | {source(uplink)})
    if gateway.is_multicast or gateway.is_unspecified:
        raise ValueError(f"GATEWAY6 {gateway} is no address of a router")
    ours = uplink.routed or gateway.packed in uplink.addresses
    if gateway.is_link_local:
        return Speaker(gateway.packed, ours, True, frozenset((gateway.packed,)) | (uplink.addresses if ours else set()))
    own = uplink.addresses | {source(uplink)}
    return Speaker(source(uplink), True, ours, own | {gateway.packed} if ours else own)


@lru_cache(maxsize=1024)
def source(uplink: Uplink) -> bytes:
    """A link-local address of the interface, which it then answers for; else the one that its MAC gives."""
    usual = IPv6Address(link_local(uplink.mac.hex(":"))).packed
    held = sorted(address for address in uplink.addresses if ndp.is_link_local(address))
    return held[0] if held and usual not in held else usual


def _routes(terms: Terms, gateways: frozenset[bytes]) -> Iterator[tuple[int, bytes]]:
    """An advertisement can name no gateway but its sender (RFC 4191, 2.3): others are left out."""
    for target, gateway in map(route, terms.routes):
        if gateway.packed in gateways:
            yield target.prefixlen, target.network_address.packed


def answer(packet: bytes, hardware: bytes | None, client: Client) -> Answer:
    """The answer to a router solicitation; `hardware` is the source MAC of its frame. Silence or FrameError else.

    It comes at once and to all nodes, the same bytes for whoever asks. RFC 4861, 6.2.6 delays it by up to half a
    second, and sends no two within three, so that many hosts of a link are served by one and many routers do not
    speak together; a tap has one host, and we are its router. To answer the asker alone would save nothing.
    """
    check_solicit(packet)
    check_card(hardware, client, "RS")
    if client.advert is None:
        raise Silence("nothing", "no IPv6 to advertise", "RS")
    return Answer("RS", "RA", client.advert.frame)


def check_solicit(packet: bytes) -> None:
    """Whether a packet is a router solicitation that must be answered (RFC 4861, 6.1.1); FrameError else."""
    message, _ = ndp.parse(packet, SOLICIT, 4)
    if message.src != ndp.UNSPECIFIED and not ndp.is_link_local(message.src):
        raise frame.FrameError(f"solicitation from {IPv6Address(message.src)}")


def withdraw(old: Advert, new: Advert | None) -> bytes | None:
    """The frame that takes back what is not told any more, None if there is nothing."""
    if new is not None and new.told == old.told:
        return None
    found = advert.withdrawal(old.told, new.told if new else None)
    return advert.encode(found) if found else None
