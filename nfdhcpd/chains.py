"""The iptables rules that divert the guests' discovery, as text.

A chain of ours stands behind jumps that look at the protocol first: every packet of the host passes mangle
PREROUTING. ip6tables looks for the protocol behind extension headers, and in the first of several fragments; the
others are useless without that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nfdhcpd.settings import Settings

DISCOVERY, NEIGHBOURS = "nfdhcpd", "nfdhcpd-ns"
NAMES = (DISCOVERY, NEIGHBOURS)


class Chain(NamedTuple):
    """`jumps` are the matches in PREROUTING that lead to it. Texts as `iptables -S` prints them."""

    name: str
    jumps: tuple[str, ...]
    rules: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """What `iptables -S` prints when all is in place."""
        yield f"-N {self.name}"
        yield from (f"-A PREROUTING {match} -j {self.name}" for match in self.jumps)
        yield from (f"-A {self.name} {rule}" for rule in self.rules)


def ipv4(settings: Settings) -> list[Chain]:
    """DHCP."""
    if not settings.dhcp.enable:
        return []
    return [_discovery(settings, settings.dhcp.queue, "-p udp -m udp --dport 67")]


def ipv6(settings: Settings) -> list[Chain]:
    """DHCPv6 and router solicitations; of routed taps neighbour solicitations too.

    The latter alone may bypass the queue: while no daemon listens, the kernel answers for its own addresses, and
    nothing of it leaves the host. It also answers what is sent to its link-local address.
    """
    general, _, six, *_ = settings
    if not six.enable:
        return []
    solicit = "-p ipv6-icmp -m icmp6 --icmpv6-type"
    # A bridge may be called like a tap.
    routed = f"-i {general.tap_prefix}+" + (" -m physdev ! --physdev-is-in" if general.bridged else "")
    bypass = f"! -d fe80::/10 {routed} -j NFQUEUE --queue-num {six.queue} --queue-bypass"
    return [
        _discovery(settings, six.queue, f"{solicit} 133", "-p udp -m udp --dport 547"),
        Chain(NEIGHBOURS, (f"{solicit} 135",), (bypass,)),
    ]


FAMILIES: Mapping[str, Callable[[Settings], list[Chain]]] = {"iptables": ipv4, "ip6tables": ipv6}


def plan(listing: str, chains: Iterable[Chain]) -> str:
    """The text for iptables-restore --noflush: out of `iptables -S`, one transaction to these chains alone.

    Empty when there is nothing to do.
    """
    lines = [line.strip() for line in listing.splitlines()]
    # Every jump goes, whichever version or configuration of ours put it there.
    steps = ["-D" + line[2:] for line in lines if line.startswith("-A ") and line.split(" -j ")[-1] in NAMES]
    kept = set()
    for chain in chains:
        kept.add(chain.name)
        steps.append(f":{chain.name} - [0:0]")  # empties it, too
        steps += [f"-A {chain.name} {rule}" for rule in chain.rules]
        steps += [f"-I PREROUTING {match} -j {chain.name}" for match in chain.jumps]
    for name in NAMES:
        if name not in kept and f"-N {name}" in lines:
            steps += [f"-F {name}", f"-X {name}"]
    return "\n".join(["*mangle", *steps, "COMMIT", ""]) if steps else ""


def missing(listing: str, chains: Iterable[Chain]) -> list[str]:
    """The lines that `iptables -S` should have printed and did not."""
    lines = {line.strip() for line in listing.splitlines()}
    return [line for chain in chains for line in chain.lines() if line not in lines]


def _discovery(settings: Settings, queue: int, *jumps: str) -> Chain:
    """No --queue-bypass: while no daemon listens, the kernel drops what is diverted."""
    general = settings.general
    target = f"-j NFQUEUE --queue-num {queue}"
    ports = (f"-m physdev --physdev-in {general.tap_prefix}+ {target}",) if general.bridged else ()
    return Chain(DISCOVERY, jumps, (*ports, f"-i {general.tap_prefix}+ {target}"))
