"""Writes the *.bin beside it: DHCPv4 packets of clients that cannot run here, by the facts in README.md.

python3 -m tests.data.nfdhcpd.build
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from scapy.layers.inet import IP, UDP

HERE = Path(__file__).parent
SERVER, CLIENT = "10.77.0.1", "10.77.0.10"
DISCOVER, REQUEST, INFORM = 1, 3, 8
OWN, OURS = bytes((10, 77, 0, 10)), bytes((10, 77, 0, 1))
NONE = bytes(4)
BROADCAST = 0x8000


class System(NamedTuple):
    """How a system writes its packets; `least` is the size its messages are filled to."""

    mac: bytes
    ttl: int
    tos: int = 0
    df: bool = False
    least: int = 300

    def identity(self) -> tuple[int, bytes]:
        return 61, b"\1" + self.mac


WINDOWS = System(bytes.fromhex("525400000a10"), ttl=128)
MACOS = System(bytes.fromhex("525400000ac0"), ttl=255)
FREEBSD = System(bytes.fromhex("525400000fb0"), ttl=128, tos=0x10)
ANDROID = System(bytes.fromhex("a2f10c39d45e"), ttl=64, tos=0x10, df=True, least=0)

WINDOWS_LIST = bytes((1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 119, 121, 249, 252))
WINDOWS7_LIST = bytes((1, 15, 3, 6, 44, 46, 47, 31, 33, 121, 249, 43))
MACOS_LIST = bytes((1, 121, 3, 6, 15, 108, 114, 119, 252, 95, 44, 46))
FREEBSD_LIST = bytes((1, 28, 2, 121, 3, 15, 6, 12, 119))
ANDROID_LIST = bytes((1, 3, 6, 15, 26, 28, 51, 58, 59, 43, 114, 108))
ANDROID6_LIST = bytes((1, 3, 6, 15, 26, 28, 51, 58, 59, 43))
ANDROID4_LIST = bytes((1, 33, 3, 6, 15, 28, 51, 58, 59))

_PC = b"DESKTOP-4N0CLIO"
_MS = ((60, b"MSFT 5.0"),)
_FQDN = ((81, bytes(3) + _PC),)  # no flag: it updates its own address record; the name in ASCII
_MAC = ((55, MACOS_LIST), (57, struct.pack("!H", 1500)), MACOS.identity())
_LEASE = ((51, struct.pack("!I", 90 * 24 * 3600)),)
_BSD = (FREEBSD.identity(), (12, b"beastie"), (55, FREEBSD_LIST))
_SIZE = ((57, struct.pack("!H", 1500)),)
_ANDROID = (*_SIZE, (60, b"android-dhcp-13"), (55, ANDROID_LIST))

Options = tuple[tuple[int, bytes], ...]


def message(
    system: System, kind: int, options: Options, *, bound: bool = False, secs: int = 0, flags: int = 0
) -> bytes:
    """A packet from the IP header on; `bound` is a client that has its address, and says so in ciaddr."""
    fixed = struct.pack(
        "!BBBB4sHH4s4s4s4s6s202x4s",
        *(1, 1, 6, 0, b"\x6e\x66\x64\x34", secs, flags, OWN if bound else NONE, NONE, NONE, NONE, system.mac),
        b"\x63\x82\x53\x63",
    )
    raw = b"".join(bytes((code, len(value))) + value for code, value in ((53, bytes((kind,))), *options))
    # A renewal goes to the server, all else to everyone.
    to = SERVER if bound and kind == REQUEST else "255.255.255.255"
    head = IP(
        src=CLIENT if bound else "0.0.0.0", dst=to, ttl=system.ttl, tos=system.tos, flags="DF" if system.df else 0, id=7
    )
    return bytes(head / UDP(sport=68, dport=67) / (fixed + raw + b"\xff").ljust(system.least, b"\0"))


def messages() -> dict[str, bytes]:
    """File names without ending, and their bytes."""
    asks, chosen = ((50, OWN),), ((50, OWN), (54, OURS))
    windows = ((12, _PC), *_MS, (55, WINDOWS_LIST))
    named = ((12, _PC), *_FQDN, *_MS, (55, WINDOWS_LIST))
    windows_id = (WINDOWS.identity(),)
    android_id = (ANDROID.identity(),)
    old = (WINDOWS.identity(), (12, b"WIN7"), *_MS, (55, WINDOWS7_LIST))
    return {
        "windows10-discover": message(WINDOWS, DISCOVER, (*windows_id, *windows)),
        "windows10-discover-again": message(WINDOWS, DISCOVER, (*windows_id, *asks, *windows), secs=4),
        "windows10-request": message(WINDOWS, REQUEST, (*windows_id, *chosen, *named)),
        "windows10-reboot": message(WINDOWS, REQUEST, (*windows_id, *asks, *named)),
        "windows10-renew": message(WINDOWS, REQUEST, (*windows_id, *named), bound=True),
        "windows10-inform": message(WINDOWS, INFORM, (*windows_id, *windows), bound=True),
        "windows7-discover": message(WINDOWS, DISCOVER, ((116, b"\1"), *old), flags=BROADCAST),
        "macos-discover": message(MACOS, DISCOVER, (*_MAC, *_LEASE, (12, b"MacBook-Pro")), secs=1),
        "macos-request": message(MACOS, REQUEST, (*_MAC, *chosen, (12, b"MacBook-Pro")), secs=2),
        "macos-reboot": message(MACOS, REQUEST, (*_MAC, *asks, *_LEASE, (12, b"MacBook-Pro"))),
        "macos-renew": message(MACOS, REQUEST, (*_MAC, *_LEASE, (12, b"MacBook-Pro")), bound=True),
        "macos-inform": message(MACOS, INFORM, (*_MAC, (12, b"MacBook-Pro")), bound=True),
        "freebsd-discover": message(FREEBSD, DISCOVER, _BSD),
        "freebsd-request": message(FREEBSD, REQUEST, ((54, OURS), (50, OWN), *_BSD), secs=1),
        "freebsd-reboot": message(FREEBSD, REQUEST, ((50, OWN), *_BSD)),
        "freebsd-renew": message(FREEBSD, REQUEST, _BSD, bound=True),
        "android13-discover": message(ANDROID, DISCOVER, (*android_id, *_ANDROID)),
        "android13-discover-rapid": message(ANDROID, DISCOVER, (*android_id, *_ANDROID, (80, b""))),
        "android13-request": message(ANDROID, REQUEST, (*android_id, *chosen, *_ANDROID)),
        "android13-reboot": message(ANDROID, REQUEST, (*android_id, *asks, *_ANDROID)),
        "android13-renew": message(ANDROID, REQUEST, (*android_id, *_ANDROID), bound=True),
        "android6-discover": message(
            *(ANDROID, DISCOVER),
            (*android_id, *_SIZE, (60, b"android-dhcp-6.0.1"), (12, b"android-5e1f0c39d45e7a12"), (55, ANDROID6_LIST)),
        ),
        "android4-discover": message(
            *(ANDROID, DISCOVER),
            (*android_id, *_SIZE, (60, b"dhcpcd-5.5.6"), (12, b"android-5e1f0c39d45e7a12"), (55, ANDROID4_LIST)),
        ),
    }


if __name__ == "__main__":
    for name, packet in messages().items():
        (HERE / f"{name}.bin").write_bytes(packet)
