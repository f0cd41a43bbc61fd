"""Bodies of Block Storage's requests, read into typed values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from frontend.compute import quotas
from frontend.web import schema
from frontend.web.fault import BadRequest

MAX_SIZE = 1 << 20
"""GiB of one volume."""

_SOURCES = ("snapshot_id", "source_volid", "imageRef")
# What Cinder has and there is not here; null, false and nothing are passed over, as clients send them.
_REFUSED = ("consistencygroup_id", "source_replica", "group_id", "backup_id", "multiattach")


class Wanted(NamedTuple):
    """A volume that is asked for."""

    name: str
    description: str | None
    size: int | None
    """GiB; None: as large as what it is made from."""
    type: str | None
    source: tuple[str, str] | None
    """One of snapshot_id, source_volid and imageRef, and what it names."""
    zone: str | None
    metadata: dict[str, str]


def create(sent: Mapping[str, Any]) -> Wanted:
    """{"volume": {...}} of a create."""
    volume = schema.mapping(sent, "volume")
    for key in _REFUSED:
        if volume.get(key) and str(volume[key]).lower() != "false":
            raise BadRequest(f"{key}: {str(volume[key])[:80]!r}: not supported")
    sources = [(kind, ident) for kind in _SOURCES if (ident := _source(volume, kind))]
    if len(sources) > 1:
        raise BadRequest(f"May specify only one of {', '.join(_SOURCES)}, got {', '.join(kind for kind, _ in sources)}")
    found = words(volume)
    return Wanted(
        found.get("name", ""),
        found.get("description") or None,
        schema.number(volume, "size", None, 1, MAX_SIZE),
        schema.text(volume, "volume_type") if volume.get("volume_type") else None,
        sources[0] if sources else None,
        schema.text(volume, "availability_zone") if volume.get("availability_zone") else None,
        metadata(volume),
    )


def words(sent: Mapping[str, Any]) -> dict[str, str]:
    """Name and description, those that were sent; null is an empty text. Cinder 1's words count, too."""
    found = {}
    for key in ("name", "description"):
        for spelling in (key, f"display_{key}"):
            if spelling in sent:
                text = sent[spelling]
                blank = text is None or (isinstance(text, str) and not text.strip())
                found[key] = "" if blank else schema.text(sent, spelling)
                break
    return found


def metadata(sent: Mapping[str, Any]) -> dict[str, str]:
    """The tenant's own words about a volume, no more than the quota allows."""
    found = schema.metadata(sent)
    quotas.check_metadata(len(found))
    return found


def size(argument: Any) -> int:
    """The new size of os-extend, GiB."""
    return schema.number(argument_of("os-extend", argument), "new_size", schema.MISSING, 1, MAX_SIZE)


def argument_of(action: str, argument: Any) -> dict[str, Any]:
    """What an action holds, which has to be an object."""
    if not isinstance(argument, dict):
        raise BadRequest(f"{action}: expected an object")
    return argument


def _source(sent: Mapping[str, Any], kind: str) -> str | None:
    key = "image_id" if kind == "imageRef" and not sent.get(kind) else kind
    return schema.reference(sent, key) if sent.get(key) else None
