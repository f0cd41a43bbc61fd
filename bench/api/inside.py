"""The worker in the root that fills the front's databases, and counts in them. It answers bench.remote.

It runs on Debian 13, with the front's own tables.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from bench.api import population
from bench.remote import answer
from frontend import settings
from frontend.database import db
from frontend.identity import tokens

HASH = "pbkdf2:sha256:1$x$0"  # no password's, but a token has a mark of it
_workers: dict[str, Worker] = {}


class Worker(threading.Thread):
    """Writes as the consumer does: a transaction for each message, so many a second."""

    def __init__(self, conf: str, rate: float, jobs: int) -> None:
        super().__init__(daemon=True)
        self._engine = db.open_writer(settings.read(conf).front.database)
        self._rate, self._jobs = rate, jobs
        self._end = threading.Event()
        self.done = 0
        self.began = time.monotonic()
        self.failed: Exception | None = None

    def run(self) -> None:
        due = time.monotonic()
        try:
            while not self._end.wait(max(0.0, due - time.monotonic())):
                self._write(1_000_000 + self.done % self._jobs)
                self.done += 1
                due = max(due + 1 / self._rate, time.monotonic() - 1)
        except Exception as err:  # noqa: BLE001 (whatever it is, `rest` raises it)
            self.failed = err

    def _write(self, job: int) -> None:
        now, action, server = time.time(), db.action, db.server
        with self._engine.begin() as connection:
            connection.execute(action.update().where(action.c.job == job).values(updated=now))
            ident = population.ident("server", str(job % 1000))
            connection.execute(server.update().where(server.c.id == ident).values(updated=now))

    def stop(self) -> None:
        self._end.set()
        self.join()
        self._engine.dispose()


def fill(conf: str, servers: int) -> None:
    """Make the tables, and put in so many servers of all users."""
    engine = db.connect(settings.read(conf).front.database)
    projects, users, memberships = zip(*population.accounts(HASH), strict=True)
    with engine.begin() as connection:
        connection.execute(db.project.insert(), list(projects))
        connection.execute(db.user.insert(), list(users))
        connection.execute(db.membership.insert(), list(memberships))
        for table, row in population.offered().items():
            connection.execute(db.metadata.tables[table].insert().values(row))
        connection.execute(db.node.insert(), population.nodes())
        connection.execute(db.server.insert(), list(population.servers(servers)))
        if engine.dialect.name == "postgresql":  # as it does by itself a minute later
            connection.exec_driver_sql("ANALYZE")
    engine.dispose()


def issue(conf: str, names: Sequence[str]) -> list[str]:
    """Tokens of users, each for his project."""
    front = settings.read(conf).front
    signer = tokens.Signer(tokens.load_secret(front.secret_file), front.token_hours)
    ident = population.ident
    proofs = [tokens.Proof(ident("user", name), signer.mark(HASH), ("password",)) for name in names]
    return [signer.issue(proof, ident("project", name))[0] for proof, name in zip(proofs, names, strict=True)]


def busy(conf: str, jobs: int, rate: float) -> None:
    """Let so many jobs go on, and write so often in their name, until `rest`."""
    engine = db.connect(settings.read(conf).front.database)
    with engine.begin() as connection:
        connection.execute(db.action.insert(), population.jobs(jobs, time.time()))
    engine.dispose()
    _workers["one"] = Worker(conf, rate, jobs)
    _workers["one"].start()


def rest(conf: str) -> float:
    """The jobs are over; how many transactions a second were written."""
    worker = _workers.pop("one")
    worker.stop()
    rate = worker.done / (time.monotonic() - worker.began)
    engine = db.connect(settings.read(conf).front.database)
    with engine.begin() as connection:
        connection.execute(db.action.delete())
    engine.dispose()
    if worker.failed is not None:
        raise worker.failed
    return rate


def taken(conf: str) -> list[tuple[str, str]]:
    """Id and instance of each server that the makers made; they are forgotten, with all that was kept of them."""
    engine = db.open_writer(settings.read(conf).front.database)
    projects = [population.ident("project", population.maker(number)) for number in range(population.MAKERS)]
    with engine.begin() as connection:
        server = db.server.c
        rows = connection.execute(db.server.select().where(server.project_id.in_(projects))).mappings().all()
        found = [(row["id"], row["instance"]) for row in rows]
        connection.execute(db.server.delete().where(server.project_id.in_(projects)))
        for table in (db.request, db.owed, db.reservation):
            connection.execute(table.delete())
    engine.dispose()
    return found


def limit(conf: str, name: str, most: int) -> None:
    """Give a project a limit of servers; -1: any number. Their NICs are below no limit, though each is a port."""
    engine = db.open_writer(settings.read(conf).front.database)
    with engine.begin() as connection:
        mine = db.project.c.id == population.ident("project", name)
        connection.execute(db.project.update().where(mine).values(max_servers=most, max_ports=-1, max_addresses=-1))
    engine.dispose()


def unsettled(conf: str) -> list[str]:
    """Ids of servers of which the front does not know whether Ganeti has taken their create."""
    engine = db.open_engine(settings.read(conf).front.database)
    with engine.connect() as connection:
        found = [row["server_id"] for row in connection.execute(db.owed.select()).mappings() if row["job"] is None]
    engine.dispose()
    return found


if __name__ == "__main__":
    answer(fill, issue, busy, rest, taken, limit, unsettled)
