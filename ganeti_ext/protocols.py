"""The names that the neutron API has for IP protocols (IANA's numbers)."""

from __future__ import annotations

ICMPV6 = 58
NUMBERS = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "icmp": 1,
    "icmpv6": ICMPV6,
    "igmp": 2,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": ICMPV6,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
# What in IPv6 are extension headers, which packet filters look behind (RFC 8200 section 4): no rule sees them.
EXTENSIONS = frozenset((43, 44, 51, 59, 60))
