"""Rules of security groups: what may be asked for, and by which of them nodes can judge (docs/firewall.md). Pure.

A group's rules add up with those of a server's other groups. Nodes judge what comes to a guest, by addresses,
protocols, ports and types: a group may have any rules, but a server none with a rule that its node could not keep to.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

from frontend.web import schema
from frontend.web.fault import BadRequest
from ganeti_ext.protocols import EXTENSIONS, ICMPV6, NUMBERS

Row = Mapping[str, Any]

INGRESS, EGRESS = "ingress", "egress"
FAMILIES = ("IPv4", "IPv6")
_ICMP, _ICMP6 = "icmp", "ipv6-icmp"
_NAMES = {number: name for name, number in NUMBERS.items()}
_PORTS = frozenset(("tcp", "udp", "sctp", "dccp", "udplite"))
_JUDGED = frozenset(("tcp", "udp", "sctp"))  # of these, those whose ports nodes look at


class Rule(NamedTuple):
    """One rule; None: any. Of ICMP the ports are type and code."""

    ethertype: str
    protocol: str | None = None
    first: int | None = None
    last: int | None = None
    remote: str | None = None
    """An address or a network."""


# What the shipped profiles let come; the rules of an administrator's own stand on his nodes alone.
PROFILES: Mapping[str, frozenset[Rule]] = {
    "protected": frozenset(),
    "ssh": frozenset((Rule("IPv4", "tcp", 22, 22), Rule("IPv4", _ICMP), Rule("IPv6", _ICMP6))),
    "limited": frozenset(
        (
            *(Rule(family, "tcp", port, port) for port in (22, 3389) for family in FAMILIES),
            *(Rule(family, "udp", 3389, 3389) for family in FAMILIES),
            Rule("IPv4", _ICMP, 8),
            Rule("IPv6", _ICMP6, 128),
        )
    ),
    "unprotected": frozenset(Rule(family) for family in FAMILIES),
}


def asked(sent: Row) -> dict[str, Any]:
    """A rule of a request of Network v2.0 as columns of the table; BadRequest if it is none."""
    direction = _one_of(sent, "direction", (INGRESS, EGRESS), INGRESS)
    ethertype = _one_of(sent, "ethertype", FAMILIES, "IPv4")
    protocol = _protocol(sent.get("protocol"), ethertype)
    first, last = _ports(sent, protocol)
    remote, group = sent.get("remote_ip_prefix"), sent.get("remote_group_id")
    if remote is not None and group is not None:
        raise BadRequest("Only remote_ip_prefix or remote_group_id may be provided.")
    return {
        "direction": direction,
        "ethertype": ethertype,
        "protocol": protocol,
        "port_min": first,
        "port_max": last,
        "remote_ip": None if remote is None else _prefix(remote, ethertype),
        "remote_group": None if group is None else schema.text(sent, "remote_group_id"),
    }


def is_same(one: Row, other: Row) -> bool:
    keys = ("direction", "ethertype", "port_min", "port_max", "remote_group")
    return all(one[key] == other[key] for key in keys) and _rule(one) == _rule(other)


def unfit(rows: Iterable[Row], own: Container[str]) -> str | None:
    """Why no node could keep to these rules of a server's groups; None when nodes can. `own` are the project's groups.

    What guests send is judged by nobody but their guests' own profiles: so the rules must let all be sent.
    """
    rows = list(rows)
    sent = {_rule(row) for row in rows if row["direction"] == EGRESS and row["remote_group"] is None}
    lacking = [family for family in FAMILIES if Rule(family) not in sent]
    if lacking:
        return f"what a server sends cannot be restricted, so a rule has to allow all egress of {' and '.join(lacking)}"
    return next((why for row in rows if row["direction"] == INGRESS and (why := _unfit(row, own))), None)


def _unfit(row: Row, own: Container[str]) -> str | None:
    said = f"rule {row['id']} cannot be kept to:"
    if row["remote_group"] is not None and row["remote_group"] not in own:
        return f"{said} nodes know the members of the project's own groups alone, not of {row['remote_group']}"
    protocol, is_6 = _canonical(row["protocol"]), row["ethertype"] == "IPv6"
    number = NUMBERS.get(protocol or "") or int(protocol or 0)
    if (row["port_min"], row["port_max"]) != (None, None) and protocol in _PORTS - _JUDGED:
        return f"{said} nodes look at ports of {', '.join(sorted(_JUDGED))}, not of {protocol}"
    if (number == 1 and is_6) or (number == ICMPV6 and not is_6):
        return f"{said} {protocol} is not of {row['ethertype']}"
    if is_6 and number in EXTENSIONS:
        return f"{said} {protocol} is an extension header of IPv6, which nodes look behind"
    return None


def _rule(row: Row) -> Rule:
    remote = row["remote_ip"]
    if remote is not None:
        network = ipaddress.ip_network(remote, strict=False)
        remote = str(network) if network.prefixlen else None
    first, last = row["port_min"], row["port_max"]
    if row["protocol"] in _PORTS and (first, last) == (1, 65535):
        first = last = None
    return Rule(row["ethertype"], _canonical(row["protocol"]), first, last, remote)


def _canonical(protocol: str | None) -> str | None:
    return _NAMES.get(int(protocol), protocol) if protocol is not None and protocol.isdecimal() else protocol


def _one_of(sent: Row, key: str, known: tuple[str, ...], default: str) -> str:
    value = schema.text(sent, key, default)
    found = next((name for name in known if name.lower() == value.lower()), None)
    if found is None:
        raise BadRequest(f"{key}: {value[:80]!r} is none of {', '.join(known)}")
    return found


def _protocol(value: Any, ethertype: str) -> str | None:
    """As it was asked for, but for ICMP, which has three names."""
    text = str(value).lower() if isinstance(value, int | str) and not isinstance(value, bool) else value
    if text in (None, "", "any", "-1"):
        return None
    if not isinstance(text, str) or not (text in NUMBERS or (text.isascii() and text.isdecimal() and int(text) < 256)):
        raise BadRequest(f"Security group rule protocol {value!r:.80} not supported. Names and 0 to 255 are.")
    if text == "0":
        return None
    if ethertype == "IPv6" and text in (_ICMP, "icmpv6", "58", "1"):
        return _ICMP6
    return text


def _ports(sent: Row, protocol: str | None) -> tuple[int | None, int | None]:
    first, last = (_port(sent, key) for key in ("port_range_min", "port_range_max"))
    name = _canonical(protocol)
    if name in (_ICMP, _ICMP6, "icmpv6"):
        for value, what in ((first, "type (port-range-min)"), (last, "code (port-range-max)")):
            if value is not None and not 0 <= value <= 255:
                raise BadRequest(f"Invalid value for ICMP {what.split()[0]} ({what.split()[1][1:-1]}): {value}.")
        if first is None and last is not None:
            raise BadRequest(
                f"ICMP code (port-range-max) {last} is provided but ICMP type (port-range-min) is missing."
            )
        return first, last
    if (first, last) == (None, None):
        return None, None
    if name not in _PORTS:
        raise BadRequest(f"Ports cannot be given for protocol {protocol or 'any'}.")
    for value in (first, last):
        if value is not None and not 1 <= value <= 65535:
            raise BadRequest(f"Invalid value for port {value}")
    if first is None or last is None or first > last:
        raise BadRequest("For TCP/UDP protocols, port_range_min must be <= port_range_max")
    return first, last


def _port(sent: Row, key: str) -> int | None:
    return None if sent.get(key) is None else schema.number(sent, key, None, -(1 << 31), (1 << 31) - 1)


def _prefix(value: Any, ethertype: str) -> str:
    try:
        network = ipaddress.ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError as err:
        raise BadRequest(f"remote_ip_prefix: {value!r:.80} is no network") from err
    if "%" in value:
        raise BadRequest(f"remote_ip_prefix: {value[:80]!r} names an interface")
    if f"IPv{network.version}" != ethertype:
        raise BadRequest(f"Conflicting value ethertype {ethertype} for CIDR {value}")
    return str(value)
