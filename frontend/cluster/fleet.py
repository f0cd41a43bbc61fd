"""What the consumer does for each cluster: comparisons, what is owed there, what is free, and its own broker.

Each cluster has its own threads: one that does not answer keeps nobody but itself waiting. The table is read every few
seconds, so that what ganeti-ext-manage adds or takes away needs no restart.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from frontend.cluster.capacity import Capacity
from frontend.cluster.listener import Listener
from frontend.database.vault import Vault
from frontend.effect import clusters
from frontend.effect.clusters import HOME, OFFLINE, Clusters
from frontend.effect.payer import Payer
from frontend.effect.remote import RemoteApi
from frontend.reconcile.reconcile import Background, Reconciler
from frontend.reconcile.schedule import Schedule
from frontend.settings import Settings
from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

_LOOK = 5  # seconds from one look into the table to the next


class Post:
    """One cluster's. `row` is None of a home cluster that is the only one."""

    def __init__(self, engine: Engine, rapi: RemoteApi, vault: Vault, config: Settings, row: Row | None) -> None:
        name = clusters.shown(row) if row is not None and row["id"] != HOME else ""
        reconciler = Reconciler(engine, rapi, config.front.instance_prefix)
        self.schedule = Schedule(config.reconcile.seconds, Background(reconciler, name))
        self._payer = Payer(engine, rapi, vault)
        self._capacity: Capacity | None = None
        if row is not None:
            times = (config.clusters.seconds, config.clusters.unknown)
            self._capacity = Capacity(engine, rapi, *times, returned=lambda: self.schedule.trigger("cluster"))
        self.listener: Listener | None = None
        self.state = row["state"] if row is not None else None
        self.soon = 0
        """In so many turns the payer looks whether something is due, though it is not his time yet."""

    def tick(self, second: int, *, idle: bool) -> None:
        """Once a second. Of one that is offline nothing is asked; its servers are looked at all the same."""
        if self._capacity is not None:
            self._capacity.tick(ask=self.state != OFFLINE)
        if self.state == OFFLINE:
            return
        self.schedule.tick(idle if self.listener is None else self.listener.idle)
        if second % int(Payer.PERIOD) == 0 or self.soon:
            self.soon = max(0, self.soon - 1)
            self._payer.tick()

    @property
    def is_deaf(self) -> bool:
        return self.listener is not None and self.listener.is_dead

    def close(self) -> None:
        if self.listener is not None:
            self.listener.close()


class Fleet:
    """All of them. `listener` makes what hears a broker of a cluster's own, of its address."""

    def __init__(
        self,
        engine: Engine,
        known: Clusters,
        vault: Vault,
        config: Settings,
        listener: Callable[[Fleet, str, str], Listener] | None = None,
    ) -> None:
        self._engine, self._known, self._vault, self._config = engine, known, vault, config
        self._listener = listener
        self._posts: dict[str, tuple[object, Post]] = {}
        self._second = 0
        self._look()

    def trigger(self, reason: str, cluster: str = HOME) -> None:
        """Compare with one cluster as soon as possible."""
        if cluster in self._posts:
            self._posts[cluster][1].schedule.trigger(reason)

    def pay(self, cluster: str) -> None:
        """Something that is owed to a cluster is due within a second."""
        if cluster in self._posts:
            self._posts[cluster][1].soon = 2  # turns, one of which is behind that

    def trigger_all(self, reason: str) -> None:
        for cluster in list(self._posts):
            self.trigger(reason, cluster)

    def tick(self, idle: bool) -> None:
        """Once a second; `idle`: all messages that were there are applied."""
        self._second += 1
        if self._second % _LOOK == 0:
            try:
                self._look()
            except SQLAlchemyError as err:  # the log says it: nothing can be applied, either
                log.debug("clusters: %s", str(err).split("\n", 1)[0])
        for _, post in list(self._posts.values()):
            post.tick(self._second, idle=idle)

    def close(self) -> None:
        for _, post in self._posts.values():
            post.close()

    def _look(self) -> None:
        with self._engine.begin() as connection:
            rows: dict[str, Row | None] = {row["id"]: row for row in clusters.every(connection)}
        rows.setdefault(HOME, None)
        for cluster in self._posts.keys() - rows.keys():
            log.info("cluster %s: was removed", cluster)
            self._posts.pop(cluster)[1].close()
        for cluster, row in rows.items():
            said = row and tuple(row[name] for name in ("url", "user", "password", "ca", "broker"))
            known = self._posts.get(cluster)
            if known is None or known[0] != said or known[1].is_deaf:
                self._begin(cluster, row, said)
            elif row is not None:
                post = known[1]
                if post.state == OFFLINE != row["state"]:
                    post.schedule.trigger("cluster")
                post.state = row["state"]

    def _begin(self, cluster: str, row: Row | None, said: object) -> None:
        try:
            post = Post(self._engine, self._known.plain(row, cluster), self._vault, self._config, row)
            if row is not None and row["broker"] and self._listener is not None:
                post.listener = self._listener(self, cluster, self._vault.unlock(row["broker"]))
        except (ExtError, ValueError) as err:
            log.error("cluster %s: %s", cluster, err)
            return
        if cluster in self._posts:
            self._posts.pop(cluster)[1].close()
        self._posts[cluster] = said, post
