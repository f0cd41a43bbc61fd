"""What a tap needs of the node beside rules, against what is there. Values in, findings out.

What must be there follows from the record's own lines: what is to be undone has been done.
"""

from __future__ import annotations

from collections import namedtuple
from ipaddress import ip_network
from typing import TYPE_CHECKING

from kvm_ifup.check_rules import Finding
from kvm_ifup.profile import DROP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from kvm_ifup.explain import Seen
    from kvm_ifup.profile import Profile
    from kvm_ifup.state import Record

AGAIN = "restart the instance, or migrate it away and back"
_FILTER = {"ip4": "bridge-nf-call-iptables", "ip6": "bridge-nf-call-ip6tables"}


class Links(namedtuple("Links", "masters up routes rules proxies", defaults=({}, frozenset(), {}, {}, frozenset()))):
    """What `ip` tells: the master of each interface that has one; names of those that are up; by (table, IP version)
    destinations with their interfaces, and iif of rules; proxied addresses with their interfaces.
    """

    __slots__ = ()
    masters: Mapping[str, str]
    up: frozenset[str]
    routes: Mapping[tuple[str, int], frozenset[tuple[str, str]]]
    rules: Mapping[tuple[str, int], frozenset[str]]
    proxies: frozenset[tuple[str, str]]


def tables(records: Iterable[Record]) -> set[str]:
    """The routing tables that records name."""
    return {
        _behind(words, "table") or "main"
        for record in records
        for words in _undone(record)
        if words[0] in ("route", "rule")
    }


def wiring(record: Record, links: Links, ports: Mapping[str, str]) -> Iterator[Finding]:
    """What is missing of a tap's place in the network. `ports` are bridges of Open vSwitch, by their ports."""
    for words in _undone(record):
        line = " ".join(words)
        check = next((check for start, end, check in _CHECKS if line.startswith(start) and line.endswith(end)), None)
        if check:
            yield from check(record, words, links, ports)


def sysctls(record: Record) -> Iterator[tuple[str, str]]:
    """Paths below /proc/sys that have to be 1 for a routed tap, and what fails if they are not."""
    undone = list(_undone(record))
    addresses = [words[2] for words in undone if words[:2] == ["route", "del"]]
    if not addresses:
        return
    yield f"net/ipv4/conf/{record.tap}/forwarding", "what the guest sends by IPv4 goes nowhere"
    yield f"net/ipv4/conf/{record.tap}/proxy_arp", "nobody answers when the guest asks for its gateway"
    if any(":" in address for address in addresses):
        yield "net/ipv6/conf/all/forwarding", "nothing of IPv6 goes to the guest or comes from it"
    for words in undone:
        if words[:3] == ["neigh", "del", "proxy"]:
            yield from _uplink(words[3], words[5])


def judged(record: Record, profile: Profile, seen: Seen) -> Iterator[Finding]:
    """Whether the profile of a tap on a bridge can judge at all."""
    if record.firewall is None or record.firewall.bridge is None or profile.new != DROP:
        return
    for family, shown in (("ip4", seen.ip4), ("ip6", seen.ip6)):
        if not shown:
            found = f"profile {profile.name} cannot judge what comes over {record.firewall.bridge}, so it is dropped"
            yield Finding(record.tap, found, f"modprobe br_netfilter; sysctl -w net.bridge.{_FILTER[family]}=1")


def _uplink(address: str, uplink: str) -> Iterator[tuple[str, str]]:
    if ":" in address:
        yield f"net/ipv6/conf/{uplink}/forwarding", f"nobody finds the guest's {address} behind this node"
        yield f"net/ipv6/conf/{uplink}/proxy_ndp", f"nobody finds the guest's {address} behind this node"
    else:
        yield f"net/ipv4/conf/{uplink}/forwarding", f"nobody finds the guest's {address} behind this node"


def _undone(record: Record) -> Iterator[list[str]]:
    for program, line in record.undo:
        yield line.split() if program == "ip" else [program, *line.split()]


def _behind(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


def _route(record: Record, words: list[str], links: Links, _ports: Mapping[str, str]) -> Iterator[Finding]:
    table, destination = _behind(words, "table") or "main", words[2]
    net = ip_network(destination)
    found = {(ip_network(dst), dev) for dst, dev in links.routes.get((table, net.version), ()) if dst != "default"}
    if (net, record.tap) not in found:
        yield Finding(record.tap, f"there is no route to {destination} in table {table}", AGAIN)


def _rule(record: Record, words: list[str], links: Links, _ports: Mapping[str, str]) -> Iterator[Finding]:
    version, table = 6 if words[0] == "-6" else 4, _behind(words, "table") or "main"
    if record.tap not in links.rules.get((table, version), ()):
        yield Finding(record.tap, f"what comes from it by IPv{version} does not go by table {table}", AGAIN)


def _proxy(record: Record, words: list[str], links: Links, _ports: Mapping[str, str]) -> Iterator[Finding]:
    if (words[3], words[5]) not in links.proxies:
        todo = f"ip neigh replace proxy {words[3]} dev {words[5]}"
        yield Finding(record.tap, f"nobody answers for {words[3]} on {words[5]}", todo)


def _master(record: Record, _words: list[str], links: Links, _ports: Mapping[str, str]) -> Iterator[Finding]:
    bridge = record.env.get("BRIDGE") or record.env.get("LINK") or ""
    if links.masters.get(record.tap) != bridge:
        yield Finding(record.tap, f"it is no port of {bridge}", f"ip link set dev {record.tap} master {bridge}")


def _down(record: Record, _words: list[str], links: Links, _ports: Mapping[str, str]) -> Iterator[Finding]:
    if record.tap not in links.up:
        yield Finding(record.tap, "it is down", f"ip link set dev {record.tap} up")


def _port(record: Record, _words: list[str], _links: Links, ports: Mapping[str, str]) -> Iterator[Finding]:
    bridge = record.env.get("LINK", "")
    if ports.get(record.tap) != bridge:
        yield Finding(record.tap, f"it is no port of the Open vSwitch {bridge}", AGAIN)


# How a line that undoes something begins and ends, and what looks for what it would undo.
_CHECKS: tuple[tuple[str, str, Callable[[Record, list[str], Links, Mapping[str, str]], Iterator[Finding]]], ...] = (
    ("route del ", "", _route),
    ("rule del ", "", _rule),
    ("-6 rule del ", "", _rule),
    ("neigh del proxy ", "", _proxy),
    ("link set dev ", " nomaster", _master),
    ("link set dev ", " down", _down),
    ("ovs-vsctl ", "", _port),
)
