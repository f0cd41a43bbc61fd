"""Images of servers' disks and snapshots of volumes, from OpenStack's words to Ganeti's. Pure.

What makes a snapshot is a hook before an instance is modified, which is told by tags what to do; of the instance
itself nothing is modified. So there is a job for it, which holds the instance's lock, and fails when the hook does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from frontend.effect.translate import Call, Step

SAVED = "saved-"
"""How names of volumes begin that are snapshots which tenants made, as extstorage/found.py calls them."""
_SAVING, _COPYING, _FORGET = "ganeti-ext:saving", "ganeti-ext:copying", "ganeti-ext:forget"


class Shot(NamedTuple):
    """A snapshot that is to be made: `disk` is the name or UUID of one of Ganeti's, empty for the first."""

    ident: str
    provider: str
    pool: str | None = None
    disk: str = ""


def origin(image: str) -> str:
    """What the provider is to clone for a disk of this image."""
    return f"snapshot:{SAVED}{image}"


def saved(origin_: str | None) -> str | None:
    """The image or snapshot that an origin names; None when it names another thing."""
    head = f"snapshot:{SAVED}"
    return origin_.removeprefix(head) if origin_ and origin_.startswith(head) else None


def told(tag: str) -> Shot | None:
    """What a tag asks of the hook; None for another tag."""
    for what in (_SAVING, _COPYING, _FORGET):
        if tag.startswith(f"{what}:"):
            store, _, rest = tag.removeprefix(f"{what}:").partition(":")
            ident, _, disk = rest.partition(":")
            provider, _, pool = store.partition("/")
            return Shot(ident, provider, pool or None, disk)
    return None


def save(instance: str, provider: str, image: str, disk: str = "", pool: str | None = None) -> list[Step]:
    return save_all(instance, [Shot(image, provider, pool, disk)])


def save_all(instance: str, shots: Sequence[Shot]) -> list[Step]:
    """Snapshots of one moment."""
    return _hooked(instance, [_tag(_SAVING, shot) for shot in shots])


def forget(instance: str, provider: str, image: str, pool: str | None = None) -> list[Step]:
    """Any instance with a disk will do: it is its node that removes the snapshot."""
    return _hooked(instance, [_tag(_FORGET, Shot(image, provider, pool))])


def copy(instance: str, shot: Shot, changes: Mapping[str, Any]) -> list[Step]:
    """Change an instance once a copy of its disk is in the shot's store, under the name of a snapshot."""
    return _hooked(instance, [_tag(_COPYING, shot)], changes)


def _tag(what: str, shot: Shot) -> str:
    store = f"{shot.provider}/{shot.pool}" if shot.pool else shot.provider
    return ":".join(filter(None, (what, store, shot.ident, shot.disk)))


def _hooked(instance: str, tags: Sequence[str], changes: Mapping[str, Any] | None = None) -> list[Step]:
    path, named = f"instances/{instance}/tags", {"tag": list(tags)}
    nothing = {"disks": [["modify", 0, {}]]}
    return [
        Step(Call("PUT", path, None, named)),
        Step(Call("PUT", f"instances/{instance}/modify", {**(changes or nothing), "ignore_ipolicy": True})),
        Step(Call("DELETE", path, None, named), anyway=True),
    ]
