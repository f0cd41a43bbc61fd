"""DHCPv6 clients; `goal` says what each is after: an address, information alone, or a prefix for others."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import ClassVar

from tests.lab.clients.dhcpcd import Dhcpcd
from tests.lab.clients.guest import NIC, Guest
from tests.lab.clients.lease import TELL, environment, told
from tests.lab.clients.networkd import Networkd
from tests.lab.clients.networkmanager import NetworkManager

ADDRESS, INFORMATION, PREFIX = "address", "information", "prefix"


@dataclass(frozen=True)
class Lease6:
    """What a guest came to."""

    addresses: list[str]
    prefix: str | None
    nameservers: list[str]
    search: list[str]


def lease(guest: Guest, prefix: str, nameservers: str, search: str) -> Lease6:
    """The addresses of one alone that the kernel has, and what was told, separated by blanks."""
    return Lease6(
        addresses=[address for address in guest.addresses(6) if address.endswith("/128")],
        prefix=str(ip_network(prefix)) if prefix else None,
        nameservers=[str(ip_address(server)) for server in nameservers.split()],
        search=[name.rstrip(".") for name in search.split()],
    )


class Dhclient6:
    """ISC dhclient."""

    name = "dhclient"
    rapid = False
    remembers = True
    _option: ClassVar = {ADDRESS: (), INFORMATION: ("-S",), PREFIX: ("-P",)}

    def __init__(self, guest: Guest, goal: str = ADDRESS) -> None:
        self.guest = guest
        self._goal = goal
        guest.write("/etc/dhcp/dhclient-exit-hooks.d/told", TELL)

    def start(self) -> None:
        self.guest.up()
        self._client = self.guest.start("dhclient", "-6", *self._option[self._goal], "-d", "-v", NIC)

    def bound(self) -> None:
        self._env = told(self._client, "BOUND6|RENEW6|REBIND6|REBOOT6")

    def release(self) -> None:
        self.guest.run("dhclient", "-6", "-r", NIC)

    def lease(self) -> Lease6:
        env = self._env
        prefix = env.get("new_ip6_prefix", "")
        return lease(self.guest, prefix, env["new_dhcp6_name_servers"], env["new_dhcp6_domain_search"])


class Udhcpc6:
    """busybox udhcpc6, whose script is for everyone to write."""

    name = "udhcpc6"
    rapid = False
    remembers = False
    _option: ClassVar = {ADDRESS: (), INFORMATION: ("-l",), PREFIX: ("-d",)}
    _script = f"""#!/bin/sh
