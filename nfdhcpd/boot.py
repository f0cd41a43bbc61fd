"""Network boot by DHCPv4: which file a guest's firmware is told, by what it says it is.

PXE 2.1, RFC 4578 (option 93), UEFI 2.10, 24.7 (HTTP boot), and iPXE's own options, https://ipxe.org/howto/dhcpd.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd.dhcp4 import UNSET, Code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nfdhcpd.terms import Terms

# IANA's "Processor Architecture Types" that are UEFI and load by TFTP: x86, x86-64 (7 and, by RFC 4578's first
# reading, 9), ARM, RISC-V, LoongArch. The guests of a cluster have one of them, so one file serves.
EFI = frozenset((2, 6, 7, 8, 9, 10, 11, 25, 27, 29, 37, 39))

PXE_CLASS, HTTP_CLASS = b"PXEClient", b"HTTPClient"
# PXE 2.1, 3.2.3.1: discovery control, bit 3: load the file of this offer at once, look for no boot server.
AT_ONCE = b"\x06\x01\x08\xff"
# iPXE's "no-pxedhcp": do not wait for another server that would know the file.
NO_PROXY = b"\xb0\x01\x01"
# Firmware reads the file name of the header up to a zero byte.
FILE = 127


@dataclass(frozen=True, slots=True)
class Boot:
    """What the terms say: the server that firmware loads from, and file names or URLs as they are sent."""

    server: bytes
    bios: bytes
    efi: bytes
    http: bytes
    ipxe: bytes

    @classmethod
    def of(cls, terms: Terms) -> Boot | None:
        """None when the terms say nothing of boot."""
        files = (terms.boot_file, terms.boot_efi, terms.boot_http, terms.boot_ipxe)
        if not terms.boot_server and not any(files):
            return None
        server = IPv4Address(terms.boot_server).packed if terms.boot_server else UNSET
        return cls(server, *(name.encode("ascii") for name in files))


class Choice(NamedTuple):
    """What one client is told of boot: header fields, and options; `booting` when it has to get all of them.

    An operating system that knows nothing of boot leaves the fields alone; old firmware asks for no option by name.
    """

    siaddr: bytes
    file: bytes
    options: Mapping[int, bytes]
    booting: bool


def choose(boot: Boot, asked: Mapping[int, bytes]) -> Choice | None:
    """What a client with these options is told; None when there is nothing for it."""
    vendor = asked.get(Code.CLASS, b"")
    ipxe = is_ipxe(asked)
    http = vendor.startswith(HTTP_CLASS) and not ipxe
    file = _file(boot, asked, ipxe=ipxe, http=http)
    if http:
        # Only a server that says it is one is taken (UEFI 2.10, 24.7.3.1); the URL names the host.
        return Choice(UNSET, _field(file), {Code.BOOT_FILE: file, Code.CLASS: HTTP_CLASS}, True) if file else None
    options: dict[int, bytes] = {}
    if boot.server != UNSET:
        options[Code.BOOT_SERVER] = str(IPv4Address(boot.server)).encode("ascii")
    if file:
        options[Code.BOOT_FILE] = file
    if ipxe:
        options[Code.IPXE] = NO_PROXY
    elif vendor.startswith(PXE_CLASS) and file:
        options |= {Code.CLASS: PXE_CLASS, Code.VENDOR: AT_ONCE}
    return Choice(boot.server, _field(file), options, ipxe or vendor.startswith(PXE_CLASS))


def is_ipxe(asked: Mapping[int, bytes]) -> bool:
    """iPXE says so in its user class, as plain text or with lengths (RFC 3004), and has options of its own."""
    return Code.IPXE in asked or asked.get(Code.USER_CLASS) in (b"iPXE", b"\x04iPXE")


def _file(boot: Boot, asked: Mapping[int, bytes], *, ipxe: bool, http: bool) -> bytes:
    if http:
        return boot.http
    if ipxe and boot.ipxe:  # what iPXE loads, and not iPXE again
        return boot.ipxe
    # RFC 4578, 2.1: a list; its first entry is what runs now.
    architecture = int.from_bytes(asked.get(Code.ARCHITECTURE, b"")[:2], "big")
    return boot.efi if architecture in EFI else boot.bios


def _field(file: bytes) -> bytes:
    return file if len(file) <= FILE else b""
