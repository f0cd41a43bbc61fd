"""What the clients said, for tests that cannot run them: one file for each client and message, from the IP header on.

    KEEP=1 .venv/bin/python -m pytest tests/lab/clients

writes them anew to tests/data/nfdhcpd/captured.
"""

from __future__ import annotations

import os
from pathlib import Path

from scapy.layers import dhcp6
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RS, IPv6
from scapy.packet import Packet

from tests.lab.clients.messages import DECLINE, DISCOVER, INFORM, RELEASE, REQUEST, options
from tests.lab.clients.wire import Seen

FOLDER = Path(__file__).parents[2] / "data/nfdhcpd/captured"

_FOUR = {DISCOVER: "discover", RELEASE: "release", DECLINE: "decline", INFORM: "inform"}
_SIX = {
    dhcp6.DHCP6_Solicit: "solicit",
    dhcp6.DHCP6_Request: "request6",
    dhcp6.DHCP6_Confirm: "confirm",
    dhcp6.DHCP6_Renew: "renew6",
    dhcp6.DHCP6_Rebind: "rebind6",
    dhcp6.DHCP6_Release: "release6",
    dhcp6.DHCP6_Decline: "decline6",
    dhcp6.DHCP6_InfoRequest: "information-request",
    ICMPv6ND_RS: "solicitation",
}
# What solicits routers by itself; for others the kernel does.
_SOLICITS = ("kernel", "dhcpcd", "networkd", "networkmanager", "ipxe", "uefi")
_written: set[str] = set()


def keep(client: str, frames: list[Seen]) -> None:
    """Write the first of each kind of message of a client, if that is wanted."""
    if not os.environ.get("KEEP"):
        return
    FOLDER.mkdir(exist_ok=True)
    for packet in (seen.packet() for seen in frames if not seen.out):
        kind = _kind(packet)
        name = f"{client}-{kind}"
        if kind == "solicitation" and client not in _SOLICITS:
            continue
        if kind is not None and name not in _written:
            _written.add(name)
            (FOLDER / f"{name}.bin").write_bytes(_whole(packet))


def _kind(packet: Packet) -> str | None:
    if DHCP in packet:
        told = options(packet)
        return _request(packet, told) if told["message-type"] == REQUEST else _FOUR.get(told["message-type"])
    return next((name for layer, name in _SIX.items() if layer in packet), None)


def _request(packet: Packet, told: dict[str, object]) -> str:
    """The state of its client (RFC 2131, table 4)."""
    if "server_id" in told:
        return "request"
    if packet[BOOTP].ciaddr == "0.0.0.0":
        return "reboot"
    return "rebind" if packet[IP].dst == "255.255.255.255" else "renew"


def _whole(packet: Packet) -> bytes:
    """With the checksums that a virtual card would have filled in, and without the frame's padding."""
    inner = packet[IP] if IP in packet else packet[IPv6]
    size = inner.len if IP in packet else inner.plen + 40
    fresh = type(inner)(bytes(inner)[:size])
    if UDP in fresh:
        del fresh[UDP].chksum
    return bytes(fresh)
