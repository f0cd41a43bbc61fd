"""A front and a Ganeti, for models of quotas of networks, subnets, ports, addresses, groups and rules.

Requests for these wait for their jobs, and are answered before all is told when that takes long. Whatever fails, is
lost, dies, or comes in between, Ganeti never has more than a project may have; and when all of it is over, what counts
is what is shown, and what is shown is what Ganeti has.
"""

from __future__ import annotations

import functools
import itertools
import random
import tempfile
import time
from collections.abc import Container
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import invariant
from sqlalchemy import delete, select, update

from frontend.database import db
from frontend.effect import awaited, owed
from frontend.effect.clusters import HOME
from frontend.network import addressquota, netname, networkquota, portkept
from frontend.quota import limits, reserved
from frontend.reconcile.reconcile import Reconciler
from ganeti_ext import groups, tags
from tests.unit.frontend.conftest import MINE, seed
from tests.unit.frontend.deferred import Deferred
from tests.unit.frontend.mortal import Fate, Mortal, Works

NETWORK = "/network/v2.0"
LIMITS = {
    "networks": 2,
    "subnets": 3,
    "ports": 3,
    "floating_ips": 2,
    "addresses": 4,
    "security_groups": 2,
    "security_group_rules": 7,
    "servers": 3,
    "cores": -1,
    "ram": -1,
}
KINDS = ("network", "subnet", "port", "floatingip", "security_group", "security_group_rule")
WHICH = st.integers(0, 9)
# How a request goes: well, or its process dies at a step, or an answer is lost, or Ganeti is away, or somebody else's
# request comes between two calls of Ganeti; and when it has, Ganeti is away (`beaten`).
FATES = st.one_of(
    st.none(),
    st.none(),
    st.tuples(st.just("dies"), st.integers(1, 80)),
    st.tuples(st.just("lost"), st.integers(1, 3)),
    st.tuples(st.just("away"), st.integers(1, 3)),
    st.tuples(st.just("between"), st.integers(1, 6)),
    st.tuples(st.just("beaten"), st.integers(1, 3)),
)


class Waiting:
    """The clock of who waits for jobs: a look later Ganeti has done them, or the time is over."""

    def __init__(self, site: Site) -> None:
        self._site, self._now = site, 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, _seconds: float) -> None:
        if not self._site.does():
            self._now += awaited.PATIENCE


