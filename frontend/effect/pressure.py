"""Back-pressure: while more jobs go on than are allowed, no request starts one more."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Engine
from sqlalchemy.sql.expression import Select

from frontend.database import db
from frontend.effect import clusters
from frontend.effect.remote import RemoteApi
from ganeti_ext.errors import RapiError
from ganeti_ext.rapi import Query


class Throttled:
    """The remote API for what tenants ask. `submit` refuses with status 429 while `most` jobs go on; 0: never.

    What the front owes already, it submits by the remote API itself: that has been promised.
    """

    def __init__(self, rapi: RemoteApi, engine: Engine, most: int) -> None:
        self._rapi, self._engine, self._most = rapi, engine, most

    @property
    def of_cluster(self) -> str:
        return clusters.asked(self._rapi)

    @property
    def unlimited(self) -> RemoteApi:
        """The remote API itself: for what has to follow on a job that was let through."""
        return self._rapi

    def get(self, path: str, query: Query | None = None) -> Any:
        return self._rapi.get(path, query)

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        return self._rapi.query(what, fields, wanted)

    def submit(self, method: str, path: str, body: object = None, query: Query | None = None) -> int:
        if self._most and (count := unfinished(self._engine, self.of_cluster)) >= self._most:
            raise RapiError(f"{count} jobs go on, and max_jobs is {self._most}", HTTPStatus.TOO_MANY_REQUESTS)
        return self._rapi.submit(method, path, body, query)

    def cancel(self, job: int) -> bool:
        return self._rapi.cancel(job)


def unfinished(engine: Engine, cluster: str = clusters.HOME) -> int:
    """How many jobs go on in a cluster, as far as the database knows.

    The front marks a server when it submits a job, the consumer keeps an action once it hears of one: whichever of
    the two is ahead, the greater number is the newer one.
    """
    with engine.connect() as connection:
        return max(map(int, connection.execute(_counts(cluster)).one()))


@functools.lru_cache(64)
def _counts(cluster: str) -> Select[Any]:
    table = db.action.c
    actions = select(func.count(table.job.distinct())).where(table.ended.is_(None), clusters.actions(cluster))
    server = db.server.c
    # Not in the condition: SQLite would then rather look at all servers of the cluster than at those of `server_busy`.
    mine = func.count().filter(server.cluster == cluster)
    busy = select(mine).where(server.task.is_not(None), server.deleted.is_(None))
    return select(actions.scalar_subquery(), busy.scalar_subquery())
