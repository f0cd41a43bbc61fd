"""systemd-networkd, by itself on a bus of its own."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import Any

from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.lease import Lease, in_effect

_NETWORK = f"""\
[Match]
Name={NIC}
[Network]
{{network}}
[DHCPv4]
UseDomains=yes
UseMTU=yes
RoutesToDNS=no
RoutesToNTP=no
{{dhcp4}}
"""


class Networkd:
    """It keeps no lease over a reboot: the address to begin with is configured, as for one in an initrd."""

    name = "networkd"
    remembers = True
    rapid = True
    network = "DHCP=ipv4"

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._address = ""

    def start(self) -> None:
        self.guest.bus()
        self._configure(self.network, f"RequestAddress={self._address}" if self._address else "")
        env = ("SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console")
        self._client = self.guest.start("/usr/lib/systemd/systemd-networkd", env=env)

    def bound(self) -> None:
        self._client.says("DHCPv4 address and routes set")
        (self._address,) = (address.partition("/")[0] for address in self.guest.addresses())

    def renew(self) -> None:
        self.guest.run("networkctl", "renew", NIC)

    def release(self) -> None:
        self._configure("DHCP=no\nIPv6AcceptRA=no")
        self.guest.run("networkctl", "reload")
        self._client.says("State changed: configuring -> configured")

    def status(self) -> dict[str, Any]:
        """What networkd knows of the NIC."""
        found: dict[str, Any] = json.loads(self.guest.run("networkctl", "--json=short", "status", NIC))
        return found

    def _configure(self, network: str, dhcp4: str = "") -> None:
        self.guest.write(f"/etc/systemd/network/{NIC}.network", _NETWORK.format(network=network, dhcp4=dhcp4))

    def lease(self) -> Lease:
        status = self.status()
        saved = self.guest.path(f"/run/systemd/netif/leases/{status['Index']}").read_text()
        lines = dict(line.partition("=")[::2] for line in saved.splitlines())
        return in_effect(
            self.guest,
            nameservers=_told(status, "DNS"),
            domain=lines["DOMAINNAME"],
            search=lines["DOMAIN_SEARCH_LIST"].split(),
            hostname=lines["HOSTNAME"],
            mtu=int(lines["MTU"]),
            ntp=_told(status, "NTP"),
        )


def _told(status: dict[str, Any], what: str) -> list[str]:
    """Addresses that DHCPv4 told."""
    return [str(ip_address(bytes(one["Address"]))) for one in status.get(what, ()) if one["ConfigSource"] == "DHCPv4"]
