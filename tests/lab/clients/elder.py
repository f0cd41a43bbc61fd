"""Clients that renew when it is time alone, with leases of a minute."""

from __future__ import annotations

import contextlib
from typing import Any

from tests.lab.clients.dhcpcd import Dhcpcd
from tests.lab.clients.guest import Guest
from tests.lab.clients.host import Host
from tests.lab.clients.networkd import Networkd
from tests.lab.clients.networkmanager import NetworkManager
from tests.lab.clients.wire import Seen

LEASE, RENEWAL, REBINDING = 60, 30, 52.5

# Whether the server hears what is sent to it alone: where it does not, the guest comes to rebind.
_KINDS: dict[str, tuple[type, bool]] = {
    "networkmanager that renews": (NetworkManager, True),
    "networkmanager that rebinds": (NetworkManager, False),
    "networkd that rebinds": (Networkd, False),
    "dhcpcd that rebinds": (Dhcpcd, False),
}
NAMES = tuple(_KINDS)

Elder = Any  # one of the clients


def start(undo: contextlib.ExitStack, lowerdir: str, seen: list[Seen]) -> dict[str, Elder]:
    """Start them all, on a host of their own; frames are left in `seen` when they end."""
    host = undo.enter_context(contextlib.closing(Host(lowerdir)))
    made: dict[str, Elder] = {}
    for name, (client, heard) in _KINDS.items():
        guest = Guest(host, lowerdir)
        undo.callback(guest.close)
        undo.callback(_keep, guest, seen)
        if not heard:
            host.deafen(guest.terms.tap)
        guest.serve(terms=(("lease", str(LEASE)),))
        made[name] = client(guest)
        made[name].start()
        made[name].bound()
    return made


def _keep(guest: Guest, seen: list[Seen]) -> None:
    guest.wire.read()
    seen += guest.wire.frames
