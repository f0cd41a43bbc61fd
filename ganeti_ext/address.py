"""Addresses that follow from other addresses."""

from __future__ import annotations

import ipaddress


def eui64(mac: str, subnet: str) -> str:
    """The modified EUI-64 address of a MAC in a /64 (RFC 4291, appendix A).

    ValueError when the subnet is not an IPv6 /64.
    """
    network = ipaddress.IPv6Network(subnet, strict=False)
    if network.prefixlen != 64:
        raise ValueError(f"{subnet}: an EUI-64 address needs a /64")
    raw = bytes.fromhex(mac.replace(":", ""))
    suffix = bytes((raw[0] ^ 2,)) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return str(network[int.from_bytes(suffix, "big")])


def link_local(mac: str) -> str:
    """The link-local address that a kernel derives from a MAC by default."""
    return eui64(mac, "fe80::/64")
