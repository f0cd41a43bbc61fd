"""The nftables rules for what taps may say, as text for `nft -f -`: the same for every mode.

They stand at the ingress of each tap, before a bridge, Open vSwitch or a route gets the frame. Sets are keyed by
interface name: one lookup a packet, however many taps there are. The whole skeleton is said again in every
transaction, so that it heals after an administrator's `nft flush ruleset`.

A rule that sees a header may only *accept* by it: where the header cannot be loaded (a fragment, a chain of
extension headers that runs past the packet) a rule simply does not match, and what no rule accepts is dropped by the
policy of the tap's own chain.

That chain begins with what guests say most, in constants: a part of what the shared chains accept, at a third of the
cost.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TABLE = "netdev ganeti_ext"

# Addresses inside neighbour discovery have to be raw 128-bit numbers: the nft of Debian 12 has no name for the target
# field. A set that changes its type needs a new name: the old one stands while the package is upgraded, and cannot be
# said again otherwise.
_SETS = {
    "macs": "type ifname . ether_addr",
    "ip4": "type ifname . ipv4_addr",
    "ip4_more": "type ifname . ipv4_addr; flags interval",  # by a tag
    "ip6_source": "type ifname . ipv6_addr",
    "ip6_prefix": "type ifname . ipv6_addr; flags interval",  # delegated; used behind the guest, so never claimed
    "ip6_target": "typeof iifname . @th,64,128",
    "ip6_taps": "type ifname",  # those that may use IPv6 at all, hence link-local addresses
    "ip6_router": "typeof iifname . @th,64,128",  # link-local addresses that are a router's
    "vlans": "typeof iifname . vlan id",  # of trunks: inside them a guest's addresses are not known
}

# EtherTypes as numbers: 0x0800 IPv4, 0x0806 ARP, 0x8035 RARP, 0x86dd IPv6. A VLAN tag is another EtherType.
_RULES = {
    "from_tap": (
        "iifname . ether saddr != @macs drop",
        "ether type 0x0800 goto from_ip4",
        "ether type 0x86dd goto from_ip6",
        "ether type 0x0806 goto from_arp",
        "ether type 0x8035 goto from_rarp",
        "ether type 0x8100 goto from_vlan",
    ),
    "from_vlan": ("iifname . vlan id @vlans accept",),
    # RFC 903 `request reverse` only: it is how QEMU announces a migrated guest (net/announce.c).
    "from_rarp": ("@nh,48,16 3 accept",),
    "from_arp": (
        "iifname . arp saddr ether != @macs drop",
        "arp saddr ip 0.0.0.0 accept",  # a probe, RFC 5227 section 2.1.1
        "iifname . arp saddr ip @ip4 accept",
        "iifname . arp saddr ip @ip4_more accept",
    ),
    "from_ip4": (
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",  # RFC 2131: a client without an address
        "iifname . ip saddr @ip4 goto upper_ip4",
        "iifname . ip saddr @ip4_more goto upper_ip4",
    ),
    "upper_ip4": (
        "ip frag-off & 0x1fff != 0 accept",  # useless without the first fragment, which is judged
        "meta l4proto != udp accept",
        "udp sport != 67 accept",  # no DHCP server
    ),
    "from_ip6": (
        "iifname != @ip6_taps drop",
        "ip6 saddr :: goto from_unspecified",
        "iifname . ip6 saddr @ip6_source goto upper_ip6",
        # Ganeti knows the MAC only, and guests choose their link-local addresses by RFC 7217: any is allowed, as
        # it leads nowhere off the link, but for those that routers are known by, lest a guest pose as the router.
        "ip6 saddr fe80::/64 iifname . @nh,64,128 != @ip6_router goto upper_ip6",
        "iifname . ip6 saddr @ip6_prefix goto upper_ip6",
    ),
    "from_unspecified": (
        "icmpv6 type { 133, 143 } accept",  # router solicitation (RFC 4861), MLDv2 report (RFC 3810)
        "icmpv6 type 135 goto claim_ip6",  # duplicate address detection, RFC 4862: it claims the target
    ),
    "upper_ip6": (
        "frag frag-off != 0 accept",  # as in upper_ip4; RFC 7112: the first one holds all headers
        "meta l4proto != { icmpv6, udp } accept",
        "udp sport != 547 accept",  # no DHCPv6 server
        "icmpv6 type 136 goto claim_ip6",
        "icmpv6 type != { 134, 137 } accept",  # no router advertisement, no redirect
    ),
    "claim_ip6": (
        "iifname . @th,64,128 @ip6_target accept",
        "@th,64,64 0xfe80000000000000 iifname . @th,64,128 != @ip6_router accept",
    ),
}


def skeleton() -> str:
    """Table, sets, chains and rules; says nothing of any tap."""
    lines = [_sets()]
    for chain in _RULES:
        lines += [f"add chain {TABLE} {chain}", f"flush chain {TABLE} {chain}"]
    lines += [f"add rule {TABLE} {chain} {rule}" for chain, rules in _RULES.items() for rule in rules]
    return "\n".join(lines) + "\n"


# From its own address, and from no port of a DHCP server. In IPv6 who says what of neighbours is looked at below.
_OFTEN4 = "ether saddr {mac} ether type 0x0800 ip saddr {address} @th,0,16 != 67 accept"
_OFTEN6 = "ether saddr {mac} ether type 0x86dd ip6 saddr {address} meta l4proto != icmpv6 @th,0,16 != 547 accept"


def judge(tap: str, ifindex: int, mac: str = "", addresses: Iterable[str] = ()) -> str:
    """Judge what a tap says from now on; `mac` and `addresses` are its guest's, which are in the sets too.

    Its chain is called by its ifindex: a tap's name need not be a word that nft takes. Since Linux 6.16 such a chain
    outlives its interface.
    """
    chain = f"chain {TABLE} port_{ifindex}"
    lines = (
        f'add {chain} {{ type filter hook ingress device "{tap}" priority -500; policy drop; }}',
        f"flush {chain}",
        *(f"add rule {TABLE} port_{ifindex} {rule}" for rule in (*_often(mac, addresses), "goto from_tap")),
    )
    return "\n".join(lines) + "\n"


def forget(ifindex: int) -> str:
    """No longer judge the tap that had this index, whether or not its chain, the sets or the table are there."""
    chain = f"chain {TABLE} port_{ifindex}"
    return "\n".join((_sets(), f"add {chain}", f"flush {chain}", f"delete {chain}")) + "\n"


def _often(mac: str, addresses: Iterable[str]) -> Iterator[str]:
    for address in addresses:
        yield (_OFTEN6 if ":" in address else _OFTEN4).format(mac=mac, address=address)


def _sets() -> str:
    lines = [f"add set {TABLE} {name} {{ {kind}; }}" for name, kind in _SETS.items()]
    return "\n".join([f"add table {TABLE}", *lines])
