"""Clients with short leases, which do by themselves what they do when it is time."""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from tests.lab.clients.dhcp6 import Dhclient6, Dhcpcd6, Networkd6, NetworkManager6
from tests.lab.clients.dhcpcd import Dhcpcd
from tests.lab.clients.guest import Guest
from tests.lab.clients.host import Host
from tests.lab.clients.keep import keep
from tests.lab.clients.networkd import Networkd
from tests.lab.clients.networkmanager import NetworkManager
from tests.lab.clients.wire import Seen


class Kind(NamedTuple):
    """`heard` is whether the server hears what is asked of it alone: where it does not, the guest comes to rebind."""

    client: Any
    heard: bool
    lease: int = 60


# The timers of systemd may be 10 seconds late: with a lease of a minute, renewal and rebinding or rebinding and the end
# would come at once.
KINDS4 = {
    "networkmanager that renews": Kind(NetworkManager, True),
    "networkmanager that rebinds": Kind(NetworkManager, False),
    "networkd that rebinds": Kind(Networkd, False, 90),
    "dhcpcd that rebinds": Kind(Dhcpcd, False),
}
KINDS6 = {
    "dhclient that renews by DHCPv6": Kind(Dhclient6, True),
    "dhclient that rebinds by DHCPv6": Kind(Dhclient6, False),
    "dhcpcd that rebinds by DHCPv6": Kind(Dhcpcd6, False),
    "networkd that renews by DHCPv6": Kind(Networkd6, True, 120),
    "networkd that rebinds by DHCPv6": Kind(Networkd6, False, 120),
    "networkmanager that renews by DHCPv6": Kind(NetworkManager6, True, 120),
}

Elder = Any  # one of the clients


def start(undo: contextlib.ExitStack, lowerdir: str, seen: list[Seen]) -> dict[str, Elder]:
    """Start them all, on a host of their own; frames are left in `seen` when they end."""
    host = undo.enter_context(contextlib.closing(Host(lowerdir)))
    made: dict[str, Elder] = {}
    for name, kind in {**KINDS4, **KINDS6}.items():
        guest = Guest(host, lowerdir)
        undo.callback(guest.close)
        undo.callback(_leave, kind.client.name, guest, seen)
        if not kind.heard:
            host.deafen(guest.terms.tap)
        guest.serve(terms=(("lease", str(kind.lease)), ("ipv6_mode", "dhcpv6")))
        made[name] = kind.client(guest)
        made[name].start()
        made[name].bound()
    return made


def _leave(client: str, guest: Guest, seen: list[Seen]) -> None:
    guest.wire.read()
    seen += guest.wire.frames
    keep(client, guest.wire.frames)
