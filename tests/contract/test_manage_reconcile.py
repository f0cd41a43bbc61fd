"""ganeti-ext-manage reconcile, run as an administrator runs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from frontend.database import db
from frontend.reconcile import kinds
from ganeti_ext.outbox import Outbox
from tests.contract.manage_site import Manage, site
from tests.unit.frontend import remote, updates
from tests.unit.frontend.cluster import CLUSTER, network

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")


@pytest.fixture
def manage() -> Iterator[Manage]:
    with site() as made:
        yield made


@pytest.fixture
def ganeti(manage: Manage) -> Iterator[dict[str, Any]]:
    """A cluster with one server of ours that the database does not know; what it answers may be changed."""
    answers: dict[str, Any] = {
        "info": {"name": "cluster.lab", "software_version": "3.1.0", "uuid": CLUSTER},
        "instances": [updates.instance()],
        "networks": [network()],
        "groups": [{"name": "default", "node_cnt": 1}],
    }
    Outbox(str(manage.folder / "outbox.db")).close()
    with remote.serving(manage.folder, answers) as url:
        remote.configure(manage.folder, url)
        yield answers


@needs_openssl
def test_servers_and_what_differs(manage: Manage, ganeti: dict[str, Any]) -> None:
    said = (
        "network-missing: network blue: the database has no such network\n"
        f"missing: server {updates.NAME}: the database has no such server\n"
    )
    for words in ((), ("--dry-run",)):
        done = manage.run("reconcile", *words)
        assert (done.returncode, done.stderr) == (4, "")
        assert done.stdout == f"{said}2 differ; --fix all mends what can be mended in the database\n"
    assert manage.rows(db.server) == []
    assert manage.rows(db.comparison)[0]["found"] == {"missing": 1, "network-missing": 1}

    done = manage.run("reconcile", "--fix", "missing,host")
    assert done.returncode == 4
    assert done.stdout.splitlines()[1:] == [f"mended: {said.splitlines()[1]}", "1 mended, 1 left"]
    assert manage.ok("reconcile", "--fix", "all").endswith("1 mended, 0 left\n")
    assert manage.ok("reconcile") == "nothing differs\n"
    shown = manage.ok("server-list").splitlines()[1]
    assert shown.split() == [updates.NAME, "Größe", "1", updates.PROJECT, "ACTIVE", "-", "n1"]
    assert manage.ok("status").splitlines() == [
        "database: ok, 1 servers, 0 messages that could not be understood",
        "broker: ok, 0 messages wait",
        "rapi: ok, cluster cluster.lab, Ganeti 3.1.0",
    ]


@needs_openssl
def test_what_differs_for_a_program(manage: Manage, ganeti: dict[str, Any]) -> None:
    manage.ok("reconcile", "--fix", "all")
    ganeti["instances"] = [{**updates.instance(running=False), "tags": []}]
    done = manage.run("reconcile", "--json", "--fix", "power")
    said = json.loads(done.stdout)
    assert done.returncode == 4  # the tags are for an administrator
    assert (said["count"], said["mended"], said["left"]) == ({"power": 1, "untagged": 1}, 1, 1)
    power = next(each for each in said["found"] if each["kind"] == "power")
    assert (power["object"], power["name"], power["id"]) == ("server", updates.NAME, updates.IDENT)
    assert power["database"] == {"power": "ACTIVE", "status": "ACTIVE"}
    assert power["ganeti"] == {"power": "SHUTOFF", "status": "SHUTOFF"}
    assert (power["mendable"], power["mended"]) == (True, True)
    untagged = next(each for each in said["found"] if each["kind"] == "untagged")
    assert untagged["advice"].startswith(f"gnt-instance add-tags {updates.NAME} ganeti-ext:project:")
    assert (untagged["mendable"], untagged["mended"], said["cluster"]) == (False, False, CLUSTER)
    assert manage.ok("reconcile", "--ignore", "untagged") == "nothing differs\n"


@needs_openssl
def test_only_some_servers_are_looked_at(manage: Manage, ganeti: dict[str, Any]) -> None:
    other = updates.NAME.replace("c11", "c22")
    second = {**updates.instance(other), "nic.ips": ["10.0.0.3"], "nic.macs": ["aa:00:00:00:00:03"]}
    ganeti["instances"].append(second)
    assert manage.run("reconcile", "--fix", "missing", updates.IDENT).stdout.endswith("1 mended, 0 left\n")
    assert [row["id"] for row in manage.rows(db.server)] == [updates.IDENT]
    assert manage.ok("reconcile", "--fix", "all", other).endswith("1 mended, 0 left\n")
    assert len(manage.rows(db.server)) == 2
    ganeti["instances"] = [{**each, "pnode": "n2"} for each in ganeti["instances"]]
    assert manage.ok("reconcile", "--fix", "host", updates.IDENT).endswith("1 mended, 0 left\n")
    assert {row["id"]: row["host"] for row in manage.rows(db.server)}[updates.IDENT] == "n2"
    assert sorted(row["host"] for row in manage.rows(db.server)) == ["n1", "n2"]
    assert "'nobody'" in manage.refused("reconcile", "nobody")


@needs_openssl
def test_another_cluster_has_to_be_meant(manage: Manage, ganeti: dict[str, Any]) -> None:
    manage.ok("reconcile", "--fix", "all")
    ganeti.update(info={**ganeti["info"], "uuid": "another"}, instances=[], networks=[network(map="XX.....X")])
    said = manage.refused("reconcile", "--fix", "all")
    assert f"the database is of the cluster with UUID {CLUSTER}, and Ganeti's is another" in said
    assert manage.rows(db.server)[0]["deleted"] is None
    assert "stale" in manage.ok("reconcile", "--fix", "all", "--other-cluster")
    assert manage.rows(db.server)[0]["deleted"] is not None
    assert manage.ok("reconcile") == "nothing differs\n"


def test_kinds_of_differences_are_explained(manage: Manage) -> None:
    said = manage.ok("reconcile", "--kinds")
    assert all(f"{kind.name}\n    {kind.means}\n" in said for kind in kinds.KINDS)
    assert "there is no kind colour" in manage.refused("reconcile", "--fix", "colour,host", code=2)
    told = manage.refused("reconcile", "--fix", "host,orphan", code=2)
    assert "only an administrator can mend orphan" in told
