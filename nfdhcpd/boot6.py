"""Network boot by DHCPv6 (RFC 5970): who asks, and what it is to load."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd import dhcp6
from nfdhcpd.dhcp6 import Code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nfdhcpd.terms import Terms

HTTP_CLIENT = b"HTTPClient"


class Boot6(NamedTuple):
    """The URL for each kind of loader, as an option; empty where there is none."""

    ipxe: bytes = b""
    http: bytes = b""
    efi: bytes = b""


def boot(terms: Terms) -> Boot6:
    """What the terms say; only URLs, as an option of DHCPv6 holds nothing else and `boot_server` has no IPv6."""
    return Boot6(*map(_url, (terms.boot_ipxe, terms.boot_http, terms.boot_efi)))


def url(asked: Mapping[int, bytes], told: Boot6) -> bytes:
    """The option for whoever sent these options.

    iPXE names itself whatever loaded it, so it comes first: it must not be given itself again.
    """
    if b"\0\4iPXE" in asked.get(Code.USER_CLASS, b""):
        return told.ipxe
    if _is_http(asked):
        return told.http
    # A list of numbers; 0 is a BIOS, which knows no IPv6.
    return told.efi if any(asked.get(Code.ARCHITECTURE, b"")) else b""


def vendor_class(asked: Mapping[int, bytes], told: Boot6) -> bytes:
    """The class by which UEFI knows the answer that is for its HTTP boot: its own, with its own enterprise number."""
    if not told.http or not _is_http(asked):
        return b""
    length = len(HTTP_CLIENT).to_bytes(2, "big")
    return dhcp6.option(Code.VENDOR_CLASS, asked[Code.VENDOR_CLASS][:4] + length + HTTP_CLIENT)


def _is_http(asked: Mapping[int, bytes]) -> bool:
    # An enterprise number of 4 bytes, then texts with their lengths of 2 (RFC 8415, 21.16).
    return asked.get(Code.VENDOR_CLASS, b"")[6:16] == HTTP_CLIENT


def _url(text: str) -> bytes:
    return dhcp6.option(Code.BOOT_URL, text.encode("ascii")) if "://" in text else b""
