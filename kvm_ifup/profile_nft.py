"""Firewall profiles as text for `nft -f -`, and how a packet to a guest finds its profile.

    to_tap     bridge, forward, before br_netfilter shows the frame to the IP tables: puts the number of the port's
               profile into the mark, all bits set for a port that has none
    find       inet: puts it there by where the packet goes, if no bridge did
    forward    inet: drops what is of a connection that was cut, whatever profile the guest has by now; then by the
               number to the profile's chain, which drops or returns; then the number is taken out
    unjudged   bridge, forward, behind br_netfilter: what still has the number of a profile that drops was not judged

So what goes around the IP tables does not go around the profile: a VLAN tag while bridge-nf-filter-vlan-tagged is
off, PPPoE, all when bridge-nf-call-iptables is off or when somebody flushed our rules of iptables.

One lookup a packet, however many taps there are, and none while no tap has a profile that judges. The skeleton is said
again in every transaction that needs it, as ruleset.py's.
Only who knows what a map holds can replace it in one transaction, hence `was`: nft of Debian 12 has no `destroy`.
"""

from __future__ import annotations

from kvm_ifup import profile, profile_rules
from kvm_ifup.profile import CONDEMNED, DROP, MASK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kvm_ifup.profile import Profile

INET, BRIDGE = "inet ganeti_ext", "bridge ganeti_ext"
MAC_MASK = "ff:ff:f0:00:00:00"
# Chains that all taps share: they stay when the last tap that needs them has gone.
COMMON = frozenset(("track", "zone", "to_tap", "find", "forward", "unjudged"))

# Values of the maps by tap or address are verdicts, not marks: `meta mark set oifname map` would lose the other bits.
_MAPS = {
    INET: {
        "map profiles": "type mark : verdict",
        "map profile": "type ifname : verdict",  # routed taps
        "map profile_ip4": "typeof oifname . ip daddr : verdict",  # guests on a bridge, from the host's own routing
        "map profile_ip6": "typeof oifname . ip6 daddr : verdict",
    },
    BRIDGE: {
        "map profile": "type ifname : verdict",  # taps on bridges
        "set enforced": "type mark",  # profiles that drop
    },
}


def track() -> str:
    """Let the kernel follow connections: it does so while any rule asks for them, though no packet comes to this one.

    What a profile that comes into force later is to keep has to be known by then.
    """
    return _text([f"add table {INET}", *_chain(INET, "track", "ct state new")])


def zones(mac_mask: str = MAC_MASK) -> str:
    """The map of networks to conntrack zones, and what puts packets into them, by MAC prefix."""
    # The zone has to stand before fragments are put together (-400), lest those of two tenants are.
    zone = ("prerouting priority -450", f"ct zone set ether saddr & {mac_mask} map @zones")
    declared = (f"add table {INET}", f"add map {INET} zones {{ typeof ether saddr : ct zone; }}")
    return _text([*declared, *_hooked(INET, "zone", *zone)])


def skeleton(mask: int = MASK, *, judge: bool = True) -> str:
    """Tables, maps and hooked chains; without `judge` the judging is left to iptables."""
    number, rest = f"meta mark & {mask:#010x}", mask ^ 0xFFFFFFFF
    clear = f"meta mark set meta mark & {rest:#010x}"
    by_address = ("oifname . ip daddr vmap @profile_ip4", "oifname . ip6 daddr vmap @profile_ip6")
    cut = f"ct mark & {CONDEMNED:#010x} == {CONDEMNED:#010x} drop"
    # A port's own profile judges what the bridge sends there, whoever's address may be written on it.
    find = f"{number} == 0 jump find"
    if judge:
        forward = [*_hooked(INET, "forward", "forward priority 0", cut, find, f"{number} vmap @profiles", clear)]
    else:  # before the IP tables
        forward = [*_hooked(INET, "to_tap", "forward priority -150", cut, find), *_gone(INET, "forward")]
    # Requests of ARP are for the guest to answer whatever its profile.
    unjudged = f"{number} != 0 {number} @enforced ether type != 0x0806 drop"
    port = ("oifname vmap @profile", f"{clear} | {mask:#010x}")
    return _text(
        [
            *_declared(),
            *_chain(INET, "find", "oifname vmap @profile", *by_address),
            *forward,
            *_hooked(BRIDGE, "to_tap", "forward priority -200", *port),
            *_hooked(BRIDGE, "unjudged", "forward priority 10", unjudged, clear),
        ]
    )


