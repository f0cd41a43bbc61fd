"""What Ganeti is told of tenants' groups: as tags of the cluster, with a front or jobs that fail anywhere between."""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from frontend.database import db
from frontend.effect import groupjobs, owed
from frontend.effect.clusters import Clusters
from frontend.effect.payer import Payer
from frontend.web.fault import Unavailable
from ganeti_ext import groups
from ganeti_ext.errors import RapiError, RapiLost, RapiUnavailable
from tests.unit.frontend.conftest import MINE, Api
from tests.unit.frontend.test_api_owngroups import GROUPS, RULES, SSH, group, rule


class Ganeti:
    """Runs the jobs that the front submits on the cluster's tags, when it is told to."""

    def __init__(self, api: Api) -> None:
        self.api, self.tags = api, set[str]()
        self.told: list[tuple[int, str, list[str], Any]] = []
        self.fails: list[Exception] = []
        self.now = time.time()
        self._submit = api.rapi.submit
        api.rapi.submit = self.submit  # type: ignore[method-assign]
        self._get = api.rapi.get
        api.rapi.get = self.get  # type: ignore[method-assign]
        self.payer = Payer(api.engine, api.rapi, None, lambda: self.now)  # type: ignore[arg-type]

    def get(self, path: str, query: Any = None) -> Any:
        return sorted(self.tags) if path == "tags" else self._get(path, query)

    def submit(self, method: str, path: str, body: Any = None, query: Any = None) -> int:
        if self.fails and (failure := self.fails.pop(0)) is not None:
            raise failure
        job = self._submit(method, path, body, query)
        assert path == "tags"
        self.told.append((job, method, query["tag"], body))
        self.api.rapi.jobs[job] = "running"
        return job

    def run(self, *jobs: int) -> None:
        """These jobs, or all; one that takes away what is not there fails (cmdlib/tags.py)."""
        for job, method, some, _ in [each for each in self.told if not jobs or each[0] in jobs]:
            if method == "PUT":
                self.tags |= set(some)
            good = method == "PUT" or set(some) <= self.tags
            if method == "DELETE" and good:
                self.tags -= set(some)
            self.api.rapi.jobs[job] = "success" if good else "error"
        self.told = [each for each in self.told if jobs and each[0] not in jobs]

    def pay(self, later: float = 61.0) -> None:
        self.now += later
        self.payer.work()

    def said(self, ident: str) -> groups.Said | None:
        return groups.read(self.tags).get(groups.key(ident))

    def owes(self) -> list[str]:
        with self.api.engine.begin() as connection:
            return [row["body"] for row in db.rows(connection, select(db.owed))]


@pytest.fixture
def ganeti(api: Api) -> Ganeti:
    return Ganeti(api)


def ports(said: groups.Said | None) -> list[int | None]:
    assert said is not None
    assert said.group is not None
    return [each.first for each in said.group.rules if each.direction == "ingress"]


def test_a_group_is_one_job(api: Api, ganeti: Ganeti) -> None:
    made = group(api, description="of the shop")
    ((_, method, some, body),) = ganeti.told
    assert (method, groups.size(some) < 258, body) == ("PUT", True, None)
    ganeti.run()
    said = ganeti.said(made["id"])
    assert said is not None
    assert said.group is not None
    assert said.version == 1
    assert (said.group.ident, said.group.project, said.group.name) == (made["id"], MINE, "web")
    assert said.group.description == "of the shop"
    assert [(each.direction, each.family) for each in said.group.rules] == [("egress", 4), ("egress", 6)]
    assert api.rapi.calls[0][3]["reason"] == f"ganeti-ext:group:{made['id']}"
    ganeti.pay()
    assert (ganeti.owes(), ganeti.told) == ([], [])


