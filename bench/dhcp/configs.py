"""The same guests, addresses and options in the words of each server.

Every guest has its lease already: that is how a server spends its life.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

from bench.dhcp import topology
from bench.dhcp.bench import Bench
from bench.dhcp.topology import BITS, NETWORK, SERVER_IP, address, mac
from ganeti_ext import binding

LEASE = 7 * 24 * 3600
RESOLVER = "192.0.2.53"
_END = 4_000_000_000  # of the leases that are there at the start, in seconds of Unix time

NFDHCPD = "/etc/ganeti-ext/nfdhcpd.conf"
DNSMASQ = "/etc/bench-dnsmasq.conf"
KEA = "/etc/kea/bench.conf"


def nfdhcpd(bench: Bench, guests: Sequence[int]) -> None:
    """Bindings, and a configuration for IPv4 alone."""
    put(bench, NFDHCPD, "[general]\nlog_level = WARNING\n[ipv6]\nenable = no\n")
    (bench.root / "run/nfdhcpd").mkdir(parents=True, exist_ok=True)
    directory = bench.root / binding.DIRECTORY[1:]
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for guest in guests:
        # Nobody reads yet: without binding.write, which syncs each file to the disk.
        found = bound(bench, guest)
        (directory / found.tap).write_text(binding.render(found), encoding="ascii")


def bind(bench: Bench, guest: int) -> None:
    """Put a guest's binding in place while the daemon runs."""
    binding.write(bound(bench, guest), str(bench.root) + binding.DIRECTORY)


def bound(bench: Bench, guest: int) -> binding.Binding:
    """A guest's binding. MACSPOOF, as perfdhcp's frames come from c0."""
    return binding.Binding(
        tap=f"tap{guest}",
        mac=mac(guest),
        hostname=f"guest{guest}",
        indev=topology.bridge(guest, bench.guests),
        ip=address(guest),
        subnet=f"{NETWORK}/{BITS}",
        gateway=SERVER_IP,
        macspoof=True,
    )


def dnsmasq(bench: Bench, guests: Sequence[int]) -> None:
    """A line for each guest in dhcp-hostsfile; no DNS, no log of each message."""
    lines = [
        "port=0",
        *(f"interface={name}" for name in topology.bridges(bench.guests)),
        f"dhcp-range={NETWORK},static,255.255.0.0,{LEASE}",
        "dhcp-hostsfile=/etc/bench-dnsmasq.hosts",
        f"dhcp-option=option:router,{SERVER_IP}",
        f"dhcp-option=option:dns-server,{RESOLVER}",
        f"dhcp-lease-max={2 * len(guests)}",
        "dhcp-leasefile=/var/lib/misc/bench-dnsmasq.leases",
        "dhcp-authoritative",
        "quiet-dhcp",
        "log-facility=-",
    ]
    put(bench, DNSMASQ, "\n".join(lines) + "\n")
    put(bench, "/etc/bench-dnsmasq.hosts", "".join(f"{mac(n)},{address(n)},guest{n}\n" for n in guests))
    leases = "".join(f"{_END} {mac(n)} {address(n)} guest{n} *\n" for n in guests)
    put(bench, "/var/lib/misc/bench-dnsmasq.leases", leases)


def kea(bench: Bench, guests: Sequence[int]) -> None:
    """Reservations in the subnet, the lease file that it keeps by default; one thread, as it has one core.

    Sockets of UDP, which Kea's manual tells for relayed requests, and no search by other identifiers than the
    hardware address: both make it faster than its defaults.
    """
    reservations = [{"hw-address": mac(n), "ip-address": address(n), "hostname": f"guest{n}"} for n in guests]
    subnet = {
        "id": 1,
        "subnet": f"{NETWORK}/{BITS}",
        "option-data": [{"name": "routers", "data": SERVER_IP}, {"name": "domain-name-servers", "data": RESOLVER}],
        "reservations": reservations,
    }
    settings = {
        "interfaces-config": {"interfaces": topology.bridges(bench.guests), "dhcp-socket-type": "udp"},
        "lease-database": {"type": "memfile", "persist": True, "name": "/var/lib/kea/bench-leases4.csv"},
        "multi-threading": {"enable-multi-threading": False},
        "host-reservation-identifiers": ["hw-address"],
        "valid-lifetime": LEASE,
        "subnet4": [subnet],
        "loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output-options": [{"output": "stderr"}]}],
    }
    put(bench, KEA, json.dumps({"Dhcp4": settings}))
    rows = (f"{address(n)},{mac(n)},,{LEASE},{_END},1,0,0,guest{n},0,,0\n" for n in guests)
    put(bench, "/var/lib/kea/bench-leases4.csv", _COLUMNS + "".join(rows))
    (bench.root / "run/kea").mkdir(parents=True, exist_ok=True)


_COLUMNS = (
    "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n"
)


def put(bench: Bench, path: str, text: str) -> None:
    """Write a file of the root."""
    target = bench.root / path[1:]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="ascii")
