"""Domain names as DNS writes them (RFC 1035, 3.1), uncompressed."""

from __future__ import annotations


def encode(name: str) -> bytes:
    """A name in wire form; ValueError says which label is bad."""
    wire = b""
    for label in name.removesuffix(".").split("."):
        try:
            raw = label.encode("ascii")
        except UnicodeEncodeError:
            raise ValueError(f"bad domain name {name!r}: {label!r} is not ASCII") from None
        if not 1 <= len(raw) <= 63:
            raise ValueError(f"bad domain name {name!r}: a label has 1 to 63 characters")
        wire += bytes((len(raw),)) + raw
    if len(wire) > 254:
        raise ValueError(f"bad domain name {name!r}: longer than 255 bytes")
    return wire + b"\0"
