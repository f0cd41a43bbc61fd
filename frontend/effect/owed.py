"""What the front still owes its tenants: rows of the table `owed`, written in the transactions that make them due.

    create   The request of a create that goes on, kept until its end: if Ganeti then lacks something for the moment
             alone, the same is submitted once more. tries 0: it goes on; 1: to be submitted again; 2 and more:
             that was begun, and may have been done by somebody who died of it. Without a job then, it is the first
             one, whose answer was lost (submission.py).
    remove   A server was deleted while it was built. Its removal is submitted behind the job that builds it.
    unmake   Servers and volumes of a chain that broke off: the tenant was told that there are none. If Ganeti has one
             all the same, as its create was under way already, or its answer lost, it is removed.
    untag    A tag was left on an instance (lefttag.py). It is taken away once whoever may still need it is surely done.
    chain    Jobs that wait for each other are being submitted (begun.py). tries 0: somebody is at it, until it is due;
             then he is dead, and the rest is submitted. `job`: all that it has are behind that one.
    group    A tenant's security group is to be in Ganeti as its rows say (groupjobs.py).
    connect  A tenant's network lacks in a node group. It is connected, if it lacks still and is connected elsewhere.
    give     The disk of a volume is attached to nothing. It is given to its holder, again and again until it has it.

payer.py does what is due. Done twice, neither does harm: of two creates the second is refused, and so is a removal
of what is gone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import bindparam, delete, exists, insert, select, update
from sqlalchemy.engine import Connection

from frontend.database import db
from frontend.effect.clusters import HOME
from frontend.update import state
from ganeti_ext import event

Row = dict[str, Any]

CREATE, REMOVE, UNTAG, UNMAKE, CHAIN, GIVE = "create", "remove", "untag", "unmake", "chain", "give"
GROUP, CONNECT = "group", "connect"
# Seconds: how long a create may take before one asks whether its end was missed; and who promised pays for himself.
_KEPT = 86_400.0
_GRACE = 20.0
_SURELY = 60.0
_NEW = insert(db.owed)
_ACCEPTED = update(db.owed).where(
    db.owed.c.server_id == bindparam("whose"), db.owed.c.what == CREATE, db.owed.c.job.is_(None)
)
_ACCEPTED = _ACCEPTED.values(job=bindparam("number"))
# Each payer asks every few seconds: to make the statement takes longer than to ask it.
_DUE = select(db.owed).where(
    db.owed.c.cluster == bindparam("where"),
    db.owed.c.due <= bindparam("now"),
    db.owed.c.what.in_((REMOVE, UNTAG, UNMAKE, CHAIN, GIVE, GROUP, CONNECT)) | (db.owed.c.tries > 0),
)
_DUE = _DUE.order_by(db.owed.c.due).limit(1).with_for_update(skip_locked=True)
_READ = 0.5  # seconds: luxid knows a job's end, and what it changed, a moment after eventd


def keep_creates(connection: Connection, bodies: Mapping[str, str], cluster: str = HOME) -> None:
    """Before creates are submitted: what is to be submitted, encrypted, by the ids of their servers."""
    due = time.time() + _KEPT
    rows = [_row(ident, CREATE, due=due, body=body, cluster=cluster) for ident, body in bodies.items()]
    if rows:
        connection.execute(_NEW, rows)


def accepted(connection: Connection, server_id: str, job: int) -> None:
    """Ganeti took the create as this job."""
    connection.execute(_ACCEPTED, {"whose": server_id, "number": job})


def lost(connection: Connection, server_id: str, due: float) -> None:
    """Nobody knows whether Ganeti took the create: to be looked for, and submitted again if it is not there."""
    mine = (db.owed.c.server_id == server_id, db.owed.c.what == CREATE, db.owed.c.job.is_(None))
    connection.execute(update(db.owed).where(*mine).values(tries=2, due=due))


def found_again(connection: Connection, ident: str, job: int) -> None:
    """The create whose answer was lost, or the same in its place, goes on as this job."""
    _change(connection, ident, job=job, tries=0, due=time.time() + _KEPT)


def refused(connection: Connection, server_ids: Collection[str]) -> None:
    """Ganeti did not take the creates, or was not asked."""
    mine = (db.owed.c.server_id.in_(sorted(server_ids)), db.owed.c.what == CREATE)
    connection.execute(delete(db.owed).where(*mine))


def after(connection: Connection, row: state.Row, message: state.Message) -> bool:
    """Whether the create of this message failed and is submitted once more; the row is locked.

    To be asked for each OP_STATUS message that has a row; the same message may come again.
    """
    if message["operation"] != state.CREATE or message["status"] not in event.FINAL:
        return False
    kept = _owed(connection, row["id"], CREATE)
    if kept is None:
        return False
    job, failed = message["order"][2], state.is_passing(message)
    first = kept["tries"] == 0 or kept["job"] is None
    if not first and job <= kept["job"]:
        return failed  # the first one, told again
    if first and kept["job"] not in (None, job):
        return False
    # With another job there, somebody else has taken the server in hand.
    if failed and first and row["job"] in (None, job):
        _change(connection, kept["id"], job=job, tries=1, due=time.time())
        return True
    settle(connection, kept["id"])
    return False


def promise_removal(connection: Connection, server_id: str) -> Row | None:
    """Mark a server that is being built as deleted by its user; what is owed now, None: it is not being built.

    The write comes first: it locks the row, in SQLite as well.
    """
    column = db.server.c
    building = (column.id == server_id, column.deleted.is_(None), column.status == state.BUILD)
    marked = update(db.server).where(*building).values(task=state.DELETING, updated=time.time())
    if connection.execute(marked).rowcount == 0:
        return None
    query = select(column.job, column.clocks, column.cluster).where(column.id == server_id)
    job, clocks, cluster = connection.execute(query).one()
    if job is not None:  # its create may be canceled now, and is not broken by that
        unwanted = {**(clocks or {}), "unwanted": [job]}
        connection.execute(update(db.server).where(column.id == server_id).values(clocks=unwanted))
    # A create that was begun again by now is the payer's to find; until then he keeps the removal waiting.
    unbegun = (db.owed.c.server_id == server_id, db.owed.c.what == CREATE, db.owed.c.tries < 2)
    connection.execute(delete(db.owed).where(*unbegun))
    if _owed(connection, server_id, REMOVE) is None:
        _add(connection, server_id, REMOVE, due=time.time() + _GRACE, job=job, cluster=cluster)
    return _owed(connection, server_id, REMOVE)


def promise_untag(connection: Connection, ident: str, instance: str, tag: str, now: float, cluster: str = HOME) -> bool:
    """Whether that was not promised yet. `ident`: of the image or snapshot that the tag is about."""
    if (instance, tag) in untags(connection, cluster):
        return False
    _add(connection, ident, UNTAG, due=now + _SURELY, body=f"{instance} {tag}", cluster=cluster)
    return True


def promise_unmake(connection: Connection, ident: str, instance: str, now: float, cluster: str = HOME) -> None:
    """See to it that there is no such instance, whose create may come in late."""
    _add(connection, ident, UNMAKE, due=now + _SURELY, body=instance, cluster=cluster)


def promise_connect(connection: Connection, ident: str, body: str, now: float, cluster: str = HOME) -> bool:
    """Whether that was not promised yet. `ident`: of the network in Ganeti; `body`: its name, the group, the bridge."""
    mine = (db.owed.c.what == CONNECT, db.owed.c.body == body, db.owed.c.cluster == cluster)
    if connection.execute(select(db.owed.c.id).where(*mine)).first() is not None:
        return False
    _add(connection, ident, CONNECT, due=now + _SURELY, body=body, cluster=cluster)
    return True


def untags(connection: Connection, cluster: str = HOME) -> set[tuple[str, str]]:
    """Instances and their tags that are to be taken away."""
    mine = (db.owed.c.what == UNTAG, db.owed.c.cluster == cluster)
    found = connection.execute(select(db.owed.c.body).where(*mine)).scalars()
    return {(instance, tag) for instance, _, tag in (str(body).partition(" ") for body in found)}


def promise_give(connection: Connection, volume_id: str, now: float, cluster: str = HOME) -> None:
    """Unless that was promised already."""
    if _owed(connection, volume_id, GIVE) is None:
        _add(connection, volume_id, GIVE, due=now, cluster=cluster)


def promise_group(connection: Connection, ident: str, version: int, due: float, cluster: str) -> None:
    """Instead of what was promised of the group before."""
    known = of_group(connection, ident, cluster)
    if known is None:
        _add(connection, ident, GROUP, due=due, body=f"{version} 0", cluster=cluster)
    else:
        _, _, cleared = known["body"].partition(" ")
        _change(connection, known["id"], body=f"{version} {cleared}", job=None, tries=0, due=due)


def of_group(connection: Connection, ident: str, cluster: str) -> Row | None:
    mine = (db.owed.c.server_id == ident, db.owed.c.what == GROUP, db.owed.c.cluster == cluster)
    found = connection.execute(select(db.owed).where(*mine)).mappings().first()
    return dict(found) if found is not None else None


def groups(connection: Connection, cluster: str) -> set[str]:
    """Ids of the groups of which something is owed there."""
    mine = (db.owed.c.what == GROUP, db.owed.c.cluster == cluster)
    return set(connection.execute(select(db.owed.c.server_id).where(*mine)).scalars())


def told_group(connection: Connection, found: Row, cleared: int, job: int, due: float) -> None:
    """Jobs of it are submitted, of which this one is the last, and versions up to `cleared` are taken away.

    Not if another version is owed by now.
    """
    version, _, _ = found["body"].partition(" ")
    mine = (db.owed.c.id == found["id"], db.owed.c.body == found["body"])
    connection.execute(update(db.owed).where(*mine).values(body=f"{version} {cleared}", job=job, due=due))


def ended_group(connection: Connection, cluster: str, job: int, now: float) -> None:
    """The last job of a group that is there has succeeded: that is looked at soon.

    Soon, as luxid may not have read it yet. Not of a group that is gone: that stays owed for a while (groupjobs.py).
    """
    there = exists().where(db.security_group.c.id == db.owed.c.server_id)
    mine = (db.owed.c.what == GROUP, db.owed.c.cluster == cluster, db.owed.c.job == job, there)
    connection.execute(update(db.owed).where(*mine).values(due=now + _READ))


def settle_group(connection: Connection, found: Row) -> None:
    """It is done, unless another version is owed by now."""
    connection.execute(delete(db.owed).where(db.owed.c.id == found["id"], db.owed.c.body == found["body"]))


def promise_chain(
    connection: Connection, about: str, body: str, job: int | None, due: float, cluster: str = HOME
) -> str:
    """Its id. `about`: the id of what it is for."""
    return _add(connection, about, CHAIN, due=due, job=job, body=body, cluster=cluster)


def begun(connection: Connection) -> set[str]:
    """The ids of what such chains are for."""
    return set(connection.execute(select(db.owed.c.server_id).where(db.owed.c.what == CHAIN)).scalars())


def waiting(connection: Connection) -> set[str]:
    """The servers that something is owed for which is not merely kept."""
    about_servers = (db.owed.c.what == REMOVE) | ((db.owed.c.tries > 0) & (db.owed.c.what == CREATE))
    found = select(db.owed.c.server_id).where(about_servers)
    return set(connection.execute(found).scalars())


def claim(connection: Connection, now: float, lease: float, cluster: str = HOME) -> Row | None:
    """The next that is due in a cluster: nobody else gets it for `lease` seconds."""
    found = connection.execute(_DUE, {"where": cluster, "now": now}).mappings().first()
    if found is None:
        return None
    tries = found["tries"] + 1
    _change(connection, found["id"], tries=tries, due=now + lease)
    return {**found, "tries": tries}


def still(connection: Connection, ident: str) -> Row | None:
    """What is owed as it is now; None when that is done."""
    found = connection.execute(select(db.owed).where(db.owed.c.id == ident)).mappings().first()
    return dict(found) if found is not None else None


def put_off(connection: Connection, ident: str, due: float) -> None:
    _change(connection, ident, due=due)


def settle(connection: Connection, ident: str) -> None:
    """It is done."""
    connection.execute(delete(db.owed).where(db.owed.c.id == ident))


def remove_behind(connection: Connection, server_id: str, job: int, cluster: str = HOME) -> None:
    """A server that its user deleted has one more create: remove it behind that."""
    known = _owed(connection, server_id, REMOVE)
    if known:
        _change(connection, known["id"], job=job, due=time.time())
    else:
        _add(connection, server_id, REMOVE, due=time.time(), job=job, cluster=cluster)


def is_begun_again(connection: Connection, server_id: str) -> bool:
    """Whether a second create is under way whose job nobody knows yet."""
    kept = _owed(connection, server_id, CREATE)
    return kept is not None and kept["tries"] > 1


def forget(connection: Connection, now: float) -> None:
    """Creates whose end nobody told of, of servers that are not being built."""
    building = select(db.server.c.id).where(db.server.c.status == state.BUILD, db.server.c.deleted.is_(None))
    old = (db.owed.c.what == CREATE, db.owed.c.tries == 0, db.owed.c.due < now)
    connection.execute(delete(db.owed).where(*old, db.owed.c.server_id.not_in(building)))


def _owed(connection: Connection, server_id: str, what: str) -> Row | None:
    mine = select(db.owed).where(db.owed.c.server_id == server_id, db.owed.c.what == what)
    found = connection.execute(mine).mappings().first()
    return dict(found) if found is not None else None


def _add(
    connection: Connection,
    server_id: str,
    what: str,
    *,
    due: float,
    job: int | None = None,
    body: str | None = None,
    cluster: str = HOME,
) -> str:
    row = _row(server_id, what, due=due, job=job, body=body, cluster=cluster)
    connection.execute(_NEW, row)
    return str(row["id"])


def _row(server_id: str, what: str, **more: Any) -> Row:
    return {"id": str(uuid.uuid4()), "server_id": server_id, "what": what, "job": None, "tries": 0, **more}


def _change(connection: Connection, ident: str, **values: Any) -> None:
    connection.execute(update(db.owed).where(db.owed.c.id == ident).values(values))
