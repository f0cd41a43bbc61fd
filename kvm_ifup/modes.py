"""What each mode of a NIC does beside isolation: rows of MODES, and the tags that change them.

A mode's function gets the NIC, its addresses and what the host has for it, and tells what is to be run, and what
undoes it. Nothing here touches the host.
"""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext.errors import ContractError
from kvm_ifup import reach
from kvm_ifup.elements import of_tap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ganeti_ext.addresses import Addresses
    from ganeti_ext.nicenv import Nic
    from kvm_ifup.elements import Element
    from kvm_ifup.settings import Settings


class Link(namedtuple("Link", "name ifindex mac mtu")):
    """One network interface of the host."""

    __slots__ = ()
    name: str
    ifindex: int
    mac: str
    mtu: int


class Facts(namedtuple("Facts", "tap below uplink4 uplink6 ports pvid", defaults=(None, None, None, (), 0))):
    """What a NIC meets: its tap, the bridge that it joins, the uplinks that a tap without a gateway's address needs.

    `ports` are the bridge's that lead out of the host, for VLANs; `pvid` is the VLAN that it puts each new port into.
    """

    __slots__ = ()
    tap: Link
    below: Link | None
    uplink4: Link | None
    uplink6: Link | None
    ports: tuple[str, ...]
    pvid: int


class Wiring(namedtuple("Wiring", "steps undo sysctls elements", defaults=((), (), (), ()))):
    """`steps` and `undo` are (program, line); the program may have an option, as in `ip -6`.

    `sysctls` are (path below /proc/sys, value), of the tap alone: they go with it.
    """

    __slots__ = ()
    steps: tuple[tuple[str, str], ...]
    undo: tuple[tuple[str, str], ...]
    sysctls: tuple[tuple[str, str], ...]
    elements: tuple[Element, ...]


class _Mode(namedtuple("_Mode", "below wire")):
    """`below(nic)` names the interface that the tap hangs on, None for none."""

    __slots__ = ()
    below: Callable[[Nic], str | None]
    wire: Callable[[Nic, Addresses, Facts, Settings], Wiring]


def has_tag(nic: Nic, tag: str) -> bool:
    """Whether the NIC's network has a tag."""
    return nic.network is not None and tag in nic.network.tags


def spoof_allowed(nic: Nic, settings: Settings) -> bool:
    """Whether the guest may say anything."""
    return settings.tag_spoof_allowed in nic.tags or has_tag(nic, settings.tag_spoof_allowed)


def wire(nic: Nic, found: Addresses, facts: Facts, settings: Settings, prefix6: str | None = None) -> Wiring:
    """What is to be done for a NIC; ContractError when its mode and its network's tags do not go together."""
    filtered, routed = has_tag(nic, settings.tag_private_filtered), has_tag(nic, settings.tag_ip_less_routed)
    if filtered and nic.mode != "bridged":
        raise ContractError(f"NETWORK_TAGS: {settings.tag_private_filtered} needs MODE bridged, not {nic.mode!r}")
    if routed and nic.mode != "routed":
        raise ContractError(f"NETWORK_TAGS: {settings.tag_ip_less_routed} needs MODE routed, not {nic.mode!r}")
    found_wiring = MODES[nic.mode].wire(nic, found, facts, settings)
    if nic.mode == "routed" and prefix6 and found.eui64:
        step, undo = _delegated(nic, prefix6, found.eui64)
        found_wiring = found_wiring._replace(steps=(*found_wiring.steps, step), undo=(undo, *found_wiring.undo))
    if filtered:
        more = reach.peers(nic.tap, nic.mac, settings.mac_mask)
        return found_wiring._replace(elements=found_wiring.elements + more)
    return found_wiring


def announcements(found: Addresses, facts: Facts) -> tuple[tuple[Link, str | None, str | None], ...]:
    """Whose neighbours are to hear that an address is here now: uplink, IPv4 address, IPv6 address.

    In the other modes the guest is on the link itself, and QEMU announces it when it has moved.
    """
    wanted = (facts.uplink4, found.ip, None), (facts.uplink6, None, found.eui64)
    return tuple((uplink, ip, eui64) for uplink, ip, eui64 in wanted if uplink and (ip or eui64))


def _bridge(nic: Nic) -> str:
    bridge = nic.bridge or nic.link
    if not bridge:
        raise ContractError("LINK is not set")
    return bridge


def _bridged(nic: Nic, _found: Addresses, facts: Facts, _settings: Settings) -> Wiring:
    tap, bridge = facts.tap, facts.below or facts.tap
    # A bridge takes the lowest MAC of its ports: `fe` in front keeps a tap from changing it (net-common, fix_mac).
    steps = [
        ("ip", f"link set dev {tap.name} address fe{tap.mac[2:]} mtu {bridge.mtu}"),
        ("ip", f"link set dev {tap.name} master {bridge.name}"),
    ]
    untagged, tagged = vlans(nic)
    if facts.pvid and nic.vlan and facts.pvid not in (untagged, *tagged):
        # Else the guest would hear what is untagged on this bridge.
        steps.append(("bridge", f"vlan del dev {tap.name} vid {facts.pvid} master"))
    for vlan, rest in ((untagged, " pvid untagged"), *((vlan, "") for vlan in tagged)):
        if vlan:
            steps.append(("bridge", f"vlan add dev {tap.name} vid {vlan}{rest} master"))
            steps += [("bridge", f"vlan add dev {port} vid {vlan} master") for port in facts.ports]
    return Wiring(
        steps=(*steps, ("ip", f"link set dev {tap.name} up")),
        undo=(("ip", f"link set dev {tap.name} down"), ("ip", f"link set dev {tap.name} nomaster")),
        elements=tuple(of_tap("netdev", "vlans", tap.name, str(vlan)) for vlan in tagged),
    )


