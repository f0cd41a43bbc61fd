"""Messages of the update path, written into the database: many in one transaction, each of them once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from frontend.database import db
from frontend.effect import owed, purpose
from frontend.image import savedimage
from frontend.update import actions, blame, incoming, letters, mirror_network, mirror_server, recalled, samples, state
from frontend.update.recalled import StaleError
from frontend.update.remembered import Memory
from frontend.update.rows import Rows
from frontend.update.whose import OF, Whose
from ganeti_ext import event, groups

log = logging.getLogger(__name__)

TRIES = 3
"""How often a message is tried whose fault the failure may not be."""

_SHOWN = 200  # characters of a bad message in the log

Body = str | bytes
Handler = Callable[[Rows, state.Message], bool]


class Mirror:
    """The rows that are a copy of what Ganeti has. `prefix` is how our instances' names begin.

    `seen` is called for each message that was taken, once that is in the database, with the message ({} of a dead
    letter) and what became of it: applied, skipped, dead. `compare` is called with the reason, and the id of the
    cluster, when a message tells that only a comparison with Ganeti shows how things are; `pay` with that id when
    something that is owed there (owed.py) is due within a second.
    """

    def __init__(
        self,
        engine: Engine,
        prefix: str,
        clock: Callable[[], float] = time.time,
        seen: Callable[[Mapping[str, Any], str], None] = lambda *_: None,
        compare: Callable[[str, str], None] = lambda *_: None,
        pay: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._engine, self._prefix, self._clock = engine, prefix, clock
        self._seen, self._compare, self._pay = seen, compare, pay
        self._memory, self._whose = Memory(), Whose(engine)
        self._handlers: Mapping[str, Handler] = {
            event.OP_STATUS: mirror_server.apply,
            event.NETWORK_STATUS: mirror_network.apply,
            event.NODE_STATUS: self._node,
            event.GROUP_STATUS: self._node,
            event.CLUSTER_STATUS: self._of_cluster,
            event.PROGRESS: mirror_server.progress,
            event.HEARTBEAT: _heartbeat,
            event.LOST: self._lost,
            event.MASTER: self._master,
            event.SAMPLES: samples.apply,
        }

    def take(self, body: Body) -> None:
        """Apply one message; when this returns, it is in the database for good and may be forgotten.

        Raises SQLAlchemyError when the database does not work: the message has to come again. What cannot be
        understood or applied is laid aside (letters.py).
        """
        tries = 0
        while (failure := self._attempt([body])) is not None:
            tries += 1
            if isinstance(failure, SQLAlchemyError) and blame.is_the_databases(failure, self._engine):
                raise failure
            if tries == TRIES or isinstance(failure, blame.NOT_UNDERSTOOD):
                if isinstance(failure, OperationalError):  # others were in its way, and may not be later
                    raise failure
                self._lay_aside(body, failure, tries)
                return

    def take_all(self, bodies: Sequence[Body]) -> Iterator[int]:
        """Apply messages as `take` does, in as few transactions as can be; yields how many more are in for good."""
        if len(bodies) > 1:
            failure = self._attempt(bodies)
            if failure is None:
                yield len(bodies)
                return
            if isinstance(failure, SQLAlchemyError) and blame.is_silence(failure):
                raise failure
        # One of them is bad, or in another's way: whichever it is, the others are not kept by it.
        for body in bodies:
            self.take(body)
            yield 1

    def replay(self, letter: letters.Row) -> str | None:
        """Apply a dead letter once, which then is gone; why it could not be, or None.

        Raises SQLAlchemyError as `take` does.
        """
        body, name = letter["body"], letter["digest"]
        if letters.digest(body) != name:
            return "only a part of it could be kept"
        failure = self._attempt([body], aside=False)
        if isinstance(failure, SQLAlchemyError) and blame.is_the_databases(failure, self._engine):
            raise failure
        with self._engine.begin() as connection:
            if failure is None:
                letters.drop(connection, name)
                return None
            letters.keep(connection, body, letters.reason(failure), 1, self._clock())
        return letters.reason(failure)

    def _attempt(self, bodies: Iterable[Body], *, aside: bool = True) -> Exception | None:
        """All of them or none, in one transaction; `aside`: those that say nothing are laid aside in it."""
        messages: list[incoming.Message] = []
        bad: list[tuple[Body, str]] = []
        try:
            for body in bodies:
                try:
                    message = incoming.parsed(body)
                    if message["type"] == event.SAMPLES and self._whose.known(message) is None:
                        continue  # nobody needs them, and no letter is to be kept of each minute
                    messages.append({**message, OF: self._whose.cluster(message)})
                except blame.NOT_UNDERSTOOD as err:
                    if not aside:
                        return err
                    bad.append((body, letters.reason(err)))
            if bad or not self._write_recalled(messages):
                self._write(messages, bad)
        except Exception as err:  # noqa: BLE001 (whatever one message does, the others are not kept by it)
            return err
        return None

    def _write(self, messages: Sequence[incoming.Message], bad: Sequence[tuple[Body, str]]) -> None:
        with self._engine.begin() as connection:
            rows = Rows(connection, self._prefix, self._clock())
            outcomes = self._apply(rows, messages)
            rows.flush()
            for body, why in bad:
                letters.keep(connection, body, why, 1, rows.now)
        self._tell(rows, zip(messages, outcomes, strict=True), bad)

    def _write_recalled(self, messages: Sequence[incoming.Message]) -> bool:
        """False, and nothing is done, when that needs the rows as they are in the database."""
        if not recalled.suits(messages, self._engine.dialect.name, self._prefix):
            return False
        try:
            with self._engine.begin() as connection:
                rows = recalled.rows_of(connection, self._prefix, self._clock(), self._memory)
                outcomes = self._apply(rows, messages)
                rows.flush()
        except StaleError:
            return False
        rows.remember()
        self._tell(rows, zip(messages, outcomes, strict=True), ())
        return True

    def _tell(
        self, rows: Rows, taken: Iterable[tuple[incoming.Message, bool]], bad: Iterable[tuple[Body, str]]
    ) -> None:
        for call in rows.after:
            call()
        for message, changed in taken:
            self._seen(message, "applied" if changed else "skipped")
        for body, why in bad:
            shown = body[:_SHOWN] if isinstance(body, str) else body[:_SHOWN].decode(errors="replace")
            log.error("message laid aside, %s: %s", why, shown)
            self._seen({}, "dead")

    def _apply(self, rows: Rows, messages: Sequence[incoming.Message]) -> list[bool]:
        about = [message for message in messages if "instance" in message]
        names = {(message[OF], message["instance"]) for message in about}
        idents = {mirror_server.identity(message, self._prefix) for message in about}
        if names:
            rows.load_servers(names, filter(None, idents))
        if keys := {actions.key(message) for message in messages if message["type"] in actions.KINDS}:
            rows.load_actions(keys)
        return [self._handle(rows, message) for message in messages]

    def _handle(self, rows: Rows, message: incoming.Message) -> bool:
        if incoming.is_rehearsal(message) and message["type"] != event.HEARTBEAT:
            return False
        handler = self._handlers.get(message["type"])
        changed = handler(rows, message) if handler else False
        if message["type"] == event.OP_STATUS:
            changed = savedimage.apply(rows, message) or changed
        if message["type"] in actions.KINDS:
            changed = _keep_action(rows, message) or changed
        return changed

    def _node(self, rows: Rows, message: state.Message) -> bool:
        if message["status"] in event.FINAL:
            rows.after.append(lambda: self._compare("node", message[OF]))
        return False

    def _of_cluster(self, rows: Rows, message: state.Message) -> bool:
        """Tags that tell of tenants' groups: the end of a job of the front's own, or an administrator's change."""
        told = any(str(tag).startswith(groups.HEAD) for tag in message["job_fields"].get("tags") or ())
        own = any(str(text).startswith(purpose.GROUP) for _, text in message.get("reason") or ())
        if told and own and message["status"] == "success":
            owed.ended_group(rows.connection, message[OF], message["jobId"], rows.now)
            rows.after.append(lambda: self._pay(message[OF]))
        elif told and message["status"] == "success":
            rows.after.append(lambda: self._compare("groups", message[OF]))
        return False

    def _lost(self, rows: Rows, message: state.Message) -> bool:
        def tell() -> None:
            log.warning("%s messages were lost on node %s", message.get("count"), message.get("node"))
            self._compare("lost", message[OF])

        rows.after.append(tell)
        return True

    def _master(self, rows: Rows, message: state.Message) -> bool:
        """It may know less than the one before, or than it did before."""
        rows.after.append(lambda: self._compare("master", message[OF]))
        return True

    def _lay_aside(self, body: Body, failure: Exception, tries: int) -> None:
        bad = (body, letters.reason(failure))
        with self._engine.begin() as connection:
            rows = Rows(connection, self._prefix, self._clock())
            letters.keep(connection, *bad, tries, rows.now)
        self._tell(rows, (), [bad])


def _keep_action(rows: Rows, message: state.Message) -> bool:
    key = actions.key(message)
    ident = host = None
    if message["type"] == event.OP_STATUS:
        row = mirror_server.find(rows, message)
        ident = row["id"] if row is not None else mirror_server.identity(message, rows.prefix)
        host = row["host"] if row is not None else None
    told = actions.told(rows.action(key), message, ident, host)
    if told.row is not None:
        rows.keep_action(told.row)
    return told.row is not None


def _heartbeat(rows: Rows, message: state.Message) -> bool:
    column = db.probe.c
    write = update(db.probe).where(column.id == message["probe"], column.received.is_(None))
    return rows.connection.execute(write.values(received=rows.now)).rowcount > 0