class Site(Mortal):
    def __init__(self) -> None:
        self.ganeti = Deferred()
        super().__init__(Path(_seeded().name), self.ganeti, tenant_link="br0")
        self.ganeti.engine = db.connect_writer(self.url)
        self.ganeti.at_once = True
        self.ganeti.network("public", "192.0.2.0/28", "nfdhcpd", tags.encode({"external": "1"})[0])
        self.ganeti.at_once, self.ganeti.step = False, self.step
        self.public = self.ganeti.networks["public"].uuid
        self.works: list[Works] = []
        self.names, self.late = itertools.count(), itertools.count(1000, 1000)
        self.patch(mock.patch("frontend.effect.awaited.time", Waiting(self)))

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            assert self.ganeti.engine is not None
            self.ganeti.engine.dispose()

    def ask(self, fate: Fate, works: Works, method: str, path: str, sent: Any = None, *, between: Any = None) -> None:
        """`works`: what Ganeti does while the request waits, and behind it."""
        self.works = [works, (0, set())] if works is not None else []
        ganeti, steps = self.ganeti, None
        if fate and fate[0] == "dies":
            steps = fate[1]
        elif fate and fate[0] in ("between", "beaten"):
            ganeti.meanwhile, ganeti.after = lambda: self._other(between, fate[0] == "beaten"), fate[1]
        else:
            ganeti.fate = fate
        try:
            self.request(steps, method, path, sent)
        finally:
            ganeti.fate, ganeti.deaf, ganeti.meanwhile = None, False, None
        self.work(works)

    def _other(self, between: tuple[str, str, Any], is_away: bool) -> None:
        """Another request, of a process that is well; then Ganeti may be away."""
        method, path, sent = between
        works, self.works = self.works, [(0, set())]
        answer = self.api.call(method, path, json=sent)
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        self.works, self.ganeti.deaf = works, is_away

    def does(self) -> bool:
        """While a request waits; False when Ganeti does nothing more in that time."""
        if not self.works:
            return False
        self.work(self.works.pop(0))
        return True

    def work(self, works: Works) -> None:
        """Some of the jobs fail; what is told of them comes in any order, and some of it twice."""
        if works is not None:
            shuffle, failing = works
            self.ganeti.run(failing, random.Random(shuffle))

    def shown(self, kind: str) -> list[dict[str, Any]]:
        path = f"{NETWORK}/{kind.replace('_', '-')}s"
        found = self.api.get(path).get_json()[f"{kind}s"]
        return sorted((each for each in found if each["project_id"] == MINE), key=lambda each: str(each["id"]))

    def own(self, kind: str) -> list[dict[str, Any]]:
        """The security groups that are no profiles, and their rules."""
        with self.engine.connect() as connection:
            idents = set(connection.execute(select(db.security_group.c.id)).scalars())
        key = "id" if kind == "security_group" else "security_group_id"
        return [each for each in self.shown(kind) if each[key] in idents]

    def one(self, which: int, kind: str) -> str:
        """The id of one of them, or of none."""
        found = self.own(kind) if kind.startswith("security") else self.shown(kind)
        return str(found[which % len(found)]["id"]) if found else "0ddddddd-0000-4000-8000-00000000000f"

    def wanted(self, kind: str, which: int) -> tuple[str, str, Any]:
        """A request that makes one more of these."""
        network = self.one(which, "network")
        number = next(self.names)
        every: dict[str, dict[str, Any]] = {
            "network": {"name": f"n{number}"},
            "subnet": {"network_id": network, "ip_version": 4, "cidr": "10.1.0.0/28"},
            "port": {"network_id": network if which % 2 else self.public},
            "floatingip": {"floating_network_id": self.public},
            "security_group": {"name": f"g{number}"},
            "security_group_rule": {"security_group_id": self.one(which, "security_group"), "direction": "ingress"},
        }
        sent = every[kind]
        if kind == "subnet" and which % 3 == 0:
            sent |= {"ip_version": 6, "cidr": "2001:db8:1::/64"}
        if kind == "security_group_rule":
            sent |= {"protocol": "tcp", "port_range_min": 22, "port_range_max": 1000 + number}
        return "POST", f"{NETWORK}/{kind.replace('_', '-')}s", {kind: sent}

    def gone(self, kind: str, which: int) -> tuple[str, str, Any]:
        return "DELETE", f"{NETWORK}/{kind.replace('_', '-')}s/{self.one(which, kind)}", None

    def changed(self, kind: str, which: int) -> tuple[str, str, Any]:
        new: dict[str, Any] = {"description": f"d{next(self.names)}"}
        if kind == "floatingip" and which % 2:
            ports = [each["id"] for each in self.shown("port") if each["device_id"]]
            new = {"port_id": ports[which % len(ports)] if ports else None}
        return "PUT", f"{NETWORK}/{kind.replace('_', '-')}s/{self.one(which, kind)}", {kind: new}

    @invariant()
    def ganeti_has_no_more_than_is_allowed(self) -> None:
        self.check_limits(self.ganeti)
        with self.engine.connect() as connection:
            used = networkquota.used(connection, MINE)
            assert all(used[name] <= most for name, most in networkquota.of(connection, MINE).items()), used

    @invariant()
    def nor_when_it_has_done_all_that_it_was_asked_for(self) -> None:
        self.check_limits(self.ganeti.ahead())

    def kept_back(self) -> set[str]:
        """Addresses that Ganeti kept when they were given back, and that no port has got since."""
        with self.engine.connect() as connection:
            has = set(connection.execute(select(db.port.c.address)).scalars())
        return self.ganeti.kept_back - has

    def check_limits(self, ganeti: Deferred) -> None:
        """Of a group of which Ganeti is owed something newer, what counts is that."""
        with self.engine.connect() as connection:
            owing = set(owed.groups(connection, HOME))
        for name, found in _has(ganeti, owing).items():
            less = self.kept_back() if name == "addresses" else set()
            assert len(found - less) <= LIMITS[name], (name, found)

    def settle(self) -> None:
        """All jobs are over, all messages told, nobody is at anything any more, and database and Ganeti compared."""
        for _ in range(4):
            self.ganeti.run()
            self.pays(next(self.late))
        self.later = reserved.A_DAY + 1
        self.api = self.api.become("alice")
        with self.engine.begin() as connection:
            reserved.sweep(connection, time.time())
        reconciler = Reconciler(self.engine, self.ganeti, "gx-", clock=time.time, pause=lambda _: None)
        for _ in range(2):
            reconciler.mend(reconciler.compare().found)
            self.pays(next(self.late))
            self.ganeti.run()
        self.ganeti_has_no_more_than_is_allowed()
        with self.engine.connect() as connection:
            used = networkquota.used(connection, MINE)
            public = addressquota.used(connection, MINE)
            assert db.rows(connection, select(db.reservation)) == []
            left = db.rows(connection, select(db.owed))
            assert left == [], "nothing is owed any more"
        there = {kind: self.own(kind) if kind.startswith("security") else self.shown(kind) for kind in KINDS}
        assert used == {kind: len(found) for kind, found in there.items()}
        assert public == len(_addresses(self.ganeti, "public") - self.kept_back())
        self._is_what_ganeti_has(there)

    def _is_what_ganeti_has(self, there: dict[str, list[dict[str, Any]]]) -> None:
        has = _has(self.ganeti)
        named = {each["id"] for each in there["network"]}
        assert has["networks"] <= named
        with self.engine.connect() as connection:
            made = [row for row in db.rows(connection, select(db.port)) if row["network"] is not None]
        kept = {each["id"]: each["address"] for each in _kept(self.ganeti)}
        # Not all are kept: not a port that is older than its network's first subnet, which has no address, nor one of
        # which Ganeti's answer was lost, until it is deleted.
        assert kept.items() <= {row["id"]: row["address"] for row in made}.items()
        for name, network in self.ganeti.networks.items():
            theirs = {tag for row in made for tag in portkept.of_port(network.tags, row["id"])}
            assert {tag for tag in network.tags if tag.startswith(tags.PORTS)} <= theirs
            own = {str(network.subnet[0]), str(network.subnet[-1]), network.gateway}
            assert network.apart - own - self.kept_back() == {
                row["address"] for row in made if row["address"] and _of(self.ganeti, row["network"]) == name
            }
        said = groups.read(self.ganeti.tags)
        living = {each.group.ident: len(each.group.rules) for each in said.values() if each.group is not None}
        rules = [each["security_group_id"] for each in there["security_group_rule"]]
        assert living == {each["id"]: rules.count(each["id"]) for each in there["security_group"]}


