"""What a provider tells the administrator's command of one volume, snapshot or image."""

from __future__ import annotations

from ganeti_ext.named import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.lock import Holder

VOLUME = "volume"
SNAPSHOT = "snapshot"
IMAGE = "image"
SAVED = "saved-"  # how the names of snapshots begin that are images, or snapshots that tenants made


class Found(NamedTuple):
    """One of them; `origin` names another as `kind:name`, or is None.

    Bytes: `logical` is the length, `physical` what its data would take alone, `exclusive` what its removal would give
    back; None where the store cannot tell. `created` is in seconds since the epoch, or None.
    """

    name: str
    kind: str
    origin: str | None
    logical: int
    physical: int | None
    exclusive: int | None
    created: float | None
    holders: tuple[Holder, ...]


class Leak(NamedTuple):
    """What a killed call or a lost node left: `kind` is a word for programs, `what` its name, `why` it is one."""

    kind: str
    what: str
    why: str
