"""Messages of the update path, written into the database: one transaction each."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import JSON, Connection, Engine, Table, delete, insert, or_, select, update
from sqlalchemy.exc import DataError, IntegrityError

from frontend import db, reading, state
from ganeti_ext import event, tags

log = logging.getLogger(__name__)

# The message's fault. Every other error of the database is the database's, and the message comes again.
_NOT_UNDERSTOOD = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError),
    *(DataError, IntegrityError),
)

_NETWORK_REMOVE = "OP_NETWORK_REMOVE"
_SHOWN = 200  # characters of a bad message in the log


class Mirror:
    """The rows that are a copy of what Ganeti has. `prefix` is how our instances' names begin."""

    def __init__(self, engine: Engine, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._prefix = prefix
        self._clock = clock
        self._handlers: Mapping[str, Callable[[Connection, state.Message], None]] = {
            event.OP_STATUS: self._op_status,
            event.NETWORK_STATUS: self._network_status,
            event.NET_STATUS: self._net_status,
            event.CLUSTER_STATUS: lambda *_: None,
        }

    def take(self, body: str | bytes) -> None:
        """Apply one message; when this returns, it is in the database for good and may be forgotten.

        Raises SQLAlchemyError when the database does not work: the message has to come again. What cannot be
        understood is laid aside in the table dead_letter.
        """
        try:
            self._apply(event.decode(body))
        except _NOT_UNDERSTOOD as err:
            self._lay_aside(body, f"{type(err).__name__}: {err}")

    def _apply(self, message: state.Message) -> None:
        handler = self._handlers[message["type"]]
        try:
            with self._engine.begin() as connection:
                handler(connection, message)
        except IntegrityError:
            # The API inserted the same server's row in between: now it is there to be updated.
            with self._engine.begin() as connection:
                handler(connection, message)

    def _op_status(self, connection: Connection, message: state.Message) -> None:
        _check_order(message)
        if (message.get("job_fields") or {}).get("dry_run"):
            return
        name = message["instance"]
        row = locked_server(connection, db.server.c.instance == name)
        if row is None:
            row = self._born(connection, message)
        if row is None:
            log.debug("%s of %s: none of ours", message["operation"], name)
            return
        changes = state.advance(row, message, subnets6(connection))
        if changes:
            write_server(connection, row, changes, self._clock())
            _tell(row, changes, f"job {message['order'][2]} {message['operation']} {message['status']}")

    def _born(self, connection: Connection, message: state.Message) -> dict[str, Any] | None:
        """Our instance that has no row: its create's answer got lost, or the database was made anew."""
        ident = reading.server_id(message["instance"], self._prefix)
        if ident is None or message["operation"] != state.CREATE:
            return None
        fields, read = message.get("job_fields") or {}, message.get("instance_state") or {}
        facts = tags.decode([*(fields.get("tags") or ()), *(read.get("tags") or ())])
        if not facts.get("project"):
            log.warning("instance %s: no row and no tag that says whose it is, ignored", message["instance"])
            return None
        # After a rename the row is there by its id.
        row = locked_server(connection, db.server.c.id == ident)
        if row is None:
            size, created = self._size(connection, facts, fields), state.seconds(message["order"])
            row = reading.new_row(ident, message["instance"], facts, size, created)
            connection.execute(insert(db.server).values(checked(db.server, row)))
            log.info("server %s: a row made from the tags of its instance", ident)
        return row

    def _size(self, connection: Connection, facts: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, int]:
        asked: dict[str, int] = {"disk": sum(int(disk["size"]) for disk in fields.get("disks") or ()) // 1024}
        for _, columns in reading.size(fields.get("beparams") or {}):
            asked.update(columns)
        return {**asked, **flavor_size(connection, facts.get("flavor", ""))}

    def _net_status(self, connection: Connection, message: state.Message) -> None:
        row = locked_server(connection, db.server.c.instance == message["instance"])
        changes = state.note(row, message) if row is not None else None
        if row is not None and changes:
            write_server(connection, row, changes, self._clock())
            _tell(row, changes, f"a note of {message['node']}")

    def _network_status(self, connection: Connection, message: state.Message) -> None:
        _check_order(message)
        if message["status"] != "success" or (message.get("job_fields") or {}).get("dry_run"):
            return
        if message["operation"] == _NETWORK_REMOVE:
            _forget_network(connection, message["network"], message["order"])
        elif message.get("network_data"):
            order = [*message["read_at"], *message["order"][2:]]
            _keep_network(connection, message["network_data"], order, self._clock())

    def _lay_aside(self, body: str | bytes, reason: str) -> None:
        raw = body.encode(errors="surrogatepass") if isinstance(body, str) else body
        digest, text = hashlib.sha256(raw).hexdigest(), raw.decode(errors="replace").replace("\0", "\ufffd")
        log.error("message laid aside, %s: %s", reason[:_SHOWN], text[:_SHOWN])
        row = {"digest": digest, "body": text, "reason": reason.replace("\0", "\ufffd"), "time": self._clock()}
        with self._engine.begin() as connection:
            known = select(db.dead_letter.c.digest).where(db.dead_letter.c.digest == digest)
            if connection.execute(known).first() is None:
                connection.execute(insert(db.dead_letter).values(row))


def locked_server(connection: Connection, where: Any) -> dict[str, Any] | None:
    """A row, locked until the transaction ends (see db.connect_writer)."""
    return locked(connection, db.server, where)


def locked(connection: Connection, table: Table, where: Any) -> dict[str, Any] | None:
    found = connection.execute(select(table).where(where).with_for_update()).mappings().first()
    return dict(found) if found is not None else None


def write_server(connection: Connection, row: state.Row, changes: Mapping[str, Any], now: float) -> None:
    """Write changed columns; `updated` only when a client can see one of them."""
    seen = {} if changes.keys() <= state.BOOKKEEPING else {"updated": now}
    values = checked(db.server, {**changes, **seen})
    connection.execute(update(db.server).where(db.server.c.id == row["id"]).values(values))


def checked(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, if they are of their columns' types; drivers disagree on what they raise for others."""
    for name, value in values.items():
        kind = table.c[name].type
        if not (isinstance(kind, JSON) or value is None or isinstance(value, kind.python_type)):
            raise ValueError(f"{table.name}.{name}: {value!r:.80} is no {kind.python_type.__name__}")
    return dict(values)


def subnets6(connection: Connection) -> dict[str, str | None]:
    """The IPv6 subnet of each network, by its name."""
    found = connection.execute(select(db.network.c.name, db.network.c.subnet6)).all()
    return {row.name: row.subnet6 for row in found}


def flavor_size(connection: Connection, ident: str) -> dict[str, int]:
    """vcpus, ram and disk of a flavor; empty when there is none."""
    columns = db.flavor.c
    found = connection.execute(select(columns.vcpus, columns.ram, columns.disk).where(columns.id == ident))
    return {name: int(value) for row in found.mappings() for name, value in row.items()}


def network_row(data: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a network in network_data of a message."""
    columns = {name: data.get(name) for name in ("name", "subnet", "gateway", "subnet6", "gateway6")}
    return {"id": data["uuid"], **columns, "tags": sorted(data.get("tags") or ())}


def _keep_network(connection: Connection, data: Mapping[str, Any], order: list[Any], now: float) -> None:
    new = network_row(data)
    removed = locked(connection, db.removed_network, db.removed_network.c.name == new["name"])
    if removed is not None and removed["order"] >= order:
        return
    # Another network of its name that is told of earlier is gone, or Ganeti would not have let it have the name.
    same = or_(db.network.c.id == new["id"], db.network.c.name == new["name"])
    known = list(connection.execute(select(db.network).where(same).with_for_update()).mappings())
    if any((row["read_order"] or []) >= order for row in known):
        return
    connection.execute(delete(db.network).where(same, db.network.c.id != new["id"]))
    columns = checked(db.network, {**new, "updated": now, "read_order": order})
    there = new["id"] in [row["id"] for row in known]
    write = update(db.network).where(db.network.c.id == new["id"]) if there else insert(db.network)
    connection.execute(write.values(columns))
    log.info("network %s: %s", new["name"], "updated" if there else "added")


def _forget_network(connection: Connection, name: str, order: list[Any]) -> None:
    table = db.removed_network
    known = locked(connection, table, table.c.name == name)
    if known is None:
        connection.execute(insert(table).values(name=name, order=order))
    elif known["order"] < order:
        connection.execute(update(table).where(table.c.name == name).values(order=order))
    row = locked(connection, db.network, db.network.c.name == name)
    if row is not None and (row["read_order"] or []) < order:
        connection.execute(delete(db.network).where(db.network.c.id == row["id"]))
        log.info("network %s: removed", name)


def _check_order(message: state.Message) -> None:
    order, status = message["order"], message["status"]
    if status not in event.RANKS:
        raise ValueError(f"unknown status {status!r}")
    if not (isinstance(order, list) and len(order) == 5 and all(isinstance(part, int) for part in order)):
        raise ValueError(f"order {order!r} is no list of five integers")
    read_at = message.get("read_at")
    if read_at is not None and not (len(read_at) == 2 and all(isinstance(part, int) for part in read_at)):
        raise ValueError(f"read_at {read_at!r} is not [seconds, microseconds]")


def _tell(row: state.Row, changes: Mapping[str, Any], why: str) -> None:
    shown = {name: value for name, value in changes.items() if name in ("status", "task", "host", "deleted", "fault")}
    if shown:
        log.info("server %s: %s, by %s", row["id"], ", ".join(f"{k} {v}" for k, v in shown.items()), why)
