"""The nftables rules of all taps, as text for `nft -f -`.

Sets keyed by interface name: one lookup a packet, however many taps there are. The whole skeleton is said again
in every transaction, so that it heals after an administrator's `nft flush ruleset`.

A rule that sees a header may only *accept* by it: where the header cannot be loaded (a fragment, a chain of
extension headers that runs past the packet) a rule simply does not match, and the chain ends in `drop`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

TABLE = "bridge ganeti_ext"

# What a tap may say. A tap that is not in `taps` is not judged at all. Addresses inside neighbour discovery have
# to be raw 128-bit numbers: the nft of Debian 12 has no name for the target field. A set that changes its type
# needs a new name: the old one stands while the package is upgraded, and cannot be said again otherwise.
_SETS = {
    "taps": "type ifname",
    "macs": "type ifname . ether_addr",
    "ip4": "type ifname . ipv4_addr",
    "ip6_source": "type ifname . ipv6_addr",
    "ip6_prefix": "type ifname . ipv6_addr; flags interval",  # delegated; used behind the guest, so never claimed
    "ip6_target": "typeof iifname . @th,64,128",
    "ip6_taps": "type ifname",  # those that may use IPv6 at all, hence link-local addresses
    "ip6_router": "typeof iifname . @th,64,128",  # link-local addresses that are a router's
}

# Before br_netfilter (priority 0) shows the frame to the IP tables.
_HOOKS = {"prerouting": " { type filter hook prerouting priority -300; policy accept; }"}

# One rule has to stand before the bridge gets the frame: what goes to 01:80:c2:00:00:00 to :0f (IEEE 802.1Q table
# 8-1: spanning tree, LACP, LLDP, ...) may go around prerouting, up into the host's own stack, and the bridge learns
# its source. So each tap has a small chain at its ingress, called by its ifindex: a tap's name need not be a word
# that nft takes. Since Linux 6.16 such a chain outlives its interface.
_INGRESS = "netdev ganeti_ext"
_RESERVED = "ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00 drop"

# EtherTypes as numbers: 0x0800 IPv4, 0x0806 ARP, 0x8035 RARP, 0x86dd IPv6. A VLAN tag is another EtherType.
_RULES = {
    "prerouting": ("iifname @taps goto from_tap",),
    "from_tap": (
        "iifname . ether saddr != @macs drop",
        "ether type 0x0800 goto from_ip4",
        "ether type 0x86dd goto from_ip6",
        "ether type 0x0806 goto from_arp",
        "ether type 0x8035 goto from_rarp",
        "drop",
    ),
    # RFC 903 `request reverse` only: it is how QEMU announces a migrated guest (net/announce.c).
    "from_rarp": ("@nh,48,16 3 accept", "drop"),
    "from_arp": (
        "iifname . arp saddr ether != @macs drop",
        "arp saddr ip 0.0.0.0 accept",  # a probe, RFC 5227 section 2.1.1
        "iifname . arp saddr ip @ip4 accept",
        "drop",
    ),
    "from_ip4": (
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",  # RFC 2131: a client without an address
        "iifname . ip saddr @ip4 goto upper_ip4",
        "drop",
    ),
    "upper_ip4": (
        "ip frag-off & 0x1fff != 0 accept",  # useless without the first fragment, which is judged
        "meta l4proto != udp accept",
        "udp sport != 67 accept",  # no DHCP server
        "drop",
    ),
    "from_ip6": (
        "iifname != @ip6_taps drop",
        "ip6 saddr :: goto from_unspecified",
        "iifname . ip6 saddr @ip6_source goto upper_ip6",
        # Ganeti knows the MAC only, and guests choose their link-local addresses by RFC 7217: any is allowed, as
        # it leads nowhere off the link, but for those that routers are known by, lest a guest pose as the router.
        "ip6 saddr fe80::/64 iifname . @nh,64,128 != @ip6_router goto upper_ip6",
        "iifname . ip6 saddr @ip6_prefix goto upper_ip6",
        "drop",
    ),
    "from_unspecified": (
        "icmpv6 type { 133, 143 } accept",  # router solicitation (RFC 4861), MLDv2 report (RFC 3810)
        "icmpv6 type 135 goto claim_ip6",  # duplicate address detection, RFC 4862: it claims the target
        "drop",
    ),
    "upper_ip6": (
        "frag frag-off != 0 accept",  # as in upper_ip4; RFC 7112: the first one holds all headers
        "meta l4proto != { icmpv6, udp } accept",
        "udp sport != 547 accept",  # no DHCPv6 server
        "icmpv6 type 136 goto claim_ip6",
        "icmpv6 type != { 134, 137 } accept",  # no router advertisement, no redirect
        "drop",
    ),
    "claim_ip6": (
        "iifname . @th,64,128 @ip6_target accept",
        "@th,64,64 0xfe80000000000000 iifname . @th,64,128 != @ip6_router accept",
        "drop",
    ),
}


def skeleton() -> str:
    """Tables, sets, chains and rules; says nothing of any tap."""
    lines = [_sets()]
    for chain in _RULES:
        lines += [f"add chain {TABLE} {chain}{_HOOKS.get(chain, '')}", f"flush chain {TABLE} {chain}"]
    lines += [f"add rule {TABLE} {chain} {rule}" for chain, rules in _RULES.items() for rule in rules]
    return "\n".join(lines) + "\n"


def allow(tap: str, ifindex: int, elements: Iterable[tuple[str, str]]) -> str:
    """Put a tap's elements into the sets; an element is (set, what follows the interface name or "")."""
    chain = f"chain {_INGRESS} port_{ifindex}"
    lines = [
        f'add {chain} {{ type filter hook ingress device "{tap}" priority -500; policy accept; }}',
        f"flush {chain}",
        f"add rule {_INGRESS} port_{ifindex} {_RESERVED}",
    ]
    lines += [_element("add", tap, *element) for element in elements]
    return "\n".join(lines) + "\n"


def forget(tap: str, ifindex: int, elements: Iterable[tuple[str, str]]) -> str:
    """Take a tap's elements out again, whether or not they, the sets or the tables are there.

    Deleting what is absent fails the transaction, hence each is added first (nft of Debian 12 has no `destroy`).
    """
    chain = f"chain {_INGRESS} port_{ifindex}"
    lines = [_sets(), f"add {chain}", f"flush {chain}", f"delete {chain}"]
    for element in elements:
        lines += [_element("add", tap, *element), _element("delete", tap, *element)]
    return "\n".join(lines) + "\n"


def _sets() -> str:
    lines = [f"add set {TABLE} {name} {{ {kind}; }}" for name, kind in _SETS.items()]
    return "\n".join([f"add table {TABLE}", f"add table {_INGRESS}", *lines])


def _element(verb: str, tap: str, name: str, value: str) -> str:
    key = f'"{tap}" . {value}' if value else f'"{tap}"'
    return f"{verb} element {TABLE} {name} {{ {key} }}"
