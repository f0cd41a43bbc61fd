"""What a guest came to by router advertisements, with each client that takes them, and what it should have come to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv6Interface, ip_address

from tests.lab.clients import host as site
from tests.lab.clients.dhcpcd import Dhcpcd
from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.lease import told
from tests.lab.clients.networkd import Networkd
from tests.lab.clients.networkmanager import NetworkManager


@dataclass(frozen=True)
class Autoconf:
    """`prefixes` are the networks that there is an address of."""

    prefixes: set[str]
    router: str | None
    mtu: int
    nameservers: list[str]
    search: list[str]


EXPECTED = Autoconf({site.SUBNET6}, site.GATEWAY6, site.MTU, site.NAMESERVERS6, site.SEARCH)


def in_effect(guest: Guest, nameservers: list[str], search: list[str]) -> Autoconf:
    """As the guest's kernel has it; the MTU is that of the NIC or of the way to the router."""
    routes = json.loads(guest.run("ip", "-6", "-json", "route", "show", "dev", NIC))
    mtus = [metric["mtu"] for route in routes for metric in route.get("metrics", ()) if "mtu" in metric]
    mtus.append(int(guest.run("cat", f"/proc/sys/net/ipv6/conf/{NIC}/mtu")))
    prefixes = {str(IPv6Interface(address).network) for address in guest.addresses(6)}
    return Autoconf(prefixes, guest.routes(6).get("default"), min(mtus), nameservers, search)


class Kernel:
    """Linux by itself, which knows nothing of name servers: they are taken as right."""

    name = "kernel"

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    def start(self) -> None:
        self._monitor = self.guest.start("ip", "-6", "monitor", "address", "route")
        self.guest.run("ip", "link", "set", NIC, "up")

    def configured(self, *, router: bool = True) -> None:
        if router:
            self._monitor.says("^default via")
        self._monitor.says(r"inet6 2001:db8:\S+ .*\n")

    def autoconf(self) -> Autoconf:
        return in_effect(self.guest, site.NAMESERVERS6, site.SEARCH)


class DhcpcdSlaac(Dhcpcd):
    """dhcpcd for IPv6; its addresses are those of RFC 7217."""

    family = 6

    def configured(self) -> None:
        self._env = told(self._client, "ROUTERADVERT")

    def autoconf(self) -> Autoconf:
        words = [line.split() for line in self.guest.path("/etc/resolv.conf").read_text().splitlines()]
        servers = [word[1] for word in words if word[0] == "nameserver"]
        return in_effect(self.guest, servers, next(word[1:] for word in words if word[0] == "search"))


class NetworkdSlaac(Networkd):
    """systemd-networkd for IPv6."""

    network = "DHCP=no\nIPv6AcceptRA=yes\n[IPv6AcceptRA]\nUseDomains=yes"

    def configured(self) -> None:
        self._client.says("State changed: configuring -> configured")

    def autoconf(self) -> Autoconf:
        status = self.status()
        servers = [ip_address(bytes(one["Address"])) for one in status["DNS"] if one["ConfigSource"] == "NDisc"]
        search = [one["Domain"] for one in status["SearchDomains"] if one["ConfigSource"] == "NDisc"]
        # It keeps both as sets.
        return in_effect(self.guest, [str(server) for server in sorted(servers)], sorted(search))


class NetworkManagerSlaac(NetworkManager):
    """NetworkManager for IPv6."""

    method4 = "disabled"

    def configured(self) -> None:
        self.bound()

    def autoconf(self) -> Autoconf:
        lines = self.shown("IP6")
        servers = [text for name, text in lines.items() if name.startswith("IP6.DNS")]
        return in_effect(self.guest, servers, [text for name, text in lines.items() if name.startswith("IP6.SEARCHES")])


CLIENTS = (Kernel, DhcpcdSlaac, NetworkdSlaac, NetworkManagerSlaac)
