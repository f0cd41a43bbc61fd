"""The grammar of the tags that we read from and write to Ganeti objects.

On instances made by the front (the facts that Ganeti has no field for):

    ganeti-ext:KEY:VALUE          VALUE escaped, see `escape`
    ganeti-ext:KEY.N:PART         part N (from 0) of a value that is too long for one tag

KEY is one of FACTS. On networks and instances, what nfdhcpd tells the guests (kvm_ifup/terms.py):

    nfdhcpd:KEY:VALUE             VALUE may be escaped, and must be where Ganeti does not allow a character

Ganeti allows the characters [A-Za-z0-9_.+*/:@-] and 128 of them in a tag.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "ganeti-ext"
FACTS = ("project", "user", "name", "flavor", "image")

# On networks: hand its NICs to nfdhcpd (the original's tag).
NFDHCPD = "nfdhcpd"
TERM = NFDHCPD + ":"
# On instances: no IPv4 or IPv6 for them from nfdhcpd (the original's tags).
DISABLE_IPV4 = "disable_ipv4"
DISABLE_IPV6 = "disable_ipv6"
# On networks: how the node carries them (the original's tags).
IP_LESS_ROUTED = "ip-less-routed"
PRIVATE_FILTERED = "private-filtered"
# On instances and networks: no anti-spoofing. Deliberate, never a default.
SPOOF_ALLOWED = "ganeti-ext:spoof-allowed"
# On instances and networks, `:ADDRESS` or `.NIC:ADDRESS` behind it: one more that the guest may use.
ALLOW_ADDRESS = "ganeti-ext:allow-address"

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_MAX = 128


def escape(text: str) -> str:
    """Text in the characters of a tag: every other UTF-8 byte becomes *XX."""
    return "".join(chr(byte) if byte in _PLAIN else f"*{byte:02X}" for byte in text.encode())


def unescape(text: str) -> str:
    """What `escape` was given; ValueError when it cannot be."""
    first, *rest = text.split("*")
    raw = first.encode("ascii")
    for piece in rest:
        octet = bytes.fromhex(piece[:2])
        if len(octet) != 1:  # fromhex passes over blanks, and nothing is no error to it
            raise ValueError(f"{text!r}: * without its two digits")
        raw += octet + piece[2:].encode("ascii")
    return raw.decode()


def encode(facts: Mapping[str, str]) -> list[str]:
    """The tags that carry these facts; keys outside FACTS are a ValueError."""
    unknown = set(facts) - set(FACTS)
    if unknown:
        raise ValueError(f"unknown facts {sorted(unknown)}")
    return [tag for key, value in facts.items() for tag in _fact(key, escape(value))]


def decode(tags: Iterable[str]) -> dict[str, str]:
    """The facts that tags carry. Foreign and damaged tags are left out, as an administrator may edit them."""
    parts: dict[str, dict[int, str]] = {}
    for tag in tags:
        head, _, value = tag.partition(":")
        label, colon, value = value.partition(":")
        key, _, number = label.partition(".")
        if head == PREFIX and colon and key in FACTS and (not number or number.isdecimal()):
            parts.setdefault(key, {})[int(number or 0)] = value
    facts = {}
    for key, pieces in parts.items():
        try:
            facts[key] = unescape("".join(pieces[number] for number in range(len(pieces))))
        except (ValueError, KeyError):
            continue
    return facts


def term(tag: str) -> tuple[str, str]:
    """Key and value of a tag that starts with TERM; ValueError when the value cannot be read or shown."""
    key, _, value = tag[len(TERM) :].partition(":")
    text = unescape(value)
    if not text.isprintable():
        raise ValueError(f"{text!r} has characters that cannot be printed")
    return key, text


def _fact(key: str, value: str) -> list[str]:
    plain = f"{PREFIX}:{key}:{value}"
    if len(plain) <= _MAX:
        return [plain]
    room = _MAX - len(f"{PREFIX}:{key}.{len(value)}:")  # no part has a longer number
    pieces = [value[start : start + room] for start in range(0, len(value), room)]
    return [f"{PREFIX}:{key}.{number}:{piece}" for number, piece in enumerate(pieces)]
