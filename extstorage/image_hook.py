"""Snapshots that are images of tenants: made and removed before an instance is modified, as its tags say.

    ganeti-ext:saving:PROVIDER:ID    make a snapshot of the instance's first disk
    ganeti-ext:forget:PROVIDER:ID    remove the snapshot of an image that nobody wants, whatever instance it is of

The front sets such a tag, then modifies nothing of the instance, and takes the tag away (frontend/createimage.py). So
one job of Ganeti's carries the snapshot, with the instance's lock: nobody starts, stops, moves or removes it meanwhile,
and if this fails, so does the job. Each may be repeated.
"""

from __future__ import annotations

import os

from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.hookenv import Hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SAVING, FORGET = "ganeti-ext:saving:", "ganeti-ext:forget:"
VOLUME = "saved-"
_DISK = "GANETI_INSTANCE_DISK0_"
_ID = frozenset("0123456789abcdef-")


def main(_verb: str, env: Mapping[str, str]) -> None:
    """Do what the tags say, on the instance's primary node; ExtError, or ContractError for a tag that says nothing."""
    hook = Hook.from_env(env)
    if hook.phase != "pre" or hook.object_type != "INSTANCE":
        return
    unwanted, wanted = list(_asked(hook.tags, FORGET)), list(_asked(hook.tags, SAVING))
    if not unwanted and not wanted:
        return
    # With all of the storage behind them, for those few operations that are for this.
    from extstorage import image_snapshot  # noqa: PLC0415
    from extstorage.provider import CONFIG_DIRECTORY  # noqa: PLC0415

    os.umask(0o022)
    place = image_snapshot.Place.of(env.get("GANETI_EXT_CONFIG_DIR", CONFIG_DIRECTORY), hook.data_directory)
    if place.node != hook.primary:
        return
    for provider, ident in unwanted:
        place.forget(provider, VOLUME + ident)
    for provider, ident in wanted:
        if env.get(f"{_DISK}PROVIDER") != provider:
            raise ExtError(
                f"disk 0 of {hook.instance} is in {env.get(f'{_DISK}PROVIDER')}, and images are to be in {provider}"
            )
        place.save(provider, env[f"{_DISK}ID"], VOLUME + ident, hook.instance or "")


def _asked(tags: Iterable[str], prefix: str) -> Iterator[tuple[str, str]]:
    """Provider and image of each tag of a kind."""
    for tag in tags:
        if tag.startswith(prefix):
            provider, _, ident = tag[len(prefix) :].partition(":")
            if not provider or not ident or not set(ident) <= _ID:
                raise ContractError(f"tag {tag!r}: expected {prefix}PROVIDER:ID")
            yield provider, ident
