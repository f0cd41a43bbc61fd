"""What Ganeti tells an ExtStorage verb (man ganeti-extstorage-interface)."""

from __future__ import annotations

from ganeti_ext.env import need, optional
from ganeti_ext.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Volume(NamedTuple):
    """One call of a verb, as its environment describes it.

    On `grow`, size_mib is the old size and new_size_mib the absolute new one. `cname` is the disk's name.
    """

    name: str
    size_mib: int | None
    new_size_mib: int | None
    metadata: str | None
    snapshot: str | None
    exclusive: bool
    params: dict[str, str]
    cname: str | None = None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Volume:
        return cls(
            name=need(env, "VOL_NAME", str),
            size_mib=optional(env, "VOL_SIZE", _positive),
            new_size_mib=optional(env, "VOL_NEW_SIZE", _positive),
            metadata=optional(env, "VOL_METADATA", str),
            snapshot=optional(env, "VOL_SNAPSHOT_NAME", str),
            exclusive=env.get("VOL_OPEN_EXCLUSIVE") == "True",
            cname=optional(env, "VOL_CNAME", str),
            params={key[5:].lower(): value for key, value in env.items() if key.startswith("EXTP_")},
        )


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError("must be a positive number of MiB")
    return number
