"""N guests, each behind a tap of its own, though perfdhcp has one interface for all of them.

    bench-client         bench-demux                    bench-server
    perfdhcp  c0 ─────── c-out │ by chaddr │ g0  ────── tap0  ┐
                               ├──────────▶│ g1  ────── tap1  ├ br0 10.99.255.1 … 1,000 taps a bridge ── the server
                               │◀── all ───│ …          …     ┘

nftables forwards at the ingress of c-out: a map from the client's hardware address, which stands 28 bytes into the
DHCP message, to its tap's other end. perfdhcp speaks as a relay (giaddr is c0's address): nfdhcpd answers by the tap
that the request came in by, the others by routing to giaddr; either way it comes back by some tap, and to c0.
Everything passes the same two hops whatever server is behind.

Spare taps are guests as well, but their own: what comes out of them ends in bench-demux.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from bench import netns
from ganeti_ext.command import run

SERVER, DEMUX, CLIENT = "bench-server", "bench-demux", "bench-client"
NETWORK, BITS = "10.99.0.0", 16
SERVER_IP, CLIENT_IP, SPARE_IP = "10.99.255.1", "10.99.255.2", "10.99.255.3"
SERVER_MAC, CLIENT_MAC = "02:ff:00:00:00:01", "02:ff:00:00:00:02"
BASE_MAC = "02:00:00:00:00:00"
SPARES = 8

_PORTS = 1000  # a bridge of Linux has 1,023 at most
_DEVICES = 250  # a chain of nftables has 256 at most
_QUEUES = "numtxqueues 1 numrxqueues 1"


def mac(guest: int) -> str:
    """As perfdhcp counts them from BASE_MAC."""
    return (int(BASE_MAC.replace(":", ""), 16) + guest).to_bytes(6, "big").hex(":")


def address(guest: int) -> str:
    return f"10.99.{1 + guest // 250}.{1 + guest % 250}"


def bridge(guest: int, guests: int) -> str:
    """The bridge of a guest's tap; the spare ones, from `guests` on, are on the first."""
    return f"br{guest // _PORTS if guest < guests else 0}"


def bridges(guests: int) -> list[str]:
    return [f"br{n}" for n in range((guests - 1) // _PORTS + 1)]


def bridge_address(name: str) -> str:
    """Requests go to the first bridge's; a server on several must have one on each."""
    number = int(name.removeprefix("br"))
    return SERVER_IP if number == 0 else f"10.99.254.{number}"


@contextlib.contextmanager
def topology(guests: int) -> Iterator[None]:
    """The three namespaces, wired."""
    with netns.namespaces(SERVER, DEMUX, CLIENT):
        taps = range(guests + SPARES)
        netns.batch(DEMUX, _links(taps))
        netns.batch(CLIENT, _client())
        netns.batch(SERVER, _bridges(guests))
        netns.batch(SERVER, (f"link set tap{tap} master {bridge(tap, guests)} up" for tap in taps))
        netns.batch(SERVER, (f"link set tap{tap} type bridge_slave {_QUIET}" for tap in taps))
        run(["bridge", "-n", SERVER, "-batch", "-"], stdin="\n".join(_stations(guests)) + "\n")
        run(["ip", "netns", "exec", DEMUX, "nft", "-f", "-"], stdin=demux(guests), timeout=120)
        yield


# Where c0 is, the bridges are told: it is behind every tap at once.
_QUIET = "learning off flood off mcast_flood off bcast_flood off"


def _links(taps: Iterable[int]) -> Iterator[str]:
    yield f"link add c-out {_QUEUES} type veth peer name c0 {_QUEUES} netns {CLIENT}"
    yield "link set c-out up"
    for tap in taps:
        yield f"link add g{tap} {_QUEUES} type veth peer name tap{tap} {_QUEUES} netns {SERVER}"
        yield f"link set g{tap} up"


def _client() -> list[str]:
    return [
        f"link set c0 address {CLIENT_MAC} up",
        f"address add {CLIENT_IP}/{BITS} dev c0",
        f"neigh replace {SERVER_IP} lladdr {SERVER_MAC} dev c0 nud permanent",
    ]


def _bridges(guests: int) -> Iterator[str]:
    for name in bridges(guests):
        yield f"link add {name} address {SERVER_MAC} type bridge"
        yield f"link set {name} up"
        yield f"address add {bridge_address(name)}/{BITS} dev {name}"
        # Permanent entries do not count for the limits of the neighbour table.
        yield f"neigh replace {CLIENT_IP} lladdr {CLIENT_MAC} dev {name} nud permanent"
        yield f"neigh replace {SPARE_IP} lladdr {mac(guests)} dev {name} nud permanent"


def _stations(guests: int) -> Iterator[str]:
    for number in range(len(bridges(guests))):
        yield f"fdb replace {CLIENT_MAC} dev tap{number * _PORTS} master static sticky"
    yield f"fdb replace {mac(guests)} dev tap{guests} master static sticky"


def demux(guests: int) -> str:
    """The ruleset of bench-demux: 288 bits into UDP is chaddr (RFC 768, RFC 2131 figure 1)."""
    ends = ", ".join(f"0x{mac(guest).replace(':', '')} : g{guest}" for guest in range(guests))
    lines = [
        "table netdev demux {",
        "chain out { type filter hook ingress device c-out priority 0; policy drop;",
        f"udp dport 67 fwd to @th,288,48 map {{ {ends} }}",
        "}",
    ]
    for first in range(0, guests, _DEVICES):
        devices = ", ".join(f"g{guest}" for guest in range(first, min(first + _DEVICES, guests)))
        lines += [
            f"chain back{first} {{ type filter hook ingress devices = {{ {devices} }} priority 0; policy drop;",
            "fwd to c-out",
            "}",
        ]
    return "\n".join([*lines, "}", ""])
