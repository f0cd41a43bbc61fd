"""block_device_mapping_v2 of a new server, and the older block_device_mapping, read into typed values.

What they mean: nova/block_device.py, nova/compute/api.py (_validate_bdm), and the API's guide "Block device mapping".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frontend.web import schema
from frontend.web.fault import BadRequest

IMAGE, VOLUME, SNAPSHOT, BLANK = "image", "volume", "snapshot", "blank"
LOCAL = "local"
MAX_SIZE = 1 << 20  # GiB
_WRONG = "Block Device Mapping is Invalid: block_device_mapping_v2: "


@dataclass(frozen=True, slots=True)
class Device:
    """One volume of a server."""

    source: str
    ident: str
    """What it is or is made from; empty: blank."""
    size: int | None
    """GiB; None: as its source."""
    boots: bool
    """The server boots from it."""
    autodelete: bool
    """It goes with the server."""
    kind: str | None = None
    """Its type; None: the one that suits."""


def devices(server: Mapping[str, Any]) -> tuple[str, tuple[Device, ...]]:
    """The image of the server's own disk (empty: none, it boots from a volume), and its volumes, that one first.

    BadRequest for what Ganeti cannot give, and where it is not clear what to boot from.
    """
    newer, older = schema.items(server, "block_device_mapping_v2"), schema.items(server, "block_device_mapping")
    if newer and older:
        raise BadRequest("Using different block_device_mapping syntaxes is not allowed in the same request.")
    named = schema.reference(server, "imageRef") if server.get("imageRef") else ""
    listed = [schema.member("block_device_mapping_v2", each) for each in newer]
    listed += [_older(schema.member("block_device_mapping", each), named, not n) for n, each in enumerate(older)]
    asked = [each for each in listed if not schema.flag(each, "no_device", default=False)]
    own = [_own_disk(each) for each in asked if _is_local(each)]
    found = [_device(each) for each in asked if not _is_local(each)]
    if not named and len(own) == 1:
        named = own[0]
    if any(ident != named for ident in own) or len(own) > 1:
        raise BadRequest(f"{_WRONG}a server has one disk of its own, made from imageRef")
    return _rooted(named, own, found)


def brought(listed: Mapping[str, Any]) -> Device:
    """A volume that an image says its servers have; BadRequest where it says no such thing."""
    return _device(listed)


def _rooted(named: str, own: Sequence[str], found: Sequence[Device]) -> tuple[str, tuple[Device, ...]]:
    roots = [device for device in found if device.boots]
    others = tuple(device for device in found if not device.boots)
    if len(roots) > 1 or (roots and own) or not (roots or named):
        raise BadRequest(
            f"{_WRONG}Boot sequence for the instance and image/block device mapping combination is not valid."
        )
    if roots and named not in ("", roots[0].ident):
        raise BadRequest(f"{_WRONG}boot_index 0 is of {roots[0].source} {roots[0].ident}, and imageRef is {named}")
    return ("" if roots else named), (*roots, *others)


def _is_local(sent: Mapping[str, Any]) -> bool:
    """Whether it is no volume."""
    source = sent.get("source_type") or (VOLUME if sent.get("uuid") else BLANK)
    return (sent.get("destination_type") or (VOLUME if source in (VOLUME, SNAPSHOT) else LOCAL)) == LOCAL


def _own_disk(sent: Mapping[str, Any]) -> str:
    if sent.get("source_type") != IMAGE:
        raise BadRequest(
            f"{_WRONG}{sent.get('source_type')!r:.40} to {LOCAL}: only an image becomes a disk of the server's own"
        )
    return schema.reference(sent, "uuid")


def _device(sent: Mapping[str, Any]) -> Device:
    source = sent.get("source_type") or VOLUME
    if source not in (IMAGE, VOLUME, SNAPSHOT, BLANK):
        raise BadRequest(f"source_type: {source!r:.40} is none of image, volume, snapshot, blank")
    if sent.get("destination_type") not in (None, VOLUME):
        raise BadRequest(f"destination_type: {sent['destination_type']!r:.40} is neither {LOCAL} nor {VOLUME}")
    size = schema.number(sent, "volume_size", None, 1, MAX_SIZE)
    if source in (IMAGE, BLANK) and size is None:
        raise BadRequest(f"{_WRONG}volume_size is missing: {source} to volume needs one.")
    ident = schema.text(sent, "snapshot_id" if source == SNAPSHOT and not sent.get("uuid") else "uuid", "")
    if (source == BLANK) != (not ident):
        raise BadRequest(f"{_WRONG}{source}: uuid {'is missing' if not ident else 'has no meaning'}")
    return Device(
        source=source,
        ident=ident,
        size=size,
        boots=str(sent.get("boot_index")) == "0",
        autodelete=schema.flag(sent, "delete_on_termination", default=False),
        kind=schema.text(sent, "volume_type", None) if sent.get("volume_type") else None,
    )


def _older(sent: Mapping[str, Any], image: str, first: bool) -> dict[str, Any]:
    """The same in the newer words (nova/block_device.py from_legacy)."""
    source = SNAPSHOT if sent.get("snapshot_id") else VOLUME
    name = str(sent.get("device_name") or "")
    is_root = not image and (name.endswith("vda") or (not name and first))
    return {
        "source_type": source,
        "destination_type": VOLUME,
        "uuid": sent.get("snapshot_id") or sent.get("volume_id"),
        "boot_index": 0 if is_root else None,
        **{key: sent.get(key) for key in ("volume_size", "delete_on_termination", "no_device")},
    }
