"""Images of servers' disks, from OpenStack's words to Ganeti's. Pure.

What makes a snapshot is a hook before an instance is modified, which is told by a tag what to do; of the instance
itself nothing is modified. So there is a job for it, which holds the instance's lock, and fails when the hook does.
"""

from __future__ import annotations

from frontend.translate import Call, Step

_VOLUME = "saved-"  # as extstorage/image_hook.py calls it
_SAVING, _FORGET = "ganeti-ext:saving", "ganeti-ext:forget"


def origin(image: str) -> str:
    """What the provider is to clone for a disk of this image."""
    return f"snapshot:{_VOLUME}{image}"


def save(instance: str, provider: str, image: str) -> list[Step]:
    return _hooked(instance, f"{_SAVING}:{provider}:{image}")


def forget(instance: str, provider: str, image: str) -> list[Step]:
    """Any instance will do: it is its node that removes the snapshot."""
    return _hooked(instance, f"{_FORGET}:{provider}:{image}")


def _hooked(instance: str, tag: str) -> list[Step]:
    path, named = f"instances/{instance}/tags", {"tag": [tag]}
    nothing = {"disks": [["modify", 0, {}]], "ignore_ipolicy": True}
    return [
        Step(Call("PUT", path, None, named)),
        Step(Call("PUT", f"instances/{instance}/modify", nothing)),
        Step(Call("DELETE", path, None, named), anyway=True),
    ]