def _openvswitch(nic: Nic, _found: Addresses, facts: Facts, _settings: Settings) -> Wiring:
    if not nic.link:
        raise ContractError("LINK is not set")
    tap = facts.tap.name
    untagged, tagged = vlans(nic)
    options = f" tag={untagged}" if untagged else ""
    options += f" trunks={','.join(map(str, tagged))}" if tagged else ""
    options += " vlan_mode=native-untagged" if untagged and tagged else ""  # else a port with a tag has no trunks
    port = f"--if-exists del-port {tap} -- add-port {nic.link} {tap}{options}"
    return Wiring(
        steps=(("ovs-vsctl", port), ("ip", f"link set dev {tap} up")),
        undo=(("ip", f"link set dev {tap} down"), ("ovs-vsctl", f"--if-exists del-port {tap}")),
        elements=tuple(of_tap("netdev", "vlans", tap, str(vlan)) for vlan in tagged),
    )


def _routed(nic: Nic, found: Addresses, facts: Facts, settings: Settings) -> Wiring:
    tap = facts.tap.name
    own = [address for address in (found.ip, found.eui64) if address]
    if not own:
        raise ContractError("IP is not set: a routed NIC needs an address")
    # eui64: nfdhcpd advertises from the link-local address that follows from the MAC.
    steps = [("ip", f"link set dev {tap} address {settings.tap_mac} addrgenmode eui64 up")]
    undo: list[tuple[str, str]] = []
    for address in own:
        for step, back in _route(address, tap, nic.link):
            steps.append(step)
            undo.append(back)
    if not spoof_allowed(nic, settings):
        # Nobody needs to ask where a guest is whose MAC is known, and no other can say that he has its address.
        steps += [("ip", f"neigh replace {address} lladdr {nic.mac} dev {tap} nud permanent") for address in own]
    for proxied, uplink in ((found.ip, facts.uplink4), (found.eui64, facts.uplink6)):
        if proxied and uplink:
            steps.append(("ip", f"neigh replace proxy {proxied} dev {uplink.name}"))
            undo.append(("ip", f"neigh del proxy {proxied} dev {uplink.name}"))
    sysctls = [(f"net/ipv4/conf/{tap}/{key}", "1") for key in ("proxy_arp", "forwarding")]
    sysctls.append((f"net/ipv6/conf/{tap}/forwarding", "1"))
    return Wiring(
        steps=tuple(steps),
        undo=(*reversed(undo), ("ip", f"link set dev {tap} down")),
        sysctls=tuple(sysctls),
    )


def _route(address: str, tap: str, table: str | None) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Steps and what undoes each: what goes to an address, and the table that what comes from the tap goes on by."""
    family, length = ("-6 ", 128) if ":" in address else ("", 32)
    route = f"{address}/{length} dev {tap}{f' table {table}' if table else ''}"
    yield ("ip", f"route replace {route} proto static"), ("ip", f"route del {route}")
    if table:
        rule = f"iif {tap} table {table}"
        yield (f"ip {family}".strip(), f"rule add {rule}"), ("ip", f"{family}rule del {rule}")


def _delegated(nic: Nic, prefix6: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """What goes to a prefix that the guest has by DHCPv6 goes to the guest; and what undoes it."""
    route = f"{prefix6} via {address} dev {nic.tap}{f' table {nic.link}' if nic.link else ''}"
    return ("ip", f"route replace {route} onlink proto static"), ("ip", f"route del {route}")


def vlans(nic: Nic) -> tuple[int | None, tuple[int, ...]]:
    """The untagged VLAN and the tagged ones of `.V`, `:V:V` and `.V:V` (gnt-instance(8)); ContractError otherwise."""
    if not nic.vlan:
        return None, ()
    first, *rest = nic.vlan.split(":")
    numbers = [first.removeprefix("."), *rest] if first else rest
    if not numbers or not all(number.isdecimal() and 1 <= int(number) <= 4094 for number in numbers):
        raise ContractError(f"VLAN has a bad value {nic.vlan!r}: expected .V, :V:V or .V:V with V from 1 to 4094")
    found = tuple(int(number) for number in numbers)
    return (found[0], found[1:]) if first else (None, found)


MODES = {
    "bridged": _Mode(_bridge, _bridged),
    "openvswitch": _Mode(lambda _nic: None, _openvswitch),
    "routed": _Mode(lambda _nic: None, _routed),
}
