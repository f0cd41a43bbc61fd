"""POST /volumes/ID/action: the table of actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from flask.typing import ResponseReturnValue

from frontend.compute.refused import Unsupported
from frontend.volume import (
    schema_volume,
    volumeattach,
    volumechange,
    volumeimage,
    volumeretype,
    volumerevert,
    volumes,
)
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Forbidden

Row = dict[str, Any]
View = Callable[[Row, Any], ResponseReturnValue]


class Do(NamedTuple):
    view: View
    """Called with the volume's row and what the action's key held."""
    admin: bool = False
    """For administrators alone, and to everybody's volumes."""


def retype(row: Row, argument: Any) -> tuple[str, int]:
    """Into another storage; `migration_policy` on-demand lets its content be copied there."""
    sent = schema_volume.argument_of("os-retype", argument)
    volumeretype.retype(row, schema.text(sent, "new_type"), schema.text(sent, "migration_policy", "never"))
    return "", 202


def upload_image(row: Row, argument: Any) -> ResponseReturnValue:
    """An image of what a volume holds."""
    sent = schema_volume.argument_of("os-volume_upload_image", argument)
    return {"os-volume_upload_image": volumeimage.upload(row, sent)}, 202


def force_delete(row: Row, _: Any) -> tuple[str, int]:
    """In whatever status it is, but not while a server has it."""
    volumes.remove(row, cascade=True, force=True)
    return "", 202


def _refusal(why: str) -> View:
    def refuse(row: Row, _: Any) -> NoReturn:
        raise Unsupported(f"Volume {row['id']}: {why}.")

    return refuse


_CONNECTIONS = "nodes alone connect to the storage"
_HOSTS = "storage has no hosts to choose from, use os-retype"

ACTIONS: Mapping[str, Do] = {
    "os-extend": Do(volumechange.extend),
    "os-set_bootable": Do(volumechange.set_bootable),
    "os-update_readonly_flag": Do(volumechange.set_readonly),
    "os-set_image_metadata": Do(volumechange.set_image_metadata),
    "os-unset_image_metadata": Do(volumechange.unset_image_metadata),
    "os-show_image_metadata": Do(volumechange.show_image_metadata),
    "os-retype": Do(retype),
    "os-volume_upload_image": Do(upload_image),
    "revert": Do(volumerevert.revert),
    "os-attach": Do(volumeattach.attach),
    "os-detach": Do(volumeattach.detach),
    "os-reserve": Do(volumeattach.reserve),
    "os-unreserve": Do(volumeattach.unreserve),
    "os-begin_detaching": Do(volumeattach.begin_detaching),
    "os-roll_detaching": Do(volumeattach.roll_detaching),
    "os-force_detach": Do(volumeattach.force_detach, admin=True),
    "os-force_delete": Do(force_delete, admin=True),
    "os-reset_status": Do(volumechange.reset_status, admin=True),
    "os-initialize_connection": Do(_refusal(_CONNECTIONS)),
    "os-terminate_connection": Do(_refusal(_CONNECTIONS)),
    "os-migrate_volume": Do(_refusal(_HOSTS), admin=True),
    "os-migrate_volume_completion": Do(_refusal(_HOSTS), admin=True),
    "os-unmanage": Do(_refusal("a volume is its holder in Ganeti: remove its tags there"), admin=True),
}


def act(volume_id: str) -> ResponseReturnValue:
    name, argument = schema.action(schema.body())
    known = ACTIONS.get(name)
    if known is None:
        raise BadRequest(f"There is no such action: {name[:80]}")
    is_admin = context.is_admin()
    row = volumes.need(volume_id, of_all=known.admin and is_admin)
    if known.admin and not is_admin:
        raise Forbidden(f"Policy doesn't allow {name} to be performed.")
    return known.view(row, argument)
