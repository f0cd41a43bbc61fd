"""A tap whose record is planned as kvm-vif-bridge would, and verdicts on packets to it and from it."""

from __future__ import annotations

from ganeti_ext.nicenv import Nic
from kvm_ifup import explain, packet, plan, profiles, required
from kvm_ifup.explain import Met, Seen
from kvm_ifup.modes import Facts, Link
from kvm_ifup.packet import Guest
from kvm_ifup.plan import Firewall
from kvm_ifup.profile import DROP, Profile
from kvm_ifup.settings import Settings
from kvm_ifup.state import Record

MAC, IP, IP6 = "52:54:00:00:00:01", "10.0.0.5", "2001:db8::5054:ff:fe00:1"
PEER, HOST = "52:54:00:00:00:02", "02:00:00:00:00:b0"
GUEST = Guest(MAC, IP, IP6, PEER, HOST, routed=False)
ROUTED = Guest(MAC, IP, IP6, PEER, HOST, routed=True)
ENV = {
    "INTERFACE": "tap0",
    "INTERFACE_INDEX": "0",
    "INTERFACE_UUID": "nic-1",
    "INSTANCE": "gx-1.example.org",
    "MAC": MAC,
    "IP": IP,
    "MODE": "bridged",
    "LINK": "br0",
    "BRIDGE": "br0",
    "TAGS": "",
    "NETWORK_NAME": "net1",
    "NETWORK_UUID": "n-1",
    "NETWORK_SUBNET": "10.0.0.0/24",
    "NETWORK_GATEWAY": "10.0.0.1",
    "NETWORK_SUBNET6": "2001:db8::/64",
    "NETWORK_GATEWAY6": "fe80::1",
    "NETWORK_TAGS": "nfdhcpd",
}
TAP, BRIDGE = Link("tap0", 12, "9a:11:22:33:44:55", 1500), Link("br0", 3, HOST, 1400)


def record(name: str = "unprotected", /, zone: int | None = None, **env: str) -> Record:
    """The record of tap0, with a firewall profile and other variables than ENV."""
    found = {**ENV, **env}
    nic = Nic.from_env(found)
    firewall = Firewall(name, 3, drops=profiles.load(name).new == DROP, text="", zone=zone)
    facts = Facts(TAP, BRIDGE if nic.mode == "bridged" else None)
    return plan.plan(found, nic, facts, firewall, Settings()).record


def ask(
    of: Record,
    direction: str,
    words: str,
    *,
    seen: Seen = Seen(),  # noqa: B008 (immutable)
    settings: Settings = Settings(),  # noqa: B008
    own: Profile | None = None,
) -> tuple[str, list[Met]]:
    """The verdict and what was met; `own` is a profile in the place of the record's."""
    guest = ROUTED if of.env["MODE"] == "routed" else GUEST
    name = of.firewall.profile if of.firewall else ""
    used = {name: own or profiles.load(name)} if name else {}
    numbered = required.numbered([of], used)
    text = required.text([of], numbered, settings, {})
    described = packet.parse(direction, words.split(), guest)
    return explain.explain(of, text, described, seen, required.legacy(numbered, settings))
