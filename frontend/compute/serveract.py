"""POST /servers/ID/action: the table of actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flask.typing import ResponseReturnValue

from frontend.compute import changepassword, lock, migration_view, power, rebuild, refused, resetstate, resize, servers
from frontend.console import console, consolelog
from frontend.image import createimage
from frontend.network import securitygroups
from frontend.web import context, schema
from frontend.web.fault import BadRequest, Forbidden

View = Callable[[Mapping[str, Any], object], ResponseReturnValue]


class Do(NamedTuple):
    view: View
    """Called with the server's row and what the action's key held."""
    locked: bool = False
    """Whether it may be done to a locked server by whoever may do it at all."""
    admin: bool = False
    """For administrators alone, and to everybody's servers."""


ACTIONS: Mapping[str, Do] = {
    "os-start": Do(power.start),
    "os-stop": Do(power.stop),
    "reboot": Do(power.reboot),
    "forceDelete": Do(servers.force_delete),
    "resize": Do(resize.resize),
    "confirmResize": Do(resize.confirm),
    "revertResize": Do(resize.revert),
    "rebuild": Do(rebuild.rebuild),
    "rescue": Do(rebuild.rescue),
    "unrescue": Do(rebuild.unrescue),
    "createImage": Do(createimage.create),
    "changePassword": Do(changepassword.change),
    "addSecurityGroup": Do(securitygroups.add),
    "removeSecurityGroup": Do(securitygroups.remove),
    "lock": Do(lock.lock, locked=True),
    "unlock": Do(lock.unlock, locked=True),
    "migrate": Do(migration_view.migrate, admin=True),
    "os-migrateLive": Do(migration_view.migrate_live, admin=True),
    "evacuate": Do(migration_view.evacuate, admin=True),
    "os-resetState": Do(resetstate.reset, admin=True),
    "os-getVNCConsole": Do(console.vnc, locked=True),
    "os-getSPICEConsole": Do(console.spice, locked=True),
    "os-getRDPConsole": Do(console.rdp, locked=True),
    "os-getSerialConsole": Do(console.serial, locked=True),
    "os-getConsoleOutput": Do(consolelog.show, locked=True),
    **{name: Do(view, locked=True) for name, view in refused.views().items()},
}


def act(server_id: str) -> ResponseReturnValue:
    name, argument = schema.action(schema.body())
    known = ACTIONS.get(name)
    if known is None:
        raise BadRequest(f"There is no such action: {name[:80]}")
    is_admin = context.is_admin()
    server = servers.need(server_id, of_all=known.admin and is_admin)
    if known.admin and not is_admin:
        raise Forbidden(f"Policy doesn't allow {name} to be performed.")
    if not known.locked:
        lock.check(server)
    return known.view(server, argument)