def test_a_rule_is_one_job_and_what_was_goes_behind_it(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    ganeti.run()
    before = sorted(ganeti.tags)
    made = rule(api, ident, **SSH)
    (first, method, _, _), (_, then, old, body) = ganeti.told
    assert (method, then, old, body) == ("PUT", "DELETE", before, {"depends": [[first, ["success"]]]})
    ganeti.run(first)
    assert ports(ganeti.said(ident)) == [22]
    ganeti.run()
    assert ports(ganeti.said(ident)) == [22]
    api.call("DELETE", f"{RULES}/{made['id']}")
    ganeti.run()
    assert ports(ganeti.said(ident)) == []
    assert len(ganeti.tags) == 1
    ganeti.pay()
    assert ganeti.owes() == []


def test_many_changes_before_the_first_has_run(api: Api, ganeti: Ganeti) -> None:
    """In whatever order their jobs run; in the end there is one version."""
    ident = group(api)["id"]
    for port in range(1, 9):
        rule(api, ident, protocol="tcp", port_range_min=port, port_range_max=port)
    jobs = [each[0] for each in ganeti.told]
    ganeti.run(jobs[-1])
    assert ports(ganeti.said(ident)) == list(range(1, 9))
    for job in jobs[-2::-1]:
        ganeti.run(job)
        assert ports(ganeti.said(ident)) == list(range(1, 9))
    assert len(ganeti.tags) > 9
    ganeti.pay()
    assert {each[1] for each in ganeti.told} == {"DELETE"}
    ganeti.run()
    ganeti.pay()
    assert set(groups.versions(ganeti.tags, ident[:8])) == {9}
    assert (ganeti.owes(), ganeti.told) == ([], [])


def test_what_is_being_taken_away_is_not_taken_away_again(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    ganeti.run()
    rule(api, ident, **SSH)
    rule(api, ident, protocol="gre")
    assert [each[1] for each in ganeti.told] == ["PUT", "DELETE", "PUT"]
    ganeti.run()
    assert "error" not in api.rapi.jobs.values()


def test_a_group_that_is_deleted_does_not_come_back(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    late = ganeti.told[0][0]
    assert api.call("DELETE", f"{GROUPS}/{ident}").status_code == 204
    ganeti.run(*[each[0] for each in ganeti.told if each[0] != late])
    said = ganeti.said(ident)
    assert said is not None
    assert said.group is None
    ganeti.run(late)
    said = ganeti.said(ident)
    assert said is not None
    assert said.group is None
    ganeti.pay(20)
    assert ganeti.told == [], "a job may still be late"
    ganeti.pay()
    ganeti.run()
    assert ganeti.tags == set()
    ganeti.pay()
    assert ganeti.owes() == []


def test_rules_that_name_it_go_from_other_groups(api: Api, ganeti: Ganeti) -> None:
    ident, other = group(api)["id"], group(api, "other")["id"]
    rule(api, other, remote_group_id=ident)
    ganeti.run()
    api.call("DELETE", f"{GROUPS}/{ident}")
    ganeti.run()
    assert ports(ganeti.said(other)) == []


@pytest.mark.parametrize("failure", [RapiUnavailable("away"), RapiError("no", 500)])
def test_what_ganeti_does_not_take_is_not_done(api: Api, ganeti: Ganeti, failure: Exception) -> None:
    ident = group(api)["id"]
    one = rule(api, ident, **SSH)
    ganeti.run()
    shown = api.get(f"{GROUPS}/{ident}").json
    for method, path, sent in (
        ("POST", RULES, {"security_group_rule": {"security_group_id": ident, "direction": "ingress"}}),
        ("DELETE", f"{RULES}/{one['id']}", None),
        ("PUT", f"{GROUPS}/{ident}", {"security_group": {"name": "shop"}}),
        ("DELETE", f"{GROUPS}/{ident}", None),
    ):
        ganeti.fails = [failure]
        assert api.call(method, path, json=sent).status_code >= 500
        assert api.get(f"{GROUPS}/{ident}").json == shown
    ganeti.fails = [failure]
    assert api.call("POST", GROUPS, json={"security_group": {"name": "shopfront"}}).status_code >= 500
    assert "shopfront" not in api.get(GROUPS).text
    ganeti.pay()
    ganeti.run()
    assert ports(ganeti.said(ident)) == [22]
    ganeti.pay()
    ganeti.run()
    ganeti.pay()
    assert (ganeti.owes(), len(groups.read(ganeti.tags))) == ([], 1)


def test_a_front_that_dies_before_ganeti_is_told(api: Api, ganeti: Ganeti, monkeypatch: pytest.MonkeyPatch) -> None:
    ident = group(api)["id"]
    ganeti.run()
    with monkeypatch.context() as patch:
        patch.setattr(groupjobs, "submit", lambda *_: None)
        rule(api, ident, **SSH)
    assert ganeti.told == []
    ganeti.pay(20)
    assert ganeti.told == [], "whoever promised may be at it"
    ganeti.pay()
    ganeti.run()
    assert ports(ganeti.said(ident)) == [22]


def test_an_answer_that_was_lost(api: Api, ganeti: Ganeti) -> None:
    """It may have been taken or not: the tenant is told that it is done, and it is."""
    ident = group(api)["id"]
    ganeti.run()
    ganeti.fails = [RapiLost("cut off")]
    rule(api, ident, **SSH)
    assert ganeti.told == []
    ganeti.pay()
    ganeti.run()
    assert ports(ganeti.said(ident)) == [22]


def test_a_job_that_failed_is_submitted_again(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    ganeti.told.clear()
    api.rapi.jobs = dict.fromkeys(api.rapi.jobs, "error")
    ganeti.pay()
    ganeti.run()
    assert ganeti.said(ident) is not None


def test_one_that_goes_on_is_waited_for(api: Api, ganeti: Ganeti) -> None:
    group(api)
    count = len(ganeti.told)
    ganeti.pay()
    ganeti.pay()
    assert len(ganeti.told) == count


def test_older_versions_that_cannot_be_taken_away_now_go_later(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    ganeti.run()
    ganeti.fails = [None, RapiUnavailable("the queue is full")]  # type: ignore[list-item]
    rule(api, ident, **SSH)
    ganeti.run()
    assert set(groups.versions(ganeti.tags, ident[:8])) == {1, 2}
    ganeti.pay()
    ganeti.run()
    assert set(groups.versions(ganeti.tags, ident[:8])) == {2}


def test_there_is_room_for_so_many(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    ganeti.run()
    ganeti.tags |= {f"administrator:{number:0100}" for number in range(groups.ROOM // 115)}
    answer = rule(api, ident, 409, **SSH)
    assert f"may take {groups.ROOM} octets" in answer["words"]
    assert ganeti.told == []
    assert len(api.get(f"{GROUPS}/{ident}").json["security_group"]["security_group_rules"]) == 2  # type: ignore[index]


def test_a_group_has_room_for_so_much(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    wanted = [
        {"security_group_id": ident, "protocol": "tcp", "port_range_min": port, "port_range_max": port}
        | {"description": "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 40}
        for port in range(1, 40)
    ]
    answer = api.call("POST", RULES, json={"security_group_rules": wanted})
    assert (answer.status_code, "tags, and 48 are allowed" in answer.text) == (409, True)
    assert len(ganeti.told) == 1, "Ganeti was not asked"


def test_what_is_too_long_for_one_call_is_several_jobs(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    ganeti.run()
    wanted = [
        {"security_group_id": ident, "protocol": "tcp", "port_range_min": port, "port_range_max": port}
        | {"description": "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 6}
        for port in range(1, 80)
    ]
    assert api.call("POST", RULES, json={"security_group_rules": wanted}).status_code == 201
    puts = [each for each in ganeti.told if each[1] == "PUT"]
    assert len(puts) > 1
    ganeti.run(puts[0][0])
    assert ports(ganeti.said(ident)) == [], "not before all of it is there"
    ganeti.run(*[each[0] for each in puts[1:]])
    assert len(ports(ganeti.said(ident))) == 79


def test_each_cluster_is_told(api: Api, ganeti: Ganeti, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is away is told later, by the payer of its own; what none takes is not done."""
    with api.engine.begin() as connection:
        connection.execute(insert(db.cluster).values(id="", added=0.0))
        connection.execute(insert(db.cluster).values(id="south", name="south", added=0.0))
    away = {"south"}

    def rapi(_: Clusters, cluster: str) -> Any:
        if cluster in away:
            raise Unavailable(f"Cluster {cluster} does not answer now.")
        return api.rapi

    monkeypatch.setattr(Clusters, "rapi", rapi)
    ident = group(api)["id"]
    assert len(ganeti.told) == 1
    with api.engine.begin() as connection:
        known = db.rows(connection, select(db.owed))
    assert sorted((row["cluster"], row["server_id"]) for row in known) == [("", ident), ("south", ident)]
    away.add("")
    group(api, "other", 503)
    assert "other" not in api.get(GROUPS).text


def test_those_that_there_were_are_told(api: Api, ganeti: Ganeti) -> None:
    """As the upgrade of the tables leaves them."""
    ident = group(api)["id"]
    ganeti.told.clear()
    with api.engine.begin() as connection:
        connection.execute(update(db.owed).values(body="1 0", job=None, due=0.0))
        assert owed.groups(connection, "") == {ident}
    ganeti.pay()
    ganeti.run()
    said = ganeti.said(ident)
    assert said is not None
    assert said.version == 1


def test_what_an_administrator_takes_away_at_once_stays_away(api: Api, ganeti: Ganeti) -> None:
    """Also while the front has not seen yet that its own job did what it was to do."""
    ident = group(api)["id"]
    ganeti.run()
    rule(api, ident, **SSH)
    ganeti.run()
    ganeti.tags.clear()
    ganeti.pay()
    assert (ganeti.owes(), ganeti.told) == ([], [])


def test_a_version_whose_job_failed_is_told_again(api: Api, ganeti: Ganeti) -> None:
    ident = group(api)["id"]
    ganeti.run()
    rule(api, ident, **SSH)
    for job, *_ in ganeti.told:
        api.rapi.jobs[job] = "error"
    ganeti.told.clear()
    ganeti.pay()
    ganeti.run()
    assert ports(ganeti.said(ident)) == [22]
