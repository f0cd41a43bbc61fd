"""A guest: a box of its own behind a tap of the host, whose clients are the test's."""

from __future__ import annotations

import json
from typing import Any

from ganeti_ext.address import eui64
from ganeti_ext.binding import Binding
from tests.lab.clients import host as site
from tests.lab.clients.box import Box
from tests.lab.clients.host import Host

NIC = "eth0"


class Guest(Box):
    """`wire` is its tap, seen from the host; `terms` what its binding says."""

    def __init__(self, host: Host, lowerdir: str, *, routed: bool = False) -> None:
        self.host = host
        tap, number = host.tap()
        super().__init__(f"guest{number}", lowerdir)
        self.write("/etc/machine-id", f"{number:032x}\n")
        self.mac = f"52:54:00:00:00:{number:02x}"
        self.terms = Binding(
            tap=tap,
            mac=self.mac,
            hostname=f"guest{number}.{site.DOMAIN}",
            instance=f"guest{number}",
            indev=tap if routed else "br0",
            ip=f"192.0.2.{9 + number}",
            subnet=site.SUBNET,
            gateway=site.GATEWAY,
            subnet6=site.SUBNET6,
            eui64=eui64(self.mac, site.SUBNET6),
            gateway6=site.GATEWAY6,
            mtu=site.MTU,
        )
        nic = f"link add {{cable}} type veth peer name {NIC} address {self.mac} netns {self.pid}"
        self.wire = host.plug(tap, number, nic)
        host.ip(*(_routed(self.terms) if routed else [f"link set {tap} master br0 up"]))

    def close(self) -> None:
        self.wire.close()
        super().close()
        self.host.ip(f"link delete {self.terms.tap}")

    def reboot(self) -> None:
        """Kill all that runs inside and forget what a reboot forgets; files stay."""
        self.run("sh", "-c", "kill -KILL -1; find /run -mindepth 1 -delete")
        self.run("ip", "link", "set", NIC, "down")
        self.run("ip", "address", "flush", "dev", NIC)
        self.wire.skip()

    def bus(self) -> None:
        """Start the system's D-Bus and what it would start, if it does not run."""
        if not self.path("/run/dbus/system_bus_socket").exists():
            self.run("mkdir", "/run/dbus", "/run/systemd")
            options = ("--nofork", "--nopidfile", "--nosyslog", "--print-address")
            self.start("dbus-daemon", "--system", *options).says("unix:")
            self.start("/usr/lib/systemd/systemd-hostnamed")

    def serve(self, **terms: Any) -> None:
        """Have the daemon serve this guest, by other terms than usual where some are given."""
        self.terms = self.terms._replace(**terms)
        self.host.bind(self.terms)

    def hasten(self) -> None:
        """Give the NIC its addresses at once, without a look for duplicates."""
        self.run("sysctl", f"net.ipv6.conf.{NIC}.accept_dad=0")

    def up(self) -> None:
        """Bring the NIC up, with its link-local address at once and no solicitation of the kernel's own."""
        self.hasten()
        self.run("sysctl", f"net.ipv6.conf.{NIC}.router_solicitations=0")
        self.run("ip", "link", "set", NIC, "up")

    def addresses(self, family: int = 4) -> list[str]:
        """ADDRESS/BITS of its NIC, all but link-local ones."""
        shown = json.loads(self.run("ip", f"-{family}", "-json", "address", "show", "dev", NIC, "scope", "global"))
        infos = [info for link in shown for info in link.get("addr_info", ()) if info]
        return [f"{info['local']}/{info['prefixlen']}" for info in infos]

    def routes(self, family: int = 4) -> dict[str, str]:
        """Where to by which router."""
        shown = json.loads(self.run("ip", f"-{family}", "-json", "route", "show", "dev", NIC))
        return {route["dst"]: route["gateway"] for route in shown if "gateway" in route}


def _routed(terms: Binding) -> list[str]:
    """As the interface script of a routed NIC does: the host is on the way to the guest."""
    tap = terms.tap
    routes = [f"route add {address} dev {tap}" for address in (terms.ip, terms.eui64)]
    return [f"link set {tap} addrgenmode eui64", f"link set {tap} up", *routes]


def begun(client: Any) -> Any:
    """A client that has started and come to its lease."""
    client.start()
    client.bound()
    return client