case $1 in
bound|renew) [ -z "$ipv6" ] || ip address replace "$ipv6/128" dev "$interface";;
deconfig) ip -6 address flush dev "$interface" scope global;;
esac
export reason="$1"
{TELL}"""

    def __init__(self, guest: Guest, goal: str = ADDRESS) -> None:
        self.guest = guest
        self._goal = goal
        guest.write("/etc/udhcpc/told6", self._script, 0o755)

    def start(self) -> None:
        self.guest.up()
        command = ["busybox", "udhcpc6", "-f", "-i", NIC, "-s", "/etc/udhcpc/told6", "-O", "search"]
        self._client = self.guest.start(*command, *self._option[self._goal])

    def bound(self) -> None:
        self._env = told(self._client, "bound|renew")

    def renew(self) -> None:
        self._client.signal(signal.SIGUSR1)

    def release(self) -> None:
        self._client.signal(signal.SIGUSR2)

    def lease(self) -> Lease6:
        env = self._env
        return lease(self.guest, env.get("ipv6prefix", ""), env["dns"], env["search"])


class Dhcpcd6(Dhcpcd):
    """dhcpcd for IPv6: it does what the router advertisement says, or what is configured."""

    family = 6
    _config: ClassVar = {ADDRESS: "", INFORMATION: "", PREFIX: f"interface {NIC}\nia_pd 1\n"}

    def __init__(self, guest: Guest, goal: str = ADDRESS, *, probe: bool = False) -> None:
        super().__init__(guest, probe=probe, more=self._config[goal])
        if not probe:
            guest.hasten()

    def bound(self) -> None:
        self._env = told(self._client, "BOUND6|INFORM6|RENEW6|REBIND6|REBOOT6")

    def renew(self) -> None:
        self.guest.run("dhcpcd", "-6", "-N", NIC)

    def release(self) -> None:
        self.guest.run("dhcpcd", "-6", "-k", NIC)

    def lease(self) -> Lease6:  # type: ignore[override]
        env = self._env
        prefix = env.get("new_dhcp6_ia_pd1_prefix1", "")
        length = env.get("new_dhcp6_ia_pd1_prefix1_length")
        prefix = f"{prefix}/{length}" if prefix else ""
        return lease(self.guest, prefix, env["new_dhcp6_name_servers"], env["new_dhcp6_domain_search"])


class Networkd6(Networkd):
    """systemd-networkd for IPv6: it does what the router advertisement says, and asks for a prefix too."""

    network = "DHCP=no\nIPv6AcceptRA=yes\n[IPv6AcceptRA]\nUseDNS=no\n[DHCPv6]\nUseDomains=yes"

    def __init__(self, guest: Guest, goal: str = ADDRESS) -> None:
        super().__init__(guest)
        self._goal = goal
        guest.hasten()

    def bound(self) -> None:
        # Information alone changes no address or route.
        informed = r"DHCPv6 client: State changed: information-request -> "
        self._client.says(informed if self._goal == INFORMATION else "DHCPv6 addresses and routes set")

    def lease(self) -> Lease6:  # type: ignore[override]
        status = self.status()
        servers = [IPv6Address(bytes(one["Address"])) for one in status["DNS"] if one["ConfigSource"] == "DHCPv6"]
        search = [one["Domain"] for one in status["SearchDomains"] if one["ConfigSource"] == "DHCPv6"]
        prefixes = status["DHCPv6Client"].get("Prefixes", ()) if self._goal == PREFIX else ()
        found = [f"{IPv6Address(bytes(one['Prefix']))}/{one['PrefixLength']}" for one in prefixes]
        return lease(self.guest, "".join(found), " ".join(map(str, servers)), " ".join(search))


class NetworkManager6(NetworkManager):
    """NetworkManager for IPv6: it does what the router advertisement says."""

    rapid = True
    method4 = "disabled"

    def __init__(self, guest: Guest, _goal: str = ADDRESS) -> None:
        super().__init__(guest)
        guest.hasten()

    def lease(self) -> Lease6:  # type: ignore[override]
        lines = self.shown("DHCP6")
        found = dict(text.split(" = ", 1) for text in lines.values())
        return lease(self.guest, "", found["dhcp6_name_servers"], found["dhcp6_domain_search"])


class Dhcp6c:
    """The WIDE client; with a delegated prefix it numbers lo."""

    name = "dhcp6c"
    rapid = True
    remembers = False
    _send: ClassVar = {
        ADDRESS: "send ia-na 0; send rapid-commit;",
        INFORMATION: "information-only;",
        PREFIX: "send ia-pd 1; send rapid-commit;",
    }
    _config = f"""\
interface {NIC} {{{{ {{send}} request domain-name-servers, domain-name; script "/etc/told6"; }}}};
id-assoc na 0 {{{{ }}}};
id-assoc pd 1 {{{{ prefix-interface lo {{{{ sla-id 0; sla-len 8; ifid 1; }}}}; }}}};
"""

    def __init__(self, guest: Guest, goal: str = ADDRESS) -> None:
        self.guest = guest
        self._goal = goal
        self._prefix = ""
        # It closes its script's output.
        guest.write("/etc/told6", f"#!/bin/sh\nexec > /run/told6\n{TELL}", 0o755)
        guest.write("/etc/wide-dhcpv6/dhcp6c.conf", self._config.format(send=self._send[goal]))

    def start(self) -> None:
        self.guest.up()
        self._client = self.guest.start("dhcp6c", "-f", "-D", NIC)

    def bound(self) -> None:
        if self._goal == PREFIX:
            self._prefix = self._client.says(r"IA_PD prefix: (\S+) ").group(1)
        self._client.says('script "/etc/told6" terminated')

    def release(self) -> None:
        self._client.signal(signal.SIGTERM)

    def lease(self) -> Lease6:
        env = environment(self.guest.path("/run/told6").read_text())
        return lease(self.guest, self._prefix, env["new_domain_name_servers"], env["new_domain_name"])
