"""What other scripts give a tap: rules of its own in the node's chains. Lines without the program's name.

`iptables` are two chains a tap, for what it says and for what it gets, each with a jump in FORWARD. `ebtables` are
those by which the originals of kvm_ifup keep networks with private MAC prefixes apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.firewall import guests

MASK = "ff:ff:f0:00:00:00"


def iptables(guest: int) -> list[str]:
    """Eleven lines for iptables(8): no foreign source address out; SSH, web, remote desktop and ping in."""
    tap = guests.tap(guest)
    said, got = f"out-{tap}", f"in-{tap}"
    return [
        f"-N {said}",
        f"-N {got}",
        f"-A {said} ! -s {guests.address(guest)} -j DROP",
        *(f"-A {got} -p tcp --dport {port} -j ACCEPT" for port in (22, 80, 443)),
        f"-A {got} -p udp --dport {guests.PORT} -j ACCEPT",
        f"-A {got} -p icmp -j ACCEPT",
        f"-A {got} -j DROP",
        *_jumps("-A", guest),
    ]


def no_iptables(guest: int) -> list[str]:
    """What takes them away."""
    chains = (f"out-{guests.tap(guest)}", f"in-{guests.tap(guest)}")
    return [*_jumps("-D", guest), *_gone(chains)]


def other_iptables(guest: int) -> list[str]:
    """Two lines that judge what it gets by another chain, and back: the jump goes and comes."""
    return [_jumps("-D", guest)[1], _jumps("-A", guest)[1]]


def ebtables(guest: int) -> list[str]:
    """Eight lines for ebtables(8)."""
    said, got = _ebtables_chains(guest)
    mac = guests.mac(guest)
    return [
        f"-N {said} -P RETURN",
        f"-N {got} -P RETURN",
        *_ebtables_jumps("-A", guest),
        f"-A {said} -s ! {mac} -j DROP",
        f"-A {got} -s ! {mac}/{MASK} -j DROP",
    ]


def no_ebtables(guest: int) -> list[str]:
    """What takes them away."""
    return [
        *_ebtables_jumps("-D", guest),
        *(f"{verb} {chain}" for verb in ("-F", "-X") for chain in _ebtables_chains(guest)),
    ]


def restore(lines: Iterable[str]) -> str:
    """Lines as one file for iptables-restore(8) or ebtables-restore(8), chains first as it wants them."""
    new, rules = [], []
    for line in lines:
        if line.startswith("-N"):
            _, chain, *policy = line.split()
            new.append(f":{chain} {policy[1] if policy else '- [0:0]'}")
        else:
            rules.append(line)
    return "\n".join(("*filter", *new, *rules, "COMMIT", ""))


def _gone(chains: Sequence[str]) -> list[str]:
    return [f"{verb} {chain}" for verb in ("-F", "-X") for chain in chains]


def _jumps(verb: str, guest: int) -> list[str]:
    tap = guests.tap(guest)
    ways = (("in", "out"), ("out", "in"))
    return [f"{verb} FORWARD -m physdev --physdev-{way} {tap} -j {chain}-{tap}" for way, chain in ways]


def _ebtables_chains(guest: int) -> tuple[str, str]:
    tap = guests.tap(guest).upper()
    return f"FROM{tap}", f"TO{tap}"


def _ebtables_jumps(verb: str, guest: int) -> list[str]:
    said, got = _ebtables_chains(guest)
    tap = guests.tap(guest)
    ways = (("FORWARD", "-i", said), ("INPUT", "-i", said), ("FORWARD", "-o", got), ("OUTPUT", "-o", got))
    return [f"{verb} {chain} {option} {tap} -j {target}" for chain, option, target in ways]
