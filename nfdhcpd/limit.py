"""At most so many packets of discovery a second from each tap, before they are diverted: nftables rules, as text.

A guest that floods neither fills the queue nor delays its neighbours. Every tap has a bucket, made by its first
packet; what is too much is dropped and counted. Ports of bridges have to be judged before br_netfilter shows their
packets to the IP tables, where they would seem to come in by the bridge; routed taps are judged there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nfdhcpd.settings import Settings

TABLE = "nfdhcpd"
COUNTERS = "dropped"

# Family and priority of the chain: behind kvm_ifup's rules against spoofing (-300) and before br_netfilter (0);
# behind the reassembly of fragments (-400) and before mangle (-150).
_CHAINS = {"bridge": -250, "inet": -300}
FAMILIES = tuple(_CHAINS)

_TAPS = 65536  # buckets, and counters
_MINUTE, _DAY = 60, 86400


def tables(settings: Settings) -> list[str]:
    """The tables that there should be, as `nft list tables` prints them."""
    families = FAMILIES if settings.general.bridged else ("inet",)
    return [f"table {family} {TABLE}" for family in families if settings.general.rate]


def rules(settings: Settings) -> str:
    """One transaction for `nft -f -` from whatever stood there to the wanted state, with full buckets."""
    wanted = {table.split()[1] for table in tables(settings)}
    return forget() + "".join(_table(family, settings) for family in FAMILIES if family in wanted)


def forget() -> str:
    """Take the tables away, should they be there (nft of Debian 12 has no `destroy`)."""
    return "".join(f"add table {family} {TABLE}\ndelete table {family} {TABLE}\n" for family in FAMILIES)


def dropped(listing: str) -> dict[str, int]:
    """Packets dropped, by tap: out of `nft -j list set FAMILY nfdhcpd dropped`.

    A tap that has been quiet for a day starts anew.
    """
    found = {}
    for entry in json.loads(listing)["nftables"]:
        for element in entry.get("set", {}).get("elem", ()):
            found[element["elem"]["val"]] = element["elem"]["counter"]["packets"]
    return found


def _table(family: str, settings: Settings) -> str:
    general = settings.general
    # A bucket that is forgotten is full when it comes again; by then it has to be.
    timeout = max(_MINUTE, general.burst // general.rate + 1)
    excess = f"limit rate over {general.rate}/second burst {general.burst} packets"
    sets = f"type ifname; size {_TAPS}; flags dynamic,timeout; timeout"
    lines = [
        f"table {family} {TABLE} {{",
        f"set buckets {{ {sets} {timeout}s; }}",
        f"set {COUNTERS} {{ {sets} {_DAY}s; }}",
        "chain discovery {",
        f"type filter hook prerouting priority {_CHAINS[family]}; policy accept;",
        *(f"{match} goto taps" for match in _matches(family, settings)),
        "}",
        "chain taps {",
        f'iifname "{general.tap_prefix}*" goto bucket',
        "}",
        "chain bucket {",
        f"update @buckets {{ iifname {excess} }} update @{COUNTERS} {{ iifname counter }} drop",
        "}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _matches(family: str, settings: Settings) -> Iterator[str]:
    """The packets that are diverted (chains.py), and no others."""
    if settings.dhcp.enable:
        yield "meta protocol ip udp dport 67"
    if settings.ipv6.enable:
        yield "meta protocol ip6 udp dport 547"
        yield "meta protocol ip6 icmpv6 type 133"
        if family == "inet":
            yield "meta protocol ip6 icmpv6 type 135 ip6 daddr != fe80::/10"
