"""The host that serves: a bridge with the networks' router on it, taps, and the daemon, run as its unit runs it."""

from __future__ import annotations

import socket

from ganeti_ext import binding
from lab import layer
from tests.lab.clients.box import PATIENCE, Box, Program
from tests.lab.clients.wire import Wire

SUBNET, GATEWAY = "192.0.2.0/24", "192.0.2.1"
SUBNET6, GATEWAY6, ROUTER6 = "2001:db8:1::/64", "fe80::1", "2001:db8:1::1"
MAC = "02:00:00:00:00:b0"  # of the bridge, which answers for the router
MTU = 1400
NAMESERVERS, NAMESERVERS6 = ["192.0.2.53", "198.51.100.53"], ["2001:db8:1::53", "2001:db8:2::53"]
NTP = ["192.0.2.123"]
DOMAIN, SEARCH = "guests.example", ["guests.example", "site.example"]
ROUTE, ROUTE_BY = "203.0.113.0/24", "192.0.2.9"
LEASE = 3600

_RENEW = 5  # RFC 8415, 7.3
_DAEMON = f"{layer.HERE}/nfdhcpd/nfdhcpd"
_CONFIG = "/etc/ganeti-ext/nfdhcpd.conf"
_SETTINGS = f"""\
[guests]
lease = {LEASE}
nameservers = {" ".join(NAMESERVERS + NAMESERVERS6)}
ntp = {" ".join(NTP)}
domain = {DOMAIN}
search = {" ".join(SEARCH)}
routes = {ROUTE}@{ROUTE_BY}
"""


class Host(Box):
    """`daemon` is nfdhcpd, made when it says that it is ready."""

    def __init__(self, lowerdir: str) -> None:
        super().__init__("host", lowerdir)
        self._taps = 0
        self.ip(
            f"link add br0 address {MAC} type bridge mcast_snooping 0",
            "link set br0 up",
            "link add sink type bridge",  # without a port: where frames go to be lost
            "link set sink addrgenmode none",
            "link set sink up",
            f"address add {GATEWAY}/24 dev br0",
            f"address add {ROUTER6}/64 dev br0 nodad",
            f"address add {GATEWAY6}/64 dev br0 nodad",
        )
        for folder in (binding.DIRECTORY, "/run/nfdhcpd"):
            self.path(folder).mkdir(parents=True)
        self.write(_CONFIG, _SETTINGS)
        self.run(_DAEMON, "--config", _CONFIG, "--divert")
        self.daemon = self._serve()

    def tap(self) -> tuple[str, int]:
        """The name of a new tap, and the number in it."""
        self._taps += 1
        return f"tap{self._taps}", self._taps

    def plug(self, tap: str, number: int, nic: str) -> Wire:
        """Make a tap, and the guest's side of it by the words of `nic` for ip(8); a look at what passes between them.

        A tap has its carrier whatever the guest does to its NIC; a veth has not, so two of them are joined. On the
        way all is seen, even what a program sends past the tap's queue.
        """
        one, other = f"plug{number}", f"cable{number}"
        self.ip(f"link add {tap} type veth peer name {one}", nic.format(cable=other))
        self.ip(*(f"link set {name} addrgenmode none" for name in (tap, one, other)))
        self.ip(*(f"link set {name} up" for name in (one, other)))
        self.tc(f"qdisc add dev {one} clsact", f"qdisc add dev {other} clsact")
        all_to = "u32 match u32 0 0 action mirred egress redirect dev"
        self.tc(*(f"filter add dev {a} ingress protocol all {all_to} {b}" for a, b in ((one, other), (other, one))))
        return Wire(self, one, tap)

    def bind(self, terms: binding.Binding) -> None:
        """Leave a tap's binding, as the interface script does."""
        index = int(self.run("cat", f"/sys/class/net/{terms.tap}/ifindex"))
        binding.write(terms._replace(ifindex=index), str(self.path(binding.DIRECTORY)))

    def deafen(self, tap: str) -> None:
        """Lose what the guest behind this tap asks of its own server alone: it has to ask all, which is to rebind."""
        mine = f"match ip protocol 17 0xff match ip dport 67 0xffff match ip dst {GATEWAY}"
        mine6 = f"match ip6 dport 547 0xffff match u8 {_RENEW} 0xff at 48"
        lose = "action mirred egress redirect dev sink"
        self.tc(
            f"qdisc add dev {tap} clsact",
            f"filter add dev {tap} ingress protocol ip prio 1 u32 {mine} {lose}",
            f"filter add dev {tap} ingress protocol ipv6 prio 2 u32 {mine6} {lose}",
        )

    def _serve(self) -> Program:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(self.path("/run/notify")))
            ready.settimeout(PATIENCE)
            daemon = self.start(_DAEMON, "--config", _CONFIG, env=("NOTIFY_SOCKET=/run/notify",))
            assert ready.recv(64) == b"READY=1", daemon.name
        return daemon
