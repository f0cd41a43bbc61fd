"""A record as facts for people and programs: what a tap has, and which tag is why. Values in, values out.

The keys of `tap` are those of `ganeti-ext-net show --json` (ganeti-ext-net(8)).
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from ganeti_ext import addresses, selection
from ganeti_ext.nicenv import Nic
from kvm_ifup import allowance, modes, plan, terms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Record

_ADDRESS_SETS = ("ip4", "ip6_source")
_MORE_SETS = ("ip4_more", "ip6_source", "ip6_prefix")


def tap(record: Record, settings: Settings) -> dict[str, Any]:
    """All that the record tells of a tap."""
    nic = Nic.from_env(record.env)
    return {
        "tap": record.tap,
        "ifindex": record.ifindex,
        "instance": nic.instance,
        "nic": {"index": nic.index, "uuid": nic.uuid, "name": nic.name},
        "mac": nic.mac,
        "mode": nic.mode,
        "link": nic.bridge if nic.mode == "bridged" and nic.bridge else nic.link,
        "vlan": nic.vlan,
        "network": nic.network.name if nic.network else None,
        "kinds": _kinds(nic, settings),
        "addresses": _own(nic),
        "may_say": _may_say(record, nic, settings),
        "reached_by": _reached_by(record, nic),
        "profile": _profile(record, nic, settings),
        "binding": record.binding,
        "tags_told": record.told or None,
        "undo": [f"{program} {line}" for program, line in record.undo],
    }


def origin(nic: Nic, text: str) -> str:
    """Why a guest may use an address, in words that go behind `is`."""
    if text in _own(nic):
        return "the guest's address"
    wanted = ip_address(text)
    for net, tag, of in _more(nic):
        if wanted in ip_network(net):
            return f"allowed by the {of}'s tag {tag}"
    prefix = terms.of(nic).prefix6
    if prefix and wanted in ip_network(prefix):
        return f"in {prefix}, which is delegated to the guest"
    return "allowed to the guest"


def _kinds(nic: Nic, settings: Settings) -> list[str]:
    """The network's tags that change what its mode does."""
    return [tag for tag in (settings.tag_ip_less_routed, settings.tag_private_filtered) if modes.has_tag(nic, tag)]


def _own(nic: Nic) -> list[str]:
    found = addresses.of(nic)
    return [address for address in (found.ip, found.eui64) if address]


def _may_say(record: Record, nic: Nic, settings: Settings) -> dict[str, Any]:
    """What the rules at the tap's ingress let through; `anything_by` is the tag that puts them out of force."""
    values = {name: _values(record, name) for name in ("macs", "vlans", "ip6_prefix")}
    spoof = settings.tag_spoof_allowed
    return {
        "judged": plan.judged(record),
        "anything_by": next((f"the {of}'s tag {tag}" for tag, of in _tags(nic) if tag == spoof), None),
        "macs": values["macs"],
        "addresses": [value for name in _ADDRESS_SETS for value in _values(record, name)],
        "ipv6": any(element.set == "ip6_taps" for element in record.elements),
        "more": [{"address": net, "tag": tag, "of": of} for net, tag, of in _more(nic)],
        "delegated": terms.of(nic).prefix6,
        "vlans": values["vlans"],
    }


def _reached_by(record: Record, nic: Nic) -> dict[str, Any]:
    """`macs` is a range, or None when any station of the link may reach the tap; `zone` is conntrack's."""
    zones = (element.text.partition(" : ")[2] for element in record.elements if element.set == "zones")
    return {
        "macs": next(iter(_values(record, "peers")), None),
        "zone": next(zones, None),
        "routed": nic.mode == "routed",
    }


def _profile(record: Record, nic: Nic, settings: Settings) -> dict[str, Any] | None:
    """`tag` is None for the default."""
    if record.firewall is None:
        return None
    tag = selection.choose(nic, settings.default_profile).tag
    return {"name": record.firewall.profile, "number": record.firewall.number, "tag": tag}


def _values(record: Record, name: str) -> list[str]:
    """What stands behind the tap in the elements of a set."""
    return [element.text.partition(" . ")[2] for element in record.elements if element.set == name]


def _more(nic: Nic) -> Iterator[tuple[str, str, str]]:
    """Addresses and prefixes that tags allow beside the guest's own: which, the tag, and whose tag it is."""
    for tag, of in _tags(nic):
        alone = nic._replace(tags=(tag,), network=None)
        for element in allowance.elements(alone):
            if element.set in _MORE_SETS:
                yield element.text.partition(" . ")[2], tag, of


def _tags(nic: Nic) -> Iterator[tuple[str, str]]:
    """The tags that count for a NIC, and whose they are."""
    yield from ((tag, "instance") for tag in nic.tags)
    yield from ((tag, "network") for tag in (nic.network.tags if nic.network else ()))
