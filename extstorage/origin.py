"""What the parameter `origin` of a new volume names."""

from __future__ import annotations

from ganeti_ext.errors import ContractError
from ganeti_ext.named import NamedTuple

KINDS = ("image", "volume", "snapshot")


class Origin(NamedTuple):
    """`kind` is one of KINDS, or empty for a bare name: an image or, failing that, a volume."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.kind else self.name


def parse(text: str) -> Origin:
    """`image:ID`, `volume:NAME`, `snapshot:NAME` or a bare name; ContractError for a prefix without a name."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in KINDS:
        return Origin("", text)
    if not name:
        raise ContractError(f"origin {text!r} names no {kind}: say {kind}:NAME")
    return Origin(kind, name)
