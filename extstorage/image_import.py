"""An image is made of what is brought: received, looked at, converted, checked, and only then there."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from extstorage import image_cage, image_content, image_format, image_qemu, image_report
from extstorage.image_content import Source
from extstorage.image_digest import ALGORITHMS, Blocks, Digests
from extstorage.image_error import Refused
from extstorage.image_format import RAW
from extstorage.image_place import Offer
from extstorage.image_record import Record
from extstorage.warning import warn
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extstorage.image_place import Making, Place
    from extstorage.image_report import Report

LONGEST = 1 << 40  # octets of a disk, if nobody says otherwise
_ROOM = 64 << 20  # octets that a file may have beside its disk's: tables


class Order(NamedTuple):
    """What is wanted of an import. `told`: checksums of the file as it is brought, by their algorithm."""

    format: str = "auto"
    size: int | None = None
    longest: int = LONGEST
    told: Mapping[str, str] = {}
    algorithms: tuple[str, ...] = ALGORITHMS
    facts: Mapping[str, Any] | None = None
    dedup: bool = True
    work: str = "/var/tmp"  # noqa: S108 (files there have no name)


class Content(NamedTuple):
    """A raw content in its file."""

    size: int
    digests: dict[str, str]
    blocks: Blocks
    brought: dict[str, Any]
    format: str


def run(place: Place, ident: str, fd: int, order: Order, report: Report) -> dict[str, Any]:
    """Make an image of what a descriptor gives; the facts of what was made.

    Refused for what is brought, Known when there is such an image, ExtError for what else is wrong; then nothing stays.
    """
    for left in place.sweep():
        warn("image", f"removed what a killed call left: {left}")
    with place.making(ident, order.work) as making:
        source = Source(fd, order.longest + _ROOM, order.size)
        header = image_format.inspect(source.read_head, None if _more(source) else len(source.head))
        image_format.agree(order.format, header.format)
        _check_size(header.size, order)
        report.shares = image_report.PLAIN if header.format == RAW else image_report.CONVERTED
        if header.format == RAW:
            content = _plain(source, making, order, report)
        else:
            content = _converted(source, header.format, making, order, report)
        return _publish(making, ident, content, order, report)


def _more(source: Source) -> bool:
    return len(source.head) == image_format.HEAD


def _plain(source: Source, making: Making, order: Order, report: Report) -> Content:
    blocks = Blocks()
    size, digests = _receive(source, making.content, order, report, blocks)
    _check_size(size, order)
    return Content(size, digests, blocks, {"size": size, **digests}, RAW)


def _converted(source: Source, kind: str, making: Making, order: Order, report: Report) -> Content:
    scratch = making.scratch()
    length, told = _receive(source, scratch, order, report, None)
    header = image_format.inspect(lambda offset, count: os.pread(scratch, count, offset), length)
    brought = image_qemu.Source(scratch, kind, length)
    report.begin("check", None)
    size = image_qemu.measure(brought)
    _check_size(size, order)
    if header.size not in (None, size):
        raise Refused("corrupt", f"the image has {header.size} octets by its header, and {size} by its tables")
    image_qemu.check(brought)
    image_qemu.convert(brought, making.content, size, report.begin("convert", size))
    blocks = Blocks()
    with Digests(order.algorithms, blocks) as digests:
        image_content.scan(making.content, digests, report.begin("digest", size))
        return Content(size, digests.end(), blocks, {"size": length, **told}, kind)


def _receive(
    source: Source, target: int, order: Order, report: Report, blocks: Blocks | None
) -> tuple[int, dict[str, str]]:
    """Octets and checksums of what is in the target now; Refused when they are not what was told."""
    names = {*order.told, *order.algorithms}
    with Digests(names, blocks) as digests:
        if source.share(target):
            image_content.scan(target, digests, report.begin("digest", source.total))
        else:
            image_content.receive(source, target, digests, report.begin("receive", source.total))
        found = digests.end()
    for name, wanted in order.told.items():
        if found[name] != wanted.lower():
            raise Refused("checksum", f"the image has the {name} {found[name]}, and {wanted} was told")
    return digests.size, {name: found[name] for name in order.algorithms}


def _check_size(size: int | None, order: Order) -> None:
    if size is not None and size > order.longest:
        raise Refused("too-large", f"the image claims {size} octets, and may have {order.longest}")
    if size == 0:
        raise Refused("empty", "the image's disk has no octet")


def _publish(making: Making, ident: str, content: Content, order: Order, report: Report) -> dict[str, Any]:
    kept = {
        "format": content.format,
        "size": content.size,
        **content.digests,
        "uploaded": content.brought,
        "created": time.time(),
    }
    record = Record(kept, order.facts)
    offer = Offer(content.size, content.digests.get("sha256", ""), content.blocks, record)
    made = making.publish(offer, report)
    shared = made.shared
    if order.dedup:
        try:
            shared += making.dedup(offer, report.begin("dedup", content.size))
        except (ExtError, OSError) as err:  # the image is there, and the rest can be done later
            warn("image", f"{ident}: {err}; say: ganeti-ext-storage image dedup {ident}")
    measures = image_cage.measures() if content.format != RAW else []
    return {**kept, "physical": made.physical, "deduplicated": shared, "confinement": measures}
