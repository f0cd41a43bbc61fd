"""dhcpcd, as Debian sets it up."""

from __future__ import annotations

from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.lease import TELL, Lease, of_hook, told

_CONFIG = "/etc/dhcpcd.conf"


class Dhcpcd:
    """Without the seconds that it waits at random and probes the wire by ARP for."""

    name = "dhcpcd"
    remembers = True
    rapid = False
    family = 4

    def __init__(self, guest: Guest, *, probe: bool = False, more: str = "") -> None:
        self.guest = guest
        self._env: dict[str, str] = {}
        guest.write(_CONFIG, guest.path(_CONFIG).read_text() + ("" if probe else "noarp\n") + more)
        guest.write("/usr/lib/dhcpcd/dhcpcd-hooks/99-told", TELL)

    def start(self, *arguments: str) -> None:
        self._client = self.guest.start("dhcpcd", "-B", "-d", "--nodelay", f"-{self.family}", *arguments, NIC)

    def bound(self) -> None:
        self._env = told(self._client, "BOUND|RENEW|REBIND|REBOOT")

    def renew(self) -> None:
        self.guest.run("dhcpcd", "-4", "-N", NIC)

    def release(self) -> None:
        self.guest.run("dhcpcd", "-4", "-k", NIC)

    def lease(self) -> Lease:
        return of_hook(self.guest, self._env)
