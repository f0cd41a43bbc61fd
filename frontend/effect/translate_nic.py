"""NICs of servers that there are, from OpenStack's words to Ganeti's. Pure: values in, calls out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.effect import translate_create
from frontend.effect.translate import Call
from frontend.effect.translate_change import modify
from frontend.effect.translate_create import Wish
from frontend.network import portname

Row = Mapping[str, Any]

LAST = -1  # behind the NICs that are there
# Ganeti plugs it while it looks whether it may (instance_set_params.py CheckPrereq), and would not take it out again
# for a limit of its policy: MAX_NICS is looked at before that. A guest that does not run is left alone.
_LIVE = {"hotplug": True, "ignore_ipolicy": True}


def plug(instance: str, wish: Wish, port_id: str) -> Call:
    """One NIC more, also in the guest if it runs."""
    nic = {**translate_create.nic(wish), "name": portname.nic(port_id)}
    # The address of a port that was made beforehand is set apart, for it alone.
    more = {"conflicts_check": False} if wish.port or wish.apart else {}
    return modify(instance, nics=[["add", LAST, nic]], **_LIVE, **more)


def unplug(instance: str, nic: Row) -> Call:
    """One less: `nic` is of the server's row. By its name or UUID, as numbers change when another one goes."""
    return modify(instance, nics=[["remove", portname.handle(nic), {}]], **_LIVE)
