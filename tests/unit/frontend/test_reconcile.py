"""The comparison of servers and networks with Ganeti, and what it mends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from frontend.database import db
from frontend.reconcile.difference import Difference
from frontend.reconcile.kinds import KINDS
from frontend.reconcile.snapshot import LAG
from tests.unit.frontend import updates
from tests.unit.frontend.cluster import NOW, Both, job, network, running
from tests.unit.frontend.updates import IDENT, NAME, instance

OTHER = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c22"
BROKEN = ["OpPrereqError", ["not enough memory on node n1", "insufficient_resources"]]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def known(both: Both, *networks: dict[str, Any], instances: list[dict[str, Any]] | None = None) -> None:
    """What Ganeti has: our instance unless others are given, and networks that the database has, too."""
    both.rapi.instances = [instance()] if instances is None else instances
    both.rapi.networks = list(networks)
    both.reconciler.mend(each for each in both.found() if each.table == "network")


def kinds(found: list[Difference]) -> list[str]:
    return [each.kind for each in found]


def test_nothing_differs(both: Both) -> None:
    both.add(**running())
    known(both, network())
    del both.rapi.asked[:], both.rapi.paused[:]
    assert both.found() == []
    assert both.rapi.asked == ["info", "pause", "network", "instance", "network", "group", "node"]
    assert both.rapi.paused == [LAG]  # then Ganeti's view is newer than the rows


def test_a_server_that_is_off_on_another_node(both: Both) -> None:
    both.add(**running())
    both.rapi.instances = [instance(running=False, pnode="n2")]
    assert both.mended() == [
        f"power: server {NAME}: status ACTIVE, in Ganeti SHUTOFF",
        f"host: server {NAME}: host n1, in Ganeti n2",
    ]
    assert (both.server()["status"], both.server()["host"], both.server()["updated"]) == ("SHUTOFF", "n2", NOW)


def test_of_a_node_that_does_not_answer_nobody_knows(both: Both) -> None:
    both.add(**running())
    both.rapi.instances = [instance(running=None)]
    assert both.mended() == [f"power: server {NAME}: status ACTIVE, in Ganeti UNKNOWN"]
    both.rapi.instances = [instance()]
    both.mended()
    assert both.server()["status"] == "ACTIVE"


def test_a_row_whose_job_goes_on_is_left_alone(both: Both) -> None:
    both.add(**running(task="powering-off", job=12))
    both.rapi.instances = [instance(running=False)]
    for status in ("queued", "waiting", "running", "canceling"):
        both.rapi.jobs = [job(status, "SHUTDOWN", number=12)]
        seen = both.reconciler.compare()
        assert (seen.found, [row["job"] for row in seen.busy]) == ([], [12])
    # a job that was over when it was asked for was over before the instances were read
    assert both.rapi.asked[:5] == ["job", "info", "pause", "network", "instance"]


@pytest.mark.parametrize(("what", "tries", "left"), [("create", 0, False), ("create", 1, True), ("remove", 0, True)])
def test_a_server_that_something_is_owed_for_is_left_alone(both: Both, what: str, tries: int, left: bool) -> None:
    both.add()
    both.rapi.jobs = [job("error", result=BROKEN)]
    with both.engine.begin() as connection:
        connection.execute(insert(db.owed).values(id="o", server_id=IDENT, what=what, job=10, tries=tries, due=0.0))
    assert kinds(both.found()) == ([] if left else ["build"])


@pytest.mark.parametrize("jobs", [[job("success", "SHUTDOWN", number=12)], [job("error", "SHUTDOWN", number=12)], []])
def test_a_task_whose_job_is_over_is_cleared(both: Both, jobs: list[dict[str, Any]]) -> None:
    both.add(**running(task="powering-off", job=12))
    both.rapi.instances, both.rapi.jobs = [instance()], jobs
    assert both.mended() == [f"task: server {NAME}: task powering-off, in Ganeti none"]


def test_an_instance_that_was_removed(both: Both) -> None:
    both.add(**running())
    assert both.mended() == [f"stale: server {NAME}: Ganeti has no such instance"]
    assert both.server()["deleted"] == NOW


@pytest.mark.parametrize(
    ("jobs", "fault"),
    [
        ([job("error", result=BROKEN)], "not enough memory on node n1 (insufficient_resources)"),
        ([job("error", result=["OpExecError", ["Could not", "start"]])], "Could not start"),
        ([job("canceled")], "job 10 ended as canceled"),
        ([], "job 10 is not known to Ganeti and the instance does not exist"),
    ],
)
def test_a_build_that_failed(both: Both, jobs: list[dict[str, Any]], fault: str) -> None:
    both.add()
    both.rapi.jobs = jobs
    assert both.mended() == [f"build: server {NAME}: {fault}"]
    row = both.server()
    assert (row["status"], row["fault"], row["task"], row["deleted"]) == ("ERROR", fault, None, None)


def test_a_build_that_failed_and_left_an_instance(both: Both) -> None:
    both.add()
    both.rapi.jobs, both.rapi.instances = [job("error", result=BROKEN)], [instance(running=False)]
    both.mended()
    assert (both.server()["status"], both.server()["host"]) == ("ERROR", "n1")


def test_a_build_whose_end_was_missed(both: Both) -> None:
    both.add()
    both.rapi.jobs, both.rapi.instances = [job("success")], [instance()]
    both.mended()
    row = both.server()
    assert (row["status"], row["task"], row["nics"]) == ("ACTIVE", None, [updates.SHOWN_NIC])


def test_a_server_built_and_removed_meanwhile(both: Both) -> None:
    both.add()
    both.rapi.jobs = [job("success")]
    both.mended()
    assert both.server()["deleted"] == NOW


def test_a_broken_server_stays_until_its_user_deletes_it(both: Both) -> None:
    both.add(status="ERROR", fault="broke", task=None)
    assert both.found() == []
    with both.engine.begin() as connection:
        connection.execute(update(db.server).values(task="deleting", job=12))
    both.rapi.jobs = [job("success", "REMOVE", number=12)]
    both.mended()
    assert both.server()["deleted"] == NOW


def test_a_removal_that_failed(both: Both) -> None:
    both.add(**running(task="deleting", job=12))
    both.rapi.jobs, both.rapi.instances = [job("error", "REMOVE", number=12)], [instance()]
    both.mended()
    assert (both.server()["status"], both.server()["deleted"], both.server()["task"]) == ("ACTIVE", None, None)


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("size", {"vcpus": 9}),
        ("size", {"ram": 9}),
        ("disks", {"disk": 9}),
        ("nics", {"nics": []}),
        ("nics", {"nics": [{**updates.SHOWN_NIC, "mac": "aa:00:00:00:00:01"}]}),
        ("nics", {"nics": ["what is this"]}),
        ("addresses", {"nics": [{**updates.SHOWN_NIC, "ip": "10.0.0.3"}]}),
        ("addresses", {"nics": [{**updates.SHOWN_NIC, "ip6": "2001:db8::1"}]}),
        ("owner", {"project_id": OTHER}),
        ("owner", {"user_id": OTHER}),
        ("name", {"name": "old"}),
        ("flavor", {"flavor_id": "f9"}),
        ("flavor", {"image_id": "i9"}),
        ("metadata", {"metadata": {"role": "db"}}),
        ("facts", {"facts": {"description": "of none"}}),
        ("task", {"wished": {"facts": {"jobs": [77], "held": None, "floor": None}}}),
        ("power", {"status": "SHUTOFF"}),
        ("power", {"fault": "broke", "status": "ERROR"}),
    ],
)
def test_each_kind_of_what_a_row_says_wrongly(both: Both, kind: str, columns: dict[str, Any]) -> None:
    both.add(**running())
    known(both)
    right = both.server()
    with both.engine.begin() as connection:
        connection.execute(update(db.server).values(columns))
    found = both.found()
    assert kinds(found) == [kind]
    assert both.reconciler.mend(found, {"stale"}) == []
    assert both.reconciler.mend(found, {kind}) == found
    assert {**both.server(), "updated": 0} == {**right, "updated": 0}


def test_while_its_tags_are_changed_a_server_is_left_alone(both: Both) -> None:
    wish = {"name": {"jobs": [77], "held": None, "floor": None}}
    both.add(**running(name="wished", wished=wish))
    known(both)
    both.rapi.jobs = [{**job("running"), "id": 77}]
    assert both.found() == []
    assert both.server()["name"] == "wished"
    both.rapi.jobs = [{**job("error"), "id": 77}]
    assert both.mended() == [
        f"name: server {updates.NAME}: name wished, in Ganeti Größe 1",
        f"task: server {updates.NAME}: the jobs that change its tags are over",
    ]
    assert (both.server()["name"], both.server()["wished"]) == ("Größe 1", None)


def test_networks(both: Both) -> None:
    both.rapi.networks = [network(), network(uuid="u-red", name="red", map="", network="10.1.0.0/29")]
    assert [each.kind for each in both.found()][:2] == ["network-missing", "network-missing"]
    both.reconciler.mend(both.found())
    both.rapi.networks = [network(map="", gateway="10.0.0.254", name="blau")]
    assert both.mended() == [
        "network: network blue: name blue, in Ganeti blau; gateway 10.0.0.1, in Ganeti 10.0.0.254",
        "network-stale: network red: Ganeti has no such network",
    ]


def test_a_network_made_anew_under_an_old_name(both: Both) -> None:
    known(both, network(map=""), instances=[])
    both.rapi.networks = [network(map="", uuid="u-2")]
    assert [line.split(":")[0] for line in both.mended()] == ["network-stale", "network-missing"]
    with both.engine.connect() as connection:
        assert connection.execute(select(db.network.c.id)).scalars().all() == ["u-2"]


def test_a_network_that_lacks_in_a_node_group(both: Both) -> None:
    known(both, network(map=""), instances=[])
    both.rapi.groups += [{"name": "rack 2", "node_cnt": 1}, {"name": "empty", "node_cnt": 0}]
    (found,) = both.found()
    assert str(found) == "network-groups: network blue: not connected to node group rack 2"
    assert found.advice == "gnt-network connect --nic-parameters mode=bridged,link=br0 blue rack 2"


def test_a_row_that_changed_meanwhile_is_left_for_later(both: Both) -> None:
    both.add(**running())

    def message() -> None:
        with both.engine.begin() as connection:
            connection.execute(update(db.server).values(task="rebooting", job=99))

    both.rapi.instances, both.rapi.meanwhile = [instance(running=False)], message
    found = both.found()
    assert kinds(found) == ["power"]
    assert both.reconciler.mend(found) == []
    assert (both.server()["status"], both.server()["task"]) == ("ACTIVE", "rebooting")


def test_a_row_that_a_message_made_meanwhile_is_left(both: Both) -> None:
    both.rapi.instances = [instance(), instance(f"gx-{OTHER}")]
    found = both.found()
    both.add(**running(name="from the message"))
    assert [each.name for each in both.reconciler.mend(found)] == [f"gx-{OTHER}"]
    assert both.server()["name"] == "from the message"


def test_a_row_that_was_removed_meanwhile_stays_away(both: Both) -> None:
    both.add(**running(host="n7"))
    both.rapi.instances = [instance()]
    found = both.found()
    with both.engine.begin() as connection:
        connection.execute(delete(db.server))
    assert both.reconciler.mend(found) == []
    assert both.servers() == []


def test_every_kind_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reconcile.md").read_text()
    assert [kind.name for kind in KINDS if f"`{kind.name}`" not in page] == []
    fixed = [
        line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and line.endswith("| \N{EN DASH} |")
    ]
    assert sorted(fixed) == sorted(kind.name for kind in KINDS if not kind.mendable)


@pytest.mark.parametrize(
    ("said", "is_told"),
    [
        ([], True),
        (["htools:iextags:", "htools:iextags:other", "ganeti-ext:apart"], True),
        (["htools:iextags:ganeti-ext:apart"], False),
        (["htools:iextags:ganeti-ext"], False),
    ],
)
def test_a_cluster_that_does_not_keep_servers_apart(both: Both, said: list[str], is_told: bool) -> None:
    both.rapi.tags = said
    both.add(**running(deleted=1.0), facts={"group": "g", "apart": "g"})
    assert "apart" not in [each.kind for each in both.found()]
    with both.engine.begin() as connection:
        connection.execute(update(db.server).values(deleted=None))
    found = [each for each in both.found() if each.kind == "apart"]
    assert [each.advice for each in found] == ["gnt-cluster add-tags htools:iextags:ganeti-ext:apart"] * is_told
    assert both.reconciler.mend(found) == []