def chains(each: Profile, number: int, mask: int = MASK, *, judge: bool = True) -> str:
    """The chains of one profile, behind the skeleton; without `judge` only those that mark packets."""
    mark = profile.mark(number, mask)
    marks = f"meta mark set meta mark & {mask ^ 0xFFFFFFFF:#010x} | {mark:#010x}"
    lines = [*_chain(INET, f"mark_{number}", marks), *_chain(BRIDGE, f"mark_{number}", marks)]
    lines += _enforced(mark, ["add"] if each.new == DROP else ["add", "delete"])
    if judge:
        lines += [*_chain(INET, f"profile_{number}", *profile_rules.of(each)), _judged("add", number, mark)]
    return _text(lines)


def unchain(number: int, mask: int = MASK) -> str:
    """Take a profile's chains away, whether or not they are there; fails while a tap has the profile."""
    mark = profile.mark(number, mask)
    places = ((INET, f"profile_{number}"), (INET, f"mark_{number}"), (BRIDGE, f"mark_{number}"))
    lines = [*_declared(), *_enforced(mark, ["add", "delete"])]
    for table, name in places:
        lines += _chain(table, name)
    lines += [_judged(verb, number, mark) for verb in ("add", "delete")]
    return _text([*lines, *(f"delete chain {table} {name}" for table, name in places)])


def assign(
    tap: str, number: int, bridge: str | None = None, addresses: Sequence[str] = (), was: int | None = None
) -> str:
    """Give a tap the profile of this number, instead of that of the number `was`, or of none.

    A tap is a port of `bridge`, or routed. `addresses` are those of its guest that the host may route for, onto the
    bridge: such packets pass no port's forward hook.
    """
    lines = _forgotten(tap, was, bridge, addresses) if was else []
    return _text([*lines, *(f"add element {place}" for place in _places(tap, number, bridge, addresses))])


def unassign(tap: str, number: int, bridge: str | None = None, addresses: Sequence[str] = ()) -> str:
    """Take the profile of this number from a tap, whether or not anything of it is there."""
    return _text([*_declared(), *_forgotten(tap, number, bridge, addresses)])


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _declared() -> Iterator[str]:
    for table, maps in _MAPS.items():
        yield f"add table {table}"
        yield from (f"add {kind.replace(' ', f' {table} ')} {{ {what}; }}" for kind, what in maps.items())


def _gone(table: str, name: str) -> Iterator[str]:
    """Take a hooked chain away, whether or not it is there."""
    yield from _hooked(table, name, "forward priority 0")
    yield f"delete chain {table} {name}"


def _hooked(table: str, name: str, hook: str, *rules: str) -> Iterator[str]:
    yield f"add chain {table} {name} {{ type filter hook {hook}; policy accept; }}"
    yield from _filled(table, name, rules)


def _chain(table: str, name: str, *rules: str) -> Iterator[str]:
    yield f"add chain {table} {name}"
    yield from _filled(table, name, rules)


def _filled(table: str, name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"flush chain {table} {name}"
    yield from (f"add rule {table} {name} {rule}" for rule in rules)


def _enforced(mark: int, verbs: Iterable[str]) -> Iterator[str]:
    return (f"{verb} element {BRIDGE} enforced {{ {mark:#010x} }}" for verb in verbs)


def _places(tap: str, number: int, bridge: str | None, addresses: Iterable[str]) -> Iterator[str]:
    """The elements that send what goes to a tap to the chain that marks it."""
    yield f'{BRIDGE if bridge else INET} profile {{ "{tap}" : goto mark_{number} }}'
    if bridge:
        for address in addresses:
            name = "profile_ip6" if ":" in address else "profile_ip4"
            yield f'{INET} {name} {{ "{bridge}" . {address} : goto mark_{number} }}'


def _forgotten(tap: str, number: int, bridge: str | None, addresses: Iterable[str]) -> Iterator[str]:
    """Deleting what is absent fails the transaction, so it is added first; an element needs its chain."""
    yield from (f"add chain {table} mark_{number}" for table in (INET, BRIDGE))
    for place in _places(tap, number, bridge, addresses):
        yield from (f"{verb} element {place}" for verb in ("add", "delete"))


def _judged(verb: str, number: int, mark: int) -> str:
    return f"{verb} element {INET} profiles {{ {mark:#010x} : jump profile_{number} }}"
