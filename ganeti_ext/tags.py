"""The grammar of the tags that we read from and write to Ganeti objects.

On instances and networks made by the front (the facts that Ganeti has no field for):

    ganeti-ext:KEY:VALUE          VALUE escaped, see `escape`
    ganeti-ext:KEY.N:PART         part N (from 0) of a value that is too long for one tag
    ganeti-ext:meta:NAME:VALUE    one item of the server's metadata, both escaped
    ganeti-ext:meta.I.N:PART      part N of NAME:VALUE of item I, where it is too long for one tag

KEY is one of FACTS; an administrator may write a project's or user's name in place of its id. All that the front
keeps of a server stands here or in Ganeti's own fields, so that its database can be made anew.

On networks, what is kept of ports that were made beforehand (frontend/network/portkept.py); they concern no guest:

    ganeti-ext:port:...  ganeti-ext:floating:...  ganeti-ext:said:...

On networks and instances, what nfdhcpd tells the guests (kvm_ifup/terms.py):

    nfdhcpd:KEY:VALUE             VALUE may be escaped, and must be where Ganeti does not allow a character

Ganeti allows the characters [A-Za-z0-9_.+*/:@-] and 128 of them in a tag.
"""

from __future__ import annotations

import functools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

PREFIX = "ganeti-ext"
# server: its UUID, also after `gnt-instance rename`. created: seconds since 1970, when the API took the request.
MADE = ("server", "project", "user", "name", "flavor", "image", "created")
# key: the keypair's name. locked, rescued, config (it has a disk of configuration): "1". group: the server group's
# id; apart: the same, where Ganeti's allocator is to keep its members apart. ip4, ip6: how the tenant says that it is
# reached. label: the tenant's labels ("tags" to Nova), joined by commas. resized: the flavor before a resize that
# nobody has confirmed yet. firewall: the profile of all NICs, which kvm_ifup reads (docs/firewall.md); groups: the
# security groups that it stands for, joined by commas, where it is not called as they are. reservation: of the request
# that it was made by. autodisk: "1", the tenant said that its file system is to fill the disk.
GIVEN = (
    *("key", "description", "locked", "group", "apart", "ip4", "ip6", "label", "resized", "rescued", "config"),
    *("firewall", "groups", "reservation", "autodisk"),
)
# On holders of volumes (frontend/volume/volumename.py). volume: its UUID, also after a rename. type: PROVIDER[:POOL].
# bootable, readonly: "1". source_...: the id of what it was made from. autodelete: "1", it goes with its server.
# image_meta: what is told of the image that it was made from, JSON.
VOLUME = (
    *("volume", "type", "bootable", "readonly", "source_image", "source_snapshot", "source_volume"),
    *("autodelete", "image_meta"),
)
# On networks that tenants made, of their subnets of IPv4 and IPv6 (frontend/network/subnetfacts.py). name, description,
# label: as a server's. pool4: the ranges FIRST-LAST that Ganeti chooses addresses from, joined by commas; pool6: what
# was said of them. hidden4: "1", Ganeti's IPv4 network stands for none, as there is no network without.
# On an administrator's: external: "1", floating addresses are of its pool.
NETWORK = (
    *("name4", "description4", "label4", "pool4", "hidden4"),
    *("name6", "description6", "label6", "pool6"),
    "external",
)
FACTS = MADE + GIVEN + VOLUME + NETWORK
META = "meta"
# Never split: `firewall.0:PROFILE` is the first NIC's. Nor escaped where nodes read it as it is.
WHOLE = frozenset(("firewall",))
_AS_IT_IS = frozenset("+@")

# On networks: of ports, as above.
PORTS = tuple(f"{PREFIX}:{kind}:" for kind in ("port", "floating", "said"))

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
_REMEMBERED = 1000  # objects' tags


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
    return [tag for key, value in facts.items() for tag in _fact(key, _escaped(key, value))]


def decode(tags: Iterable[str]) -> dict[str, str]:
    """The facts that tags carry. Foreign and damaged tags are left out, as an administrator may edit them.

    Of two values of one fact the greater holds: Ganeti gives tags in no order.
    """
    return dict(_decoded(tuple(tags)))


