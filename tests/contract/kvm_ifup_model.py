"""What must be set for guests: a model that knows nothing of how it is done."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from ganeti_ext.address import eui64, link_local
from tests.contract.kvm_ifup_node import PATH
from tests.contract.kvm_ifup_site import TABLE, TAP_MAC

SPOOF, ALLOW = "ganeti-ext:spoof-allowed", "ganeti-ext:allow-address:"
DROP = ("protected", "limited")
BRIDGE_MAC = "02:00:00:00:00:b0"
GATEWAY6 = "fe80::1"


class Nic(NamedTuple):
    """One NIC, the instance's nth from 0: `kind` is bridged, filtered, routed or ip-less."""

    instance: str
    number: int
    kind: str
    mac: str
    ip: str
    subnet6: str

    def env(self, tap: str, tags: str) -> dict[str, str]:
        """What Ganeti says of it."""
        mode = "bridged" if self.kind in ("bridged", "filtered") else "routed"
        more = {"filtered": " private-filtered", "ip-less": " ip-less-routed"}.get(self.kind, "")
        return {
            "PATH": PATH,
            "INTERFACE": tap,
            "INTERFACE_INDEX": str(self.number),
            "INTERFACE_UUID": f"{self.instance}/{self.number}",
            "INSTANCE": self.instance,
            "MAC": self.mac,
            "IP": self.ip,
            "MODE": mode,
            "LINK": "br0" if mode == "bridged" else TABLE,
            **({"BRIDGE": "br0"} if mode == "bridged" else {}),
            "TAGS": tags,
            "NETWORK_NAME": self.kind,
            "NETWORK_UUID": f"uuid of {self.kind}",
            "NETWORK_SUBNET": f"{self.ip}/24",
            "NETWORK_SUBNET6": self.subnet6,
            "NETWORK_GATEWAY6": GATEWAY6 if self.subnet6 else "",
            "NETWORK_TAGS": f"nfdhcpd{more}",
        }


class Up(NamedTuple):
    """A tap that is set up: `began` are the tags that it came up with, `tags` those told last."""

    nic: Nic
    tap: str
    ifindex: int
    began: str
    tags: str


def expected(up: Up, marks: dict[str, int]) -> set[str]:
    """All lines of kvm_ifup_set.for_taps for one tap. `marks` are the numbers of profiles."""
    found = {f"/run/ganeti-ext/taps/{up.tap}"}
    if profile(up) in DROP:
        found |= _profile(up, f"goto mark_{marks[profile(up)]}")
    if _addresses(up.nic, up.tags):
        found.add(f"/var/lib/nfdhcpd/{up.tap}")
    if SPOOF not in up.tags.split():
        found |= {f"netdev {line}" for line in _said(up)} | {f"netdev chain port_{up.ifindex}"}
    if up.nic.kind == "filtered":
        first = up.nic.mac[:7]
        peers = f"{first}0:00:00:00-{first}f:ff:ff:ff"
        found |= {f"bridge filtered {up.tap}", f"bridge peers {up.tap} . {peers}"}
    return found | _routing(up)


def profile(up: Up) -> str:
    """The firewall profile that the tags say."""
    heads = f"ganeti-ext:firewall.{up.nic.number}:", f"synnefo:network:{up.nic.number}:", "ganeti-ext:firewall:"
    return next((tag[len(head) :] for head in heads for tag in up.tags.split() if tag.startswith(head)), "unprotected")


def binding(up: Up) -> dict[str, str]:
    """The lines of the binding that depend on the tags, and those that say whose it is."""
    own = _addresses(up.nic, up.tags)
    leases = [tag.rpartition(":")[2] for tag in up.tags.split() if tag.startswith("nfdhcpd:lease:")]
    return {
        "MAC": up.nic.mac,
        "INSTANCE": up.nic.instance,
        "IFINDEX": str(up.ifindex),
        "INDEV": "br0" if up.nic.kind in ("bridged", "filtered") else up.tap,
        "IP": own.get(4, ""),
        "EUI64": own.get(6, ""),
        "MACSPOOF": "yes" if SPOOF in up.tags.split() else "",
        "LEASE": leases[0] if leases else "",
    }


def _addresses(nic: Nic, tags: str) -> dict[int, str]:
    """Its addresses by IP version."""
    found = {}
    if nic.ip and "disable_ipv4" not in tags.split():
        found[4] = nic.ip
    if nic.subnet6 and "disable_ipv6" not in tags.split():
        found[6] = eui64(nic.mac, nic.subnet6)
    return found


def _said(up: Up) -> set[str]:
    own = _addresses(up.nic, up.tags)
    found = {f"macs {up.tap} . {up.nic.mac}"}
    allowed = (ipaddress.IPv4Network(tag[len(ALLOW) :]) for tag in up.tags.split() if tag.startswith(ALLOW))
    found |= {f"ip4_more {up.tap} . {net}" for net in ipaddress.collapse_addresses(allowed)}
    if 4 in own:
        found.add(f"ip4 {up.tap} . {own[4]}")
    if 6 not in own:
        return found
    router = BRIDGE_MAC if up.nic.kind in ("bridged", "filtered") else TAP_MAC
    found |= {f"ip6_taps {up.tap}", f"ip6_source {up.tap} . {own[6]}", f"ip6_target {up.tap} . {_hex(own[6])}"}
    found |= {f"ip6_prefix {up.tap} . {prefix}" for prefix in _delegated(up.tags)}
    return found | {f"ip6_router {up.tap} . {_hex(address)}" for address in (GATEWAY6, link_local(router))}


def _profile(up: Up, verdict: str) -> set[str]:
    if up.nic.kind in ("routed", "ip-less"):
        return {f"inet profile {up.tap} : {verdict}"}
    shared = _addresses(up.nic, up.tags) if up.nic.kind == "bridged" else {}
    by_address = {f"inet profile_ip{version} br0 . {address} : {verdict}" for version, address in shared.items()}
    return {f"bridge profile {up.tap} : {verdict}", *by_address}


def _routing(up: Up) -> set[str]:
    """Steps are run when a tap comes up, so the tags that it came up with count."""
    if up.nic.kind in ("bridged", "filtered"):
        return set()
    found = set()
    own = _addresses(up.nic, up.began)
    for version, address in own.items():
        scope = "proto static scope link" if version == 4 else "proto static metric 1024 pref medium"
        found |= {f"route{version} {address} dev {up.tap} table {TABLE} {scope}"}
        found |= {f"rule{version} from all iif {up.tap} lookup {TABLE}"}
        if up.nic.kind == "ip-less":
            found.add(f"proxy {address} dev eth0 proxy")
    for prefix in _delegated(up.began) if 6 in own else ():
        route = f"{prefix} via {own[6]} dev {up.tap} table {TABLE} proto static metric 1024 onlink pref medium"
        found.add(f"route6 {route}")
    return found


def _delegated(tags: str) -> list[str]:
    return [tag.partition("prefix6:")[2] for tag in tags.split() if tag.startswith("nfdhcpd:prefix6:")]


def _hex(address: str) -> str:
    return f"0x{int(ipaddress.IPv6Address(address)):032x}"


def words(up: Up) -> set[str]:
    """By one of these one knows a line that is of this tap, or was."""
    return {up.tap, f"port_{up.ifindex}", *_addresses(up.nic, up.began).values(), *_addresses(up.nic, up.tags).values()}
