"""Options that an administrator says as CODE:HEX, of DHCPv4 and of DHCPv6."""

from __future__ import annotations

from nfdhcpd.dhcp6 import Code as Code6

# Not to be said raw: what the protocol itself says, and what follows from a guest's addresses.
PROTOCOL = frozenset((50, 51, 52, 53, 54, 55, 57, 58, 59, 61, 80, 81, 82, 108, 116))
ADDRESSING = frozenset((1, 3, 28, 33, 121, 249))
PROTOCOL6 = frozenset(
    (
        *(Code6.CLIENT, Code6.SERVER, Code6.IA_NA, Code6.IA_TA, Code6.IAADDR, Code6.WANTED, Code6.PREFERENCE),
        *(Code6.ELAPSED, Code6.RELAYED, Code6.AUTH, Code6.UNICAST, Code6.STATUS, Code6.RAPID, Code6.RECONF_MSG),
        *(Code6.RECONF_ACCEPT, Code6.IA_PD, Code6.IAPREFIX, Code6.REFRESH),
    )
)


def four(text: str) -> tuple[int, bytes]:
    """An option of DHCPv4; ValueError when it is none, or not to be said."""
    code, value = _parse(text, 254)
    if code in PROTOCOL:
        raise ValueError(f"option {code} cannot be raw: it is the protocol's own")
    if code in ADDRESSING:
        raise ValueError(f"option {code} cannot be raw: it follows from the addresses and routes of a guest")
    return code, value


def fours(texts: tuple[str, ...]) -> tuple[tuple[int, bytes], ...]:
    """Options of DHCPv4, none of them twice: RFC 3396 would make one of them."""
    found = tuple(map(four, texts))
    codes = [code for code, _ in found]
    for code in codes:
        if codes.count(code) > 1:
            raise ValueError(f"option {code} is raw more than once")
    return found


def six(text: str) -> tuple[int, bytes]:
    """An option of DHCPv6; ValueError when it is none, or not to be said."""
    code, value = _parse(text, 65535)
    if code in PROTOCOL6:
        raise ValueError(f"option {code} cannot be raw: it is the protocol's own")
    return code, value


def _parse(text: str, most: int) -> tuple[int, bytes]:
    code, colon, data = text.partition(":")
    if not colon or not code.isdecimal() or not 1 <= int(code) <= most:
        raise ValueError(f"{text!r} is not CODE:HEX with a code from 1 to {most}")
    return int(code), bytes.fromhex(data)
