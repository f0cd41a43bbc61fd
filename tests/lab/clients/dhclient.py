"""ISC dhclient, with Debian's script and hooks."""

from __future__ import annotations

from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.lease import TELL, Lease, of_hook, told

_CONFIG = "/etc/dhcp/dhclient.conf"


class Dhclient:
    """It has no signal for a renewal: what the server says of times is overruled."""

    name = "dhclient"
    remembers = True
    rapid = False

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._env: dict[str, str] = {}
        guest.write("/etc/dhcp/dhclient-exit-hooks.d/told", TELL)

    def start(self, *arguments: str) -> None:
        self._client = self.guest.start("dhclient", "-4", "-d", "-v", *arguments, NIC)

    def bound(self) -> None:
        self._env = told(self._client, "BOUND|RENEW|REBIND|REBOOT")
        self._client.says("^bound to ")  # and has written so down

    def renew(self) -> None:
        """Begin again, and renew after four seconds, rebind after six: its script writes resolv.conf anew each time."""
        config = self.guest.path(_CONFIG).read_text()
        times = "supersede dhcp-renewal-time 4;\nsupersede dhcp-rebinding-time 6;\n"
        self.guest.write(_CONFIG, config + times)
        self.guest.reboot()
        self.guest.wire.skip()
        self.start()

    def release(self) -> None:
        self.guest.run("dhclient", "-4", "-r", NIC)

    def lease(self) -> Lease:
        return of_hook(self.guest, self._env)
