"""Bridges for networks that have a VLAN each, made before they are needed: over LINK.V a bridge PREFIXV.

What is made carries an alias (ip-link(8)), and only what carries it is removed. Plans are lines for `ip -batch`.
"""

from __future__ import annotations

import json
from collections import namedtuple
from typing import TYPE_CHECKING

from ganeti_ext import command
from ganeti_ext.errors import ContractError, ExtError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

ALIAS = "ganeti-ext-net"
_LONGEST = 15  # IFNAMSIZ less the final zero


class Wanted(namedtuple("Wanted", "link prefix vlans mtu", defaults=(None,))):
    """Bridges for these VLANs of a link; `mtu` is None for the link's own."""

    __slots__ = ()
    link: str
    prefix: str
    vlans: tuple[int, ...]
    mtu: int | None


class Link(namedtuple("Link", "name kind lower vlan master alias mtu up")):
    """An interface as `ip -j -d link` has it; `kind` is vlan, bridge or another, `lower` what it stands upon."""

    __slots__ = ()
    name: str
    kind: str
    lower: str | None
    vlan: int | None
    master: str | None
    alias: str
    mtu: int
    up: bool


Links = dict[str, Link]


def vlans(text: str) -> tuple[int, ...]:
    """`100-199,300` as numbers, ascending; ValueError for what is no VLAN."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdecimal() and 1 <= int(end) <= 4094 for end in ends):
            raise ValueError(f"{part!r} is no VLAN from 1 to 4094, nor a range of them such as 100-199")
        if int(ends[0]) > int(ends[1]):
            raise ValueError(f"{part!r} ends before it begins")
        found.update(range(int(ends[0]), int(ends[1]) + 1))
    return tuple(sorted(found))


def links(run: Callable[..., str] = command.run) -> Links:
    """All interfaces there are."""
    return {found.name: found for found in map(_link, json.loads(run(["ip", "-j", "-d", "link", "show"])))}


def up(wanted: Wanted, there: Links) -> list[str]:
    """What makes the bridges that are missing; ExtError when a name is taken by something else."""
    if wanted.link not in there:
        raise ExtError(f"there is no interface {wanted.link}")
    return [line for vlan in wanted.vlans for line in _up(wanted, vlan, there)]


def down(wanted: Wanted, there: Links) -> tuple[list[str], dict[str, str]]:
    """What removes the bridges, and those that stay, with the reason."""
    lines: list[str] = []
    kept: dict[str, str] = {}
    for vlan in wanted.vlans:
        device, bridge = _names(wanted, vlan)
        why = _kept(there, device, bridge)
        if why:
            kept[bridge] = why
        else:
            lines += [f"link del dev {name}" for name in (device, bridge) if name in there]
    return lines, kept


def rows(there: Links) -> list[dict[str, Any]]:
    """What was made and stands, as `bridges show --json` tells it."""
    found = []
    for bridge in (link for link in there.values() if link.kind == "bridge" and link.alias == ALIAS):
        ports = sorted(link.name for link in there.values() if link.master == bridge.name)
        devices = [there[port] for port in ports if there[port].alias == ALIAS]
        found.append(
            {
                "bridge": bridge.name,
                "vlan": devices[0].vlan if devices else None,
                "link": devices[0].lower if devices else None,
                "mtu": bridge.mtu,
                "up": bridge.up and all(device.up for device in devices),
                "ports": [port for port in ports if there[port] not in devices],
            }
        )
    return found


def apply(lines: Iterable[str], run: Callable[..., str] = command.run) -> None:
    """Carry out a plan. What stood in the way is in the CommandError; done again, it goes on from there."""
    text = "".join(f"{line}\n" for line in lines)
    if text:
        run(["ip", "-batch", "-"], stdin=text, timeout=600)


def _names(wanted: Wanted, vlan: int) -> tuple[str, str]:
    names = f"{wanted.link}.{vlan}", f"{wanted.prefix}{vlan}"
    for name in names:
        if len(name) > _LONGEST:
            raise ContractError(f"{name} is no name for an interface: it has more than {_LONGEST} characters")
    return names


def _up(wanted: Wanted, vlan: int, there: Links) -> Iterator[str]:
    device, bridge = _names(wanted, vlan)
    mtu = f" mtu {wanted.mtu}" if wanted.mtu else ""
    _refuse(there.get(device), {"kind": "vlan", "lower": wanted.link, "vlan": vlan})
    _refuse(there.get(bridge), {"kind": "bridge"})
    if device not in there:
        yield f"link add link {wanted.link} name {device} type vlan id {vlan}"
    if bridge not in there:
        yield f"link add name {bridge} type bridge stp_state 0 forward_delay 0"
    for name in (device, bridge):
        if name not in there:  # the node itself has no business in these networks
            yield f"link set dev {name}{mtu} alias {ALIAS} addrgenmode none"
        elif wanted.mtu and there[name].mtu != wanted.mtu:
            yield f"link set dev {name}{mtu}"
    master = there[device].master if device in there else None
    if master not in (None, bridge):
        raise ExtError(f"{device} is a port of {master}, not of {bridge}")
    if master is None:
        yield f"link set dev {device} master {bridge}"
    yield from (f"link set dev {name} up" for name in (device, bridge) if name not in there or not there[name].up)


def _refuse(found: Link | None, wanted: Mapping[str, object]) -> None:
    """ExtError for an interface that has the name of one of ours and is something else."""
    for field, value in wanted.items():
        if found is not None and getattr(found, field) != value:
            raise ExtError(f"there is another {found.name}: its {field} is {getattr(found, field)}, not {value}")


def _kept(there: Links, device: str, bridge: str) -> str:
    """Why a bridge stays; "" when it can go, or is gone."""
    foreign = [name for name in (device, bridge) if name in there and there[name].alias != ALIAS]
    if foreign:
        return f"{foreign[0]} was not made by this command"
    ports = sorted(link.name for link in there.values() if link.master == bridge and link.name != device)
    return f"in use by {', '.join(ports)}" if ports else ""


def _link(found: Mapping[str, Any]) -> Link:
    info = found.get("linkinfo", {})
    return Link(
        name=found["ifname"],
        kind=info.get("info_kind", ""),
        lower=found.get("link"),
        vlan=info.get("info_data", {}).get("id") if info.get("info_kind") == "vlan" else None,
        master=found.get("master"),
        alias=found.get("ifalias", ""),
        mtu=found["mtu"],
        up="UP" in found["flags"],
    )
