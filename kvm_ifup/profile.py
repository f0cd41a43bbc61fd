"""A firewall profile as a value, and the numbers that all who handle one agree on."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext.errors import ConfigError
from ganeti_ext.selection import JOINT, OWN

# The bit of a conntrack entry's mark that says: this connection is over.
CONDEMNED = 0x10000000
# Where the number of a profile sits in the mark of a packet. All bits set: what a bridge sends to a port that has none.
MASK = 0x0FFF0000
LAST = 4094

KEEP, CUT = "keep", "cut"
ACCEPT, DROP = "accept", "drop"
ANY4, ANY6 = "0.0.0.0/0", "::/0"

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP, "icmpv6": ICMPV6, "sctp": SCTP, "gre": 47, "esp": 50}
PORTED = (TCP, UDP, SCTP)

# What passes whatever the profile says. IPv4: RFC 1191 needs destination unreachable (fragmentation needed); IPv6:
# RFC 4890 section 4.3, with neighbour discovery (RFC 4861) and the queries of MLD (RFC 2710).
NEEDED4 = (3, 11)
NEEDED6 = (1, 2, 3, 4, 130, 134, 135, 136)
# Answers of DHCP and DHCPv6 servers, from and to these ports: to conntrack they belong to nothing that was asked.
DHCP4 = (67, 68)
DHCP6 = (547, 546)


class Allow(namedtuple("Allow", "name protocol ports types ip4 ip6 code members", defaults=(None, None))):
    """What may come though it is new: a section [allow NAME], or a rule of a tenant's group.

    `protocol` is a number of IANA's, None for any. `ports` are first and last, ascending and apart; none means all, and
    so do no `types`. `ip4` and `ip6` are the networks that it may come from, (ANY4,) for all; none: not in that family.
    `code` is that of the one type of ICMP, None for any. `members` is the key of a group: of the families that it may
    come from, only from the addresses that the group's members have now (memberfile.py).
    """

    __slots__ = ()
    name: str
    protocol: int | None
    ports: tuple[tuple[int, int], ...]
    types: tuple[int, ...]
    ip4: tuple[str, ...]
    ip6: tuple[str, ...]
    code: int | None
    members: str | None


class Profile(namedtuple("Profile", "name path description established new allowed")):
    """One file, or several and tenants' groups (groups.py): `established` is KEEP or CUT, `new` is DROP or ACCEPT."""

    __slots__ = ()
    name: str
    path: str
    description: str
    established: str
    new: str
    allowed: tuple[Allow, ...]

    @property
    def groups(self) -> frozenset[str]:
        """The keys of groups whose members it lets come."""
        return frozenset(allow.members for allow in self.allowed if allow.members)

    @property
    def judges(self) -> bool:
        """Whether it may drop anything. One that never does has no rules, and costs a packet nothing."""
        return self.new == DROP or self.established == CUT


def is_composed(name: str) -> bool:
    """Whether it is more than the name of one file."""
    return JOINT in name or name.startswith(OWN)


def mark(number: int, mask: int = MASK) -> int:
    """The mark of packets that the profile of this number judges; ConfigError when the mask has no room for it."""
    shifted = number * (mask & -mask)
    if shifted < 1 or shifted & ~mask or shifted == mask:
        raise ConfigError(f"a firewall mark of {mask:#010x} has no room for a profile with the number {number}")
    return shifted
