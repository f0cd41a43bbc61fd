"""What the rules mean, in words: for each the stage that it belongs to, and what is so when it holds, or does not.

Values of the packet stand in braces (explain.py fills them in); "" is not worth a word. Rules of profiles are known by
how they begin, all others by their whole text.
"""

from __future__ import annotations

import re
from collections import namedtuple
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kvm_ifup.nftrule import Step


class Reason(namedtuple("Reason", "stage holds fails", defaults=("",))):
    """`stage` is what is judged: MAC, family, address, ..."""

    __slots__ = ()
    stage: str
    holds: str
    fails: str


_MAY = "{src} is {why}"
_NOT_OWN = "{src} is not an address that this guest may use"
_POLICY = "policy drop"
_NONE = Reason("", "")
_LATER = "a later fragment: of no use without the first one, which is judged"

_RULES: Mapping[str, Mapping[str, Reason]] = {
    "port": {"goto from_tap": _NONE},
    "from_tap": {
        "iifname . ether saddr != @macs drop": Reason("MAC", "{mac} is not the guest's", "{mac} is the guest's"),
        "ether type 0x0800 goto from_ip4": Reason("family", "IPv4"),
        "ether type 0x86dd goto from_ip6": Reason("family", "IPv6"),
        "ether type 0x0806 goto from_arp": Reason("family", "ARP"),
        "ether type 0x8035 goto from_rarp": Reason("family", "RARP"),
        "ether type 0x8100 goto from_vlan": Reason("family", "a VLAN tag"),
        _POLICY: Reason("family", "EtherType {ethertype} is none that a guest may use"),
    },
    "from_vlan": {
        "iifname . vlan id @vlans accept": Reason("VLAN", "{vlan} is one of the tap's: what is in it is not judged"),
        _POLICY: Reason("VLAN", "{vlan} is none of the tap's"),
    },
    "from_rarp": {
        "@nh,48,16 3 accept": Reason("RARP", "a request, as QEMU sends when a guest has moved"),
        _POLICY: Reason("RARP", "no request, and only those may be sent"),
    },
    "from_arp": {
        "iifname . arp saddr ether != @macs drop": Reason("ARP", "the sender's MAC {sender-mac} is not the guest's"),
        "arp saddr ip 0.0.0.0 accept": Reason("ARP", "a probe: it claims no address (RFC 5227)"),
        "iifname . arp saddr ip @ip4 accept": Reason("address", _MAY),
        "iifname . arp saddr ip @ip4_more accept": Reason("address", _MAY),
        _POLICY: Reason("address", _NOT_OWN),
    },
    "from_ip4": {
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept": Reason("address", "a DHCP client that has none yet"),
        "iifname . ip saddr @ip4 goto upper_ip4": Reason("address", _MAY),
        "iifname . ip saddr @ip4_more goto upper_ip4": Reason("address", _MAY),
        _POLICY: Reason("address", _NOT_OWN),
    },
    "upper_ip4": {
        "ip frag-off & 0x1fff != 0 accept": Reason("servers", _LATER),
        "meta l4proto != udp accept": Reason("servers", "not UDP, so not from a DHCP server"),
        "udp sport != 67 accept": Reason("servers", "not from the port of a DHCP server"),
        _POLICY: Reason("servers", "from port 67, and a guest may not be a DHCP server"),
    },
    "from_ip6": {
        "iifname != @ip6_taps drop": Reason("family", "this guest has no IPv6: its network, or a tag, says so"),
        "ip6 saddr :: goto from_unspecified": Reason("address", "none yet"),
        "iifname . ip6 saddr @ip6_source goto upper_ip6": Reason("address", _MAY),
        "ip6 saddr fe80::/64 iifname . @nh,64,128 != @ip6_router goto upper_ip6": Reason(
            "address", "{src} is link-local, and no router is known by it"
        ),
        "iifname . ip6 saddr @ip6_prefix goto upper_ip6": Reason("address", _MAY),
        _POLICY: Reason("address", _NOT_OWN),
    },
    "from_unspecified": {
        "icmpv6 type { 133, 143 } accept": Reason("neighbours", "a router solicitation or an MLD report"),
        "icmpv6 type 135 goto claim_ip6": Reason("neighbours", "duplicate address detection: it claims {target}"),
        _POLICY: Reason("address", "who has none yet may only look for one"),
    },
    "upper_ip6": {
        "frag frag-off != 0 accept": Reason("servers", _LATER),
        "meta l4proto != { icmpv6, udp } accept": Reason("servers", "neither UDP nor ICMPv6, so of no server"),
        "udp sport != 547 accept": Reason("servers", "not from the port of a DHCPv6 server"),
        "icmpv6 type 136 goto claim_ip6": Reason("neighbours", "a neighbour advertisement: it claims {target}"),
        "icmpv6 type != { 134, 137 } accept": Reason("servers", "neither a router advertisement nor a redirect"),
        _POLICY: Reason("servers", "of a DHCPv6 server or a router, which a guest may not be, or it hides what it is"),
    },
    "claim_ip6": {
        "iifname . @th,64,128 @ip6_target accept": Reason("neighbours", "{target} is the guest's"),
        "@th,64,64 0xfe80000000000000 iifname . @th,64,128 != @ip6_router accept": Reason(
            "neighbours", "{target} is link-local, and no router is known by it"
        ),
        _POLICY: Reason("neighbours", "{target} is not the guest's"),
    },
    "reach": {
        "oifname @filtered oifname . ether saddr != @peers drop": Reason(
            "peers", "{mac} is no station of the guest's network", "{mac} may reach this tap"
        ),
    },
    "zone": {},
    "track": {"ct state new": _NONE},
    "to_tap": {"oifname vmap @profile": Reason("profile", "what goes to this tap is judged by {profile}")},
    "find": {
        "oifname vmap @profile": Reason("profile", "what goes to this tap is judged by {profile}"),
        "oifname . ip daddr vmap @profile_ip4": Reason("profile", "what goes to {dst} is judged by {profile}"),
        "oifname . ip6 daddr vmap @profile_ip6": Reason("profile", "what goes to {dst} is judged by {profile}"),
    },
}
_HIDDEN = Reason("profile", "{profile} could not judge it: the IP tables do not see this frame (see check)")
_CUT = Reason("profile", "the connection was cut when a profile came into force that cuts")
# How a rule begins, and what it means, in chains that are made for a profile or for our settings.
_BEGINS: Mapping[str, Mapping[str, Reason]] = {
    "port": {"ether saddr ": Reason("address", "{mac} and {src} are the guest's, and it is from no port of a server")},
    "mark": {"meta mark set ": _NONE},
    "to_tap": {"meta mark & ": _NONE, "meta mark set ": _NONE, "ct mark & ": _CUT},
    "forward": {"meta mark & ": _NONE, "meta mark set ": _NONE, "ct mark & ": _CUT},
    "unjudged": {"meta mark & ": _HIDDEN, "meta mark set ": _NONE},
    "profile": {
        "ct state established,related return": Reason("profile", "it belongs to a connection that stands"),
        "icmp type ": Reason("profile", "of ICMP, what IPv4 needs: it always passes"),
        "icmpv6 type ": Reason("profile", "of ICMPv6, what IPv6 needs: it always passes"),
        "meta nfproto ipv4 udp sport ": Reason("profile", "an answer of a DHCP server: it always passes"),
        "meta nfproto ipv6 udp sport ": Reason("profile", "an answer of a DHCPv6 server: it always passes"),
        "ct state invalid drop": Reason("profile", "it belongs to no connection and does not begin one"),
        "drop": Reason("profile", "nothing in {profile} allows what is new and like this"),
    },
}
# How a rule of iptables begins behind its chain, in the chain of a profile.
_LEGACY: Mapping[str, Reason] = {
    "-m conntrack --ctstate RELATED,ESTABLISHED": _BEGINS["profile"]["ct state established,related return"],
    "-p 1 -m icmp ": _BEGINS["profile"]["icmp type "],
    "-p 58 -m icmp6 ": _BEGINS["profile"]["icmpv6 type "],
    "-p 17 -m udp --sport ": Reason("profile", "an answer of a DHCP or DHCPv6 server: it always passes"),
    "-m conntrack --ctstate INVALID": _BEGINS["profile"]["ct state invalid drop"],
    "-j DROP": _BEGINS["profile"]["drop"],
    "-m mark ": _NONE,
    "-j MARK": _NONE,
}
_NUMBER = re.compile(r"_\d+$")
_ALLOW = re.compile(r'comment "?allow ([a-z0-9-]+)"?')


def of(step: Step) -> Reason | None:
    """What a rule means; None for one that is not known."""
    chain = _NUMBER.sub("", step.chain)
    rule = _POLICY if step.rule.startswith(_POLICY) else step.rule
    if rule in _RULES.get(chain, {}):
        return _RULES[chain][rule]
    allow = _ALLOW.search(step.rule)
    if allow:
        return Reason("profile", f"[allow {allow[1]}] of {{profile}}")
    begins = _LEGACY if step.table.endswith(" filter") else _BEGINS.get(chain, {})
    rule = step.rule.removeprefix(f"-A {step.chain} ")
    return next((reason for start, reason in begins.items() if rule.startswith(start)), None)
