"""busybox udhcpc, with Debian's script."""

from __future__ import annotations

import signal

from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.lease import TELL, Lease, in_effect, told

_SCRIPT = f"""#!/bin/sh
/etc/udhcpc/default.script "$@"
export reason="$1"
{TELL}"""
_WANTED = ("mtu", "search", "ntpsrv", "staticroutes", "hostname")


class Udhcpc:
    """It remembers no address of its own: the one it had is an argument."""

    name = "udhcpc"
    remembers = False
    rapid = False

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._env: dict[str, str] = {}
        guest.write("/etc/udhcpc/told", _SCRIPT, 0o755)

    def start(self, *arguments: str) -> None:
        wanted = [word for name in _WANTED for word in ("-O", name)]
        script = ["-s", "/etc/udhcpc/told", "-x", f"hostname:{self.guest.name}"]
        self._client = self.guest.start("udhcpc", "-f", "-i", NIC, "-T", "1", *script, *wanted, *arguments)

    def bound(self) -> None:
        self._env = told(self._client, "bound|renew")

    def renew(self) -> None:
        self._client.signal(signal.SIGUSR1)

    def release(self) -> None:
        self._client.signal(signal.SIGUSR2)

    def lease(self) -> Lease:
        env = self._env
        # Debian's script leaves these routes alone.
        words = env.get("staticroutes", "").split()
        pairs = zip(words[::2], words[1::2], strict=True)
        routes = {to: by for to, by in pairs if to != "0.0.0.0/0" and by != "0.0.0.0"}
        return in_effect(
            self.guest, routes=routes, hostname=env["hostname"], mtu=int(env["mtu"]), ntp=env.get("ntpsrv", "").split()
        )
