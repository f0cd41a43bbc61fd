"""What is kept beside an image: what we know of it, and what the front does. Only values here.

{"store": {"format": "qcow2", "size": ..., "sha256": ..., ..., "created": ..., "uploaded": {...}}, "facts": {...}}
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ganeti_ext.errors import ContractError, ExtError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST = 1 << 18  # octets of a record: Ceph keeps it as one value


class Record(NamedTuple):
    """`store` is empty for an image that was not imported, `facts` is None where nobody has told any."""

    store: Mapping[str, Any] = {}
    facts: Mapping[str, Any] | None = None


def to_text(record: Record) -> str:
    return json.dumps(record._asdict(), sort_keys=True, separators=(",", ":"))


def from_text(text: str, name: str) -> Record:
    """What `to_text` made; an empty text is a record that says nothing. ExtError for anything else."""
    if not text:
        return Record()
    try:
        found = json.loads(text)
        store, told = found.get("store", {}), found.get("facts")
        if not isinstance(store, dict) or not isinstance(told, dict | None):
            raise ValueError("store and facts must be objects")
    except (ValueError, AttributeError) as err:
        raise ExtError(f"the facts of image {name!r} are not ours: {err}") from err
    return Record(store, told)


def facts(text: str) -> Mapping[str, Any]:
    """What the front tells of an image; ContractError when it is no JSON object, or longer than can be kept."""
    try:
        found = json.loads(text)
    except ValueError as err:
        raise ContractError(f"facts: {err}") from err
    if not isinstance(found, dict):
        raise ContractError(f"facts: a JSON object is wanted, found {text[:80]!r}")
    if len(text.encode()) > LONGEST // 2:
        raise ContractError(f"facts: {len(text.encode())} octets are more than the {LONGEST // 2} that can be kept")
    return found