# Those of one instance are asked for again and again, by each message about it several times.
@functools.lru_cache(_REMEMBERED)
def _decoded(tags: tuple[str, ...]) -> Mapping[str, str]:
    parts: dict[str, dict[int, str]] = {}
    for label, value in _ours(tags):
        key, _, number = label.partition(".")
        if _is_part(key, number):
            parts.setdefault(key, {})[int(number or 0)] = value
    facts = {}
    for key, pieces in parts.items():
        try:
            facts[key] = unescape(_whole(pieces))
        except (ValueError, KeyError):
            continue
    return facts


def carrying(tags: Iterable[str], keys: Collection[str]) -> set[str]:
    """Those of these tags that carry one of these facts, or with META an item of the metadata."""
    found = set()
    for tag in tags:
        for label, _ in _ours((tag,)):
            key, _, number = label.partition(".")
            if key in keys and (key == META or _is_part(key, number)):
                found.add(tag)
    return found


def encode_metadata(items: Mapping[str, str]) -> list[str]:
    """The tags that carry a server's metadata."""
    found, long = [], 0
    for name, value in sorted(items.items()):
        pair = f"{escape(name)}:{escape(value)}"
        if len(f"{PREFIX}:{META}:{pair}") <= _MAX:
            found.append(f"{PREFIX}:{META}:{pair}")
        else:
            found += _pieces(f"{META}.{long}", pair)
            long += 1
    return found


def metadata(tags: Iterable[str]) -> dict[str, str]:
    """A server's metadata in its tags; as `decode` otherwise."""
    return dict(_metadata(tuple(tags)))


@functools.lru_cache(_REMEMBERED)
def _metadata(tags: tuple[str, ...]) -> Mapping[str, str]:
    pairs, parts = [], dict[str, dict[int, str]]()
    for label, value in _ours(tags):
        key, *numbers = label.split(".")
        if key == META and not numbers:
            pairs.append(value)
        elif key == META and len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            parts.setdefault(numbers[0], {})[int(numbers[1])] = value
    pairs += [_whole(pieces) for pieces in parts.values() if max(pieces) < len(pieces)]
    items = {}
    for pair in pairs:
        name, colon, value = pair.partition(":")
        try:
            if colon:
                items[unescape(name)] = unescape(value)
        except ValueError:
            continue
    return items


def _ours(tags: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Label and value of our tags."""
    for tag in sorted(tags):
        head, _, rest = tag.partition(":")
        label, colon, value = rest.partition(":")
        if head == PREFIX and colon:
            yield label, value


def _is_part(key: str, number: str) -> bool:
    return key in FACTS and (not number or (number.isdecimal() and key not in WHOLE))


def _whole(pieces: Mapping[int, str]) -> str:
    return "".join(pieces[number] for number in range(len(pieces)))


def term(tag: str) -> tuple[str, str]:
    """Key and value of a tag that starts with TERM; ValueError when the value cannot be read or shown."""
    key, _, value = tag[len(TERM) :].partition(":")
    text = unescape(value)
    if not text.isprintable():
        raise ValueError(f"{text!r} has characters that cannot be printed")
    return key, text


def _escaped(key: str, value: str) -> str:
    if key not in WHOLE:
        return escape(value)
    return "".join(each if each in _AS_IT_IS else escape(each) for each in value)


def _fact(key: str, value: str) -> list[str]:
    plain = f"{PREFIX}:{key}:{value}"
    if len(plain) > _MAX and key in WHOLE:
        raise ValueError(f"{key}: {value!r:.80} does not fit into one tag")
    return [plain] if len(plain) <= _MAX else _pieces(key, value)


def _pieces(label: str, value: str) -> list[str]:
    room = _MAX - len(f"{PREFIX}:{label}.{len(value)}:")  # no part has a longer number
    parts = [value[start : start + room] for start in range(0, len(value), room)]
    return [f"{PREFIX}:{label}.{number}:{part}" for number, part in enumerate(parts)]
