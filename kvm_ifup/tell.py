"""What ganeti-ext-net prints: facts in, lines out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ganeti_ext.plaintext import clean, columns, natural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    Facts = Mapping[str, Any]

_TAPS = ("tap", "state", "instance", "nic", "mode", "network", "addresses", "profile", "ifindex", "since")
_PROFILES = ("profile", "number", "taps", "file", "description")
_BRIDGES = ("bridge", "vlan", "link", "mtu", "state", "ports")
MODES = {
    "bridged": "a port of the bridge {link}",
    "openvswitch": "a port of the Open vSwitch bridge {link}",
    "routed": "the node routes for it",
}


def taps(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `list`: what is known in columns, then records that cannot be read."""
    ordered = sorted(found, key=lambda facts: natural(facts["tap"]))
    rows = [[_cell(facts, name) for name in _TAPS] for facts in ordered if "error" not in facts]
    yield from columns([[name.upper() for name in _TAPS], *rows])
    for facts in ordered:
        if "error" in facts:
            yield clean(f"{facts['tap']}: {facts['error']}")


def tap(facts: Facts) -> Iterator[str]:
    """The answer to `show`."""
    nic = facts["nic"]
    yield clean(f"{facts['tap']}: NIC {nic['index']} of {facts['instance']}")
    before = ""
    for label, value in _pairs(facts):
        yield clean(f"  {label + ':' if label != before else '':<16} {value}")
        before = label


def _pairs(facts: Facts) -> Iterator[tuple[str, str]]:
    nic = facts["nic"]
    yield "tap", _STATES[facts["state"]].format(**facts)
    yield "NIC", f"UUID {nic['uuid']}" + (f", name {nic['name']}" if nic["name"] else "")
    yield "mode", _mode(facts)
    yield "network", facts["network"] or "none"
    yield "addresses", _list(facts["addresses"]) or "none"
    for line in _may_say(facts):
        yield "may say", line
    for line in _reached_by(facts):
        yield "is reached by", line
    for line in _profile(facts["profile"]):
        yield "profile", line
    yield "binding", facts["binding"] or "none: nfdhcpd does not answer this guest"
    yield "tags", _told(facts["tags_told"])
    for line in facts["undo"]:
        yield "when it goes", line


_STATES = {
    "up": "stands, with the interface index {ifindex}",
    "gone": "is gone: ganeti-ext-net reap removes what it had",
    "other": "is gone, and another has its name: its interface index was {ifindex}",
}


def _mode(facts: Facts) -> str:
    words = f"{facts['mode']}: " + MODES.get(facts["mode"], "").format(**facts)
    if facts["mode"] == "routed" and facts["link"]:
        words += f", by the routing table {facts['link']}"
    if facts["vlan"]:
        words += f", VLAN {facts['vlan']}"
    return words + (f"; {_list(facts['kinds'])}" if facts["kinds"] else "")


def _may_say(facts: Facts) -> Iterator[str]:
    said = facts["may_say"]
    if not said["judged"]:
        yield f"anything, by {said['anything_by'] or 'what the record tells'}"
        return
    yield f"from MAC {_list(said['macs'])}"
    yield f"from {_list(said['addresses']) or 'no address, but ask for one by DHCP'}"
    for more in said["more"]:
        yield f"from {more['address']}, by the {more['of']}'s tag {more['tag']}"
    if said["delegated"]:
        yield f"from {said['delegated']}, which is delegated to it"
    if said["ipv6"]:
        yield "from link-local addresses that no router is known by"
    if said["vlans"]:
        yield f"anything in the VLANs {_list(said['vlans'])}"
    yield "nothing of a DHCP server or a router"


def _reached_by(facts: Facts) -> Iterator[str]:
    reached = facts["reached_by"]
    if reached["macs"]:
        yield f"stations with a MAC in {reached['macs']} alone"
    elif reached["routed"]:
        yield "what the node routes to it"
    else:
        yield "any station of its bridge"
    if reached["zone"]:
        yield f"connections in the conntrack zone {reached['zone']}"


def _profile(profile: Facts | None) -> Iterator[str]:
    if profile is None:
        yield "none: Open vSwitch shows the firewall nothing"
        return
    chosen = f"by the tag {profile['tag']}" if profile["tag"] else "by default"
    yield f"{profile['name']} (number {profile['number']} on this node), {chosen}"
    yield from profile["rules"]


def _told(moment: str | None) -> str:
    return f"as they were at {_date(float(moment))}" if moment else "as they were when the tap came up"


def profiles(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `profiles`: a table, and the rules of each in words."""
    known = list(found)
    rows = [[_profile_cell(facts, name) for name in _PROFILES] for facts in known if "error" not in facts]
    yield from columns([[name.upper() for name in _PROFILES], *rows])
    for facts in known:
        yield ""
        yield clean(f"{facts['profile']}:" + (f" {facts['error']}" if "error" in facts else ""))
        for rule in facts.get("rules", ()):
            yield clean(f"  {rule}")


def findings(found: Iterable[Facts], count: int) -> Iterator[str]:
    """The answer to `check` of so many taps."""
    known = list(found)
    if not known:
        yield f"{count} taps: all that must stand does, and nothing more"
    for finding in known:
        where = f"{finding['tap']}: " if finding["tap"] else ""
        yield clean(f"{where}{finding['found']}")
        yield clean(f"    {finding['todo']}")


def errors(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `profiles --check`."""
    yield from (clean(one["error"]) for one in found)


def undone(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `reap`."""
    for one in found:
        yield clean(f"{one['tap']} of {one['instance'] or 'an instance without a name'}: undone:")
        yield from (clean(f"  {line}") for line in one["undone"])


def bridged(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `bridges up` and `bridges down`."""
    for one in found:
        yield clean(f"ip {one['did']}" if "did" in one else f"{one['kept']} stays: {one['why']}")


def explanation(facts: Facts) -> Iterator[str]:
    """The answer to `explain`."""
    way = "to" if facts["direction"] == "in" else "from"
    yield clean(f"A packet {way} {facts['tap']} of {facts['instance']}: {_values(facts['said'])}")
    if facts["assumed"]:
        yield clean(f"  assumed:    {_values(facts['assumed'])}")
    for met in facts["met"]:
        yield clean(f"  {met['stage'] + ':':<11} {met['words']}{' (passes)' if met['verdict'] == 'pass' else ''}")
        if met["verdict"]:
            yield clean(f"              {met['table']} {met['chain']}: {met['rule']}")
    yield clean(f"  {facts['verdict'].upper()}: {facts['why']}")


def bridges(found: Iterable[Facts]) -> Iterator[str]:
    """The answer to `bridges show`."""
    ordered = sorted(found, key=lambda facts: natural(facts["bridge"]))
    rows = [[_bridge_cell(facts, name) for name in _BRIDGES] for facts in ordered]
    yield from columns([[name.upper() for name in _BRIDGES], *rows])


def _cell(facts: Facts, name: str) -> object:
    if name == "nic":
        return facts["nic"]["index"]
    if name == "profile":
        return facts["profile"] and facts["profile"]["name"]
    if name == "since":
        return _date(facts["since"])
    value = facts[name]
    return _list(value) if isinstance(value, list) else value


def _profile_cell(facts: Facts, name: str) -> object:
    return facts[name]


def _bridge_cell(facts: Facts, name: str) -> object:
    return {**facts, "state": "up" if facts["up"] else "down", "ports": _list(facts["ports"])}[name]


def _values(values: Mapping[str, str]) -> str:
    return _list(f"{name}={value}" for name, value in values.items()) or "not described"


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def _date(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