def _has(ganeti: Deferred, but: Container[str] = ()) -> dict[str, set[Any]]:
    """What the project has in Ganeti, by the name of its limit; `but` these groups."""
    own = {
        name: parts[1]
        for name, each in ganeti.networks.items()
        if tags.decode(each.tags).get("project") == MINE and (parts := netname.parts(name))
    }
    subnets = {
        (ident, version)
        for name, ident in own.items()
        for version, is_there in (
            (4, "hidden4" not in tags.decode(ganeti.networks[name].tags)),
            (6, ganeti.networks[name].subnet6 is not None),
        )
        if is_there
    }
    kept = _kept(ganeti)
    ports = {each["id"] for each in kept if not each["facts"].get("floating")}
    nics = {nic["name"] or nic["uuid"] for each in ganeti.instances.values() for nic in each.nics}
    floating = {each["id"] for each in kept} - ports
    living = [each.group for each in groups.read(ganeti.tags).values() if each.group and each.group.ident not in but]
    return {
        "networks": set(own.values()),
        "subnets": subnets,
        "ports": ports | {each for each in nics if each.removeprefix("port-") not in floating | ports},
        "floating_ips": floating,
        "addresses": _addresses(ganeti, "public"),
        "security_groups": {each.ident for each in living},
        "security_group_rules": {(each.ident, rule) for each in living for rule in each.rules},
    }


def _kept(ganeti: Deferred) -> list[dict[str, Any]]:
    """The ports and floating addresses that Ganeti's tags tell of."""
    return [row for network in ganeti.networks.values() for row in portkept.read(network.tags, network.uuid)]


def _addresses(ganeti: Deferred, name: str) -> set[str]:
    """Those of a network that are somebody's."""
    network = ganeti.networks[name]
    own = {str(network.subnet[0]), str(network.subnet[-1]), network.gateway}
    return (network.apart - own) | {str(each) for each in ganeti._used(name)}


def _of(ganeti: Deferred, ident: str) -> str | None:
    """Ganeti's name of a network, by the id that its tenant knows."""
    for name, each in ganeti.networks.items():
        parts = netname.parts(name) if tags.decode(each.tags).get("project") else None
        if ident == (parts[1] if parts else each.uuid):
            return name
    return None


@functools.cache
def _seeded() -> tempfile.TemporaryDirectory[str]:
    """A database with a project that may have little, made once."""
    folder = tempfile.TemporaryDirectory()
    engine = db.connect(f"sqlite:///{folder.name}/front.db")
    seed(engine)
    most = {limits.COLUMNS[name]: most for name, most in LIMITS.items()}
    with engine.begin() as connection:
        connection.execute(delete(db.network))
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(most))
    engine.dispose()
    return folder
