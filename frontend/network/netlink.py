"""The bridge that a tenant's network has to itself, of those that the operator has set aside ([front] tenant_links).

No two networks have one, whoever makes them: two fronts at once (the column is unique), one whose row was lost, or an
administrator by hand (Ganeti is asked where its networks are connected).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.web import context
from frontend.web.fault import Conflict

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_own = db.tenant_network.c


def taken(row: Row) -> str | None:
    """The one that a network has already; None: it shares one, or has none yet."""
    pool = context.services().settings.front.links
    connected = [link for _, _, link in row.get("groups") or () if link in pool]
    if connected:
        return str(connected[0])
    with context.database() as connection:
        found: str | None = connection.execute(select(_own.link).where(_own.id == row["id"])).scalar()
    return found


def take(row: Row) -> str:
    """The one that a network has from now on; Conflict when all are taken."""
    found = taken(row)
    if found is not None:
        return found
    listed = context.rapi(row).get("networks", {"bulk": 1})
    used = {link for each in listed for _, _, link, *_ in each["group_list"] or ()}
    for link in context.services().settings.front.links:
        if link not in used and _claimed(row["id"], link):
            log.info("network %s: has bridge %s", row["id"], link)
            return taken(row) or link
    raise Conflict("Unable to create the network. No tenant network is available for allocation.")


def _claimed(ident: str, link: str) -> bool:
    """False when another network has it."""
    with context.database() as connection:
        try:
            connection.execute(update(db.tenant_network).where(_own.id == ident, _own.link.is_(None)).values(link=link))
            connection.commit()
        except IntegrityError:
            connection.rollback()
            return False
    return True
