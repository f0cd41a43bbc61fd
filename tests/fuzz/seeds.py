"""Inputs to begin with: every message that the tests know, to every guest.

python -m tests.fuzz.seeds DIRECTORY
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from scapy.layers.dhcp6 import (
    DUID_LL,
    DUID_UUID,
    DHCP6OptClientId,
    DHCP6OptElapsedTime,
    DHCP6OptIA_NA,
    DHCP6OptIA_PD,
    DHCP6OptIAAddress,
    DHCP6OptIAPrefix,
    DHCP6OptOptReq,
    DHCP6OptRapidCommit,
    DHCP6OptServerId,
)
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6

from nfdhcpd.duid import DEFAULT_DUID
from tests.fuzz.discovery import GUESTS
from tests.unit.nfdhcpd.guest import IP4, MAC_TEXT, packet, solicitation

DATA = Path(__file__).parent.parent / "data/nfdhcpd"
OWN, SERVER = bytes((10, 77, 0, 10)), bytes((10, 77, 0, 1))
REPAIR, FOUR = 32, 8


def messages() -> Iterator[bytes]:
    """Packets from the IP header on."""
    for kind in range(14):
        yield packet(kind)
        yield packet(kind, options={50: OWN, 54: SERVER, 61: b"\1abc", 57: b"\5\xdc", 80: b"", 81: b"\0\0\0host"})
        yield packet(kind, ciaddr=IP4, src=IP4, giaddr="10.77.0.99", flags=0x8000, wanted=bytes(range(1, 128)))
        yield packet(kind, options={60: b"HTTPClient:Arch:00016", 77: b"iPXE", 93: b"\0\7", 116: b"\1", 124: b"\0"})
    yield solicitation()
    yield solicitation("fe80::1234", slla=MAC_TEXT)
    yield from _six()
    for path in sorted(DATA.rglob("*.bin")):
        yield path.read_bytes()


def _six() -> Iterator[bytes]:
    to_servers = IPv6(src="fe80::1234", dst="ff02::1:2") / UDP(sport=546, dport=547)
    identity = bytes(DHCP6OptClientId(duid=DUID_LL(lladdr=MAC_TEXT)))
    server = DHCP6OptServerId(duid=DUID_UUID(uuid=UUID(bytes=DEFAULT_DUID[2:])))
    address = DHCP6OptIAAddress(addr="fd00:77::5054:ff:fe00:10")
    rest = b"".join(
        bytes(option)
        for option in (
            DHCP6OptIA_NA(iaid=1, ianaopts=[address, DHCP6OptIAAddress(addr="fd00:77::9")]),
            DHCP6OptIA_PD(iaid=2, iapdopt=[DHCP6OptIAPrefix(prefix="2001:db8:77::", plen=56)]),
            DHCP6OptOptReq(reqopts=[17, 23, 24, 31, 32, 39, 56, 59, 82, 83]),
            DHCP6OptElapsedTime(elapsedtime=100),
            DHCP6OptRapidCommit(),
        )
    )
    for kind in range(1, 14):
        for options in (identity, identity + bytes(server), identity + rest, identity + bytes(server) + rest):
            yield bytes(to_servers / (bytes((kind, 1, 2, 3)) + options))
    for target, source in (("fd00:77::1", "fe80::1234"), ("fd00:77::99", "fe80::1234"), ("fd00:77::99", "::")):
        asked = IPv6(src=source, dst="ff02::1:ff00:99", hlim=255) / ICMPv6ND_NS(tgt=target)
        yield bytes(asked / ICMPv6NDOptSrcLLAddr(lladdr=MAC_TEXT))


def main(folder: Path) -> None:
    """Write them, named by their content."""
    folder.mkdir(parents=True, exist_ok=True)
    for message in messages():
        four = FOUR if message[0] >> 4 == 4 else 0
        for number in range(len(GUESTS)):
            data = bytes((number | four | REPAIR,)) + message
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
