"""Where in a DHCPv4 message its options go: order, size limit, and the fields they may go on in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nfdhcpd import dhcp4
from nfdhcpd.dhcp4 import UNSET, Code
from nfdhcpd.options4 import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# Fields of the header that options may go on in (RFC 2132, 9.3), less their own end mark.
FILE, SNAME = 127, 63


class Layout(NamedTuple):
    """What follows the message type: options without the end mark, and the fields of network boot."""

    options: bytes
    siaddr: bytes = UNSET
    file: bytes = b""
    sname: bytes = b""


def room(size: bytes, mtu: int | None) -> int:
    """Bytes for options, by the value of option 57.

    A client takes 576 bytes unless it says more (RFC 2131, 2); every host takes as much whatever its MTU (RFC 791,
    3.1), and a frame 1500.
    """
    said = int.from_bytes(size, "big") if len(size) == 2 else 0
    return min(max(said, 576), 1500, max(mtu or 1500, 576)) - 20 - 8 - dhcp4.HEADER - 1


def lay_out(options: Mapping[int, bytes], free: int, wanted: bytes | None, *, file: bytes = b"") -> Layout:
    """Put options into `free` bytes; what does not fit there goes into the fields that are not used, or is left out.

    The order is the client's (RFC 2132, 9.8), then that of need; the server's identifier comes first.
    """
    if sum(map(len, options.values())) <= free:
        return Layout(_join(options, options, wanted), file=file)
    rooms = (free - 3, 0 if file else FILE, SNAME)
    # Where there is room for all of it, largest first finds it; what all clients need stays in the main field.
    needed = [code for code in options if code in ALWAYS]
    others = sorted((code for code in options if code not in ALWAYS), key=lambda code: -len(options[code]))
    places = _place([*needed, *others], options, rooms)
    if sum(map(len, places)) < len(options):
        places = _place(options, options, rooms)
    main, in_file, in_sname = (_join(place, options, wanted) for place in places)
    overload = (1 if in_file else 0) | (2 if in_sname else 0)
    if overload:
        head = options[Code.SERVER]
        main = head + dhcp4.option(Code.OVERLOAD, bytes((overload,))) + main[len(head) :]
    ended = (field and field + b"\xff" for field in (in_file, in_sname))
    return Layout(main, UNSET, next(ended) or file, next(ended))


def _place(codes: Iterable[int], options: Mapping[int, bytes], rooms: Iterable[int]) -> list[list[int]]:
    """Codes by place, each in the first that has room for its option; a code that fits nowhere is in none."""
    left = list(rooms)
    places: list[list[int]] = [[] for _ in left]
    for code in codes:
        size = len(options[code])
        for index, free in enumerate(left):
            if size <= free:
                left[index] -= size
                places[index].append(code)
                break
    return places


def _join(codes: Collection[int], options: Mapping[int, bytes], wanted: bytes | None) -> bytes:
    here = set(codes)
    order = dict.fromkeys((Code.SERVER, *(wanted or b""), *codes))
    return b"".join(options[code] for code in order if code in here)
