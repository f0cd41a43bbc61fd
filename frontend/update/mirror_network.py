"""Messages about networks, written into their rows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Table, and_, delete, insert, or_, select, update
from sqlalchemy.sql.expression import ColumnElement

from frontend.database import db
from frontend.network import portkept, tenantnet
from frontend.update import state
from frontend.update.rows import Rows, checked, locked
from frontend.update.whose import OF

log = logging.getLogger(__name__)

_REMOVE = "OP_NETWORK_REMOVE"


def apply(rows: Rows, message: state.Message) -> bool:
    """Whether it changed anything."""
    if message["status"] != "success":
        return False
    if message["operation"] == _REMOVE:
        return _forget(rows, message[OF], message["network"], state.stamp(message))
    if not message.get("network_data"):
        return False
    data = {**message["network_data"], "cluster": message[OF]}
    return _keep(rows, data, state.stamp(message, read=True))


def network_row(data: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a network in network_data of a message, and the `cluster` that this is of."""
    columns = {name: data.get(name) for name in ("cluster", "name", "subnet", "gateway", "subnet6", "gateway6")}
    columns |= {"groups": tenantnet.groups(data["groups"])} if data.get("groups") is not None else {}
    return {"id": data["uuid"], **columns, "tags": portkept.others(data.get("tags") or ())}


def _keep(rows: Rows, data: Mapping[str, Any], order: list[Any]) -> bool:
    connection, new, cluster = rows.connection, network_row(data), data["cluster"]
    removed = locked(connection, db.removed_network, _named(db.removed_network, cluster, new["name"]))
    if removed is not None and removed["order"] >= order:
        return False
    # Another network of its name that is told of earlier is gone, or Ganeti would not have let it have the name.
    same = or_(db.network.c.id == new["id"], _named(db.network, cluster, new["name"]))
    query = select(db.network).where(same).order_by(db.network.c.id).with_for_update()
    known = list(connection.execute(query).mappings())
    if any((row["read_order"] or []) >= order for row in known):
        return False
    connection.execute(delete(db.network).where(same, db.network.c.id != new["id"]))
    columns = checked(db.network, {**new, "updated": rows.now, "read_order": order})
    there = new["id"] in [row["id"] for row in known]
    write = update(db.network).where(db.network.c.id == new["id"]) if there else insert(db.network)
    connection.execute(write.values(columns))
    rows.networks_changed()
    for was in {row["name"] for row in known if row["id"] == new["id"]} - {new["name"]}:
        _rename(rows, cluster, was, new["name"])
    rows.after.append(lambda: log.info("network %s: %s", new["name"], "updated" if there else "added"))
    return True


def _rename(rows: Rows, cluster: str, was: str, name: str) -> None:
    """Servers know their networks by name: Ganeti says nothing of them when it has another one."""
    column = db.server.c
    found = rows.connection.execute(
        select(column.id, column.nics).where(column.cluster == cluster, column.deleted.is_(None))
    )
    idents = [row.id for row in found if any(nic.get("network") == was for nic in row.nics)]
    rows.flush()  # or what this transaction knows of them already would be read as it was before
    rows.load_servers((), idents)
    for row in filter(None, map(rows.server_by_id, idents)):
        nics = [{**nic, "network": name} if nic.get("network") == was else nic for nic in row["nics"]]
        rows.change_server(row, {"nics": nics})


def _named(table: Table, cluster: str, name: str) -> ColumnElement[bool]:
    return and_(table.c.cluster == cluster, table.c.name == name)


def _forget(rows: Rows, cluster: str, name: str, order: list[Any]) -> bool:
    connection, table = rows.connection, db.removed_network
    known = locked(connection, table, _named(table, cluster, name))
    if known is None:
        connection.execute(insert(table).values(cluster=cluster, name=name, order=order))
    elif known["order"] < order:
        connection.execute(update(table).where(_named(table, cluster, name)).values(order=order))
    row = locked(connection, db.network, _named(db.network, cluster, name))
    if row is None or (row["read_order"] or []) >= order:
        return False
    connection.execute(delete(db.network).where(db.network.c.id == row["id"]))
    rows.networks_changed()
    rows.after.append(lambda: log.info("network %s: removed", name))
    return True
