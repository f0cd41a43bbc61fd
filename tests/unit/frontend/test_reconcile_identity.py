"""Whose server an instance is, and which: instances without rows, rows without instances, other names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from frontend.database import db
from frontend.reconcile.difference import Difference
from ganeti_ext import tags
from tests.unit.frontend import updates
from tests.unit.frontend.cluster import NOW, Both, job, network, running
from tests.unit.frontend.updates import BEGIN, IDENT, NAME, instance

OTHER = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c22"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    yield made
    made.engine.dispose()


def kinds(found: list[Difference]) -> list[str]:
    return [each.kind for each in found]


def test_an_unknown_instance_of_ours_gets_its_row_from_its_tags(both: Both) -> None:
    theirs = {**instance("web.example.com", tags=["by:hand"]), "nic.networks": [None]}
    both.rapi.instances = [instance(), theirs]
    both.rapi.networks = [network(network6="2001:db8::/64")]
    both.mended()
    made = both.server()
    assert (made["name"], made["status"], made["host"]) == ("Größe 1", "ACTIVE", "n1")
    assert (made["project_id"], made["vcpus"], made["ram"], made["disk"]) == (updates.PROJECT, 2, 512, 3)
    assert made["created"] == BEGIN - 1000
    assert made["nics"][0]["ip6"] == "2001:db8::a800:ff:fe12:3456"
    assert len(both.servers()) == 1


def test_what_tags_keep_of_a_server(both: Both) -> None:
    given = {fact: f"{fact} of ü" for fact in tags.GIVEN if fact != "firewall"} | {"firewall": "limited"}
    facts = {**updates.FACTS, "server": OTHER, "created": "1690000000.25", **given}
    meta = tags.encode_metadata({"role": "db", "note": "ä" * 90})
    both.rapi.instances = [instance("gx-renamed", tags=[*tags.encode(facts), *meta])]
    both.rapi.tags = ["htools:iextags:ganeti-ext:apart"]  # without it, that is what differs
    both.mended()
    made = both.server(OTHER)
    assert (made["instance"], made["created"]) == ("gx-renamed", 1690000000.25)
    assert made["metadata"] == {"role": "db", "note": "ä" * 90}
    assert made["facts"] == given


@pytest.mark.parametrize("named", ["by id", "by name"])
def test_an_administrators_instance_is_the_projects_that_its_tag_names(both: Both, named: str) -> None:
    project = {"id": OTHER, "name": "Größte Firma", "max_servers": 1, "max_cores": 1, "max_ram": 1}
    with both.engine.begin() as connection:
        connection.execute(insert(db.project).values(project))
    said = tags.encode({"project": OTHER if named == "by id" else "Größte Firma"})
    both.rapi.instances = [instance("web.example.com", tags=said)]
    assert both.mended() == ["missing: server web.example.com: the database has no such server"]
    (made,) = both.servers()
    assert (made["id"], made["project_id"]) == (both.rapi.instances[0]["uuid"], OTHER)
    assert (made["flavor_id"], made["vcpus"], made["status"]) == ("custom", 2, "ACTIVE")


def test_an_orphan_is_only_told_of(both: Both) -> None:
    typo, ours = tags.encode({"project": "gone firm"}), f"gx-{OTHER}"
    both.rapi.instances = [instance(ours, tags=[]), instance("web", tags=typo), instance("other", tags=[])]
    found = both.found()
    assert [str(each) for each in found] == [
        f"orphan: instance {ours}: no tag says whose it is",
        "orphan: instance web: its tag names project 'gone firm', which there is not",
    ]
    assert found[0].advice == f"gnt-instance add-tags {ours} ganeti-ext:project:PROJECT, or gnt-instance remove {ours}"
    assert both.reconciler.mend(found) == []
    assert both.servers() == []


def test_an_instance_that_is_being_made_is_no_orphan_and_its_server_is_being_built(both: Both) -> None:
    both.rapi.jobs = [job("running", number=77), job("success", "STARTUP", number=78)]
    both.rapi.instances = [instance(running=False)]
    both.reconciler.mend(both.found())
    made = both.server()
    assert (made["status"], made["task"], made["job"]) == ("BUILD", "spawning", 77)
    assert both.found() == []
    both.rapi.jobs, both.rapi.instances = [job("success", number=77)], [instance()]
    both.mended()
    assert (both.server()["status"], both.server()["task"]) == ("ACTIVE", None)


def test_tags_that_were_taken_away_take_no_server_away(both: Both) -> None:
    both.add(**running())
    both.rapi.instances = [instance(tags=[])]
    (found,) = both.found()
    assert found.kind == "untagged"
    assert found.advice == f"gnt-instance add-tags {NAME} ganeti-ext:project:{updates.PROJECT}"


def test_nor_do_an_administrators(both: Both) -> None:
    both.rapi.instances = [instance("web", tags=tags.encode({"project": updates.PROJECT}))]
    both.mended()
    both.rapi.instances = [instance("web", tags=[], running=False)]
    assert kinds(both.found()) == ["untagged", "power"]
    both.reconciler.mend(both.found())
    (row,) = both.servers()
    assert (row["deleted"], row["status"], row["project_id"]) == (None, "SHUTOFF", updates.PROJECT)


def test_an_instance_that_is_there_again(both: Both) -> None:
    both.add(**running(deleted=BEGIN + 5.0))
    both.rapi.instances = [instance()]
    assert both.mended() == [f"missing: server {NAME}: the database says that it is deleted"]
    assert both.server()["deleted"] is None


def test_a_row_that_was_deleted_while_ganeti_was_asked_stays_so(both: Both) -> None:
    both.add(**running())
    both.rapi.instances = [instance()]
    asked = []

    def removed() -> None:
        asked.append(1)
        if len(asked) == 1:  # removed, and told of, just after the first list was made
            both.rapi.instances = []
            with both.engine.begin() as connection:
                connection.execute(update(db.server).values(deleted=NOW))

    both.rapi.meanwhile = removed
    assert both.reconciler.mend(both.found()) == []
    assert both.server()["deleted"] == NOW


def test_a_deleted_server_that_is_gone_is_not_even_read(both: Both) -> None:
    both.add(**running(deleted=BEGIN + 5.0))
    assert both.found() == []


def test_an_instance_was_renamed(both: Both) -> None:
    both.add(**running())
    said = tags.encode({**updates.FACTS, "server": IDENT})
    both.rapi.instances = [instance("gx-new", tags=said)]
    assert both.mended() == [f"renamed: server gx-new: instance {NAME}, in Ganeti gx-new"]


def test_names_that_two_servers_exchanged(both: Both) -> None:
    other = f"gx-{OTHER}"
    both.rapi.instances = [instance(), instance(other)]
    both.mended()
    with both.engine.begin() as connection:
        for ident, name in ((IDENT, "x"), (OTHER, NAME), (IDENT, other)):
            connection.execute(update(db.server).where(db.server.c.id == ident).values(instance=name))
    both.reconciler.mend(both.found())
    assert [(row["id"], row["instance"], row["deleted"]) for row in both.servers()] == [
        (IDENT, NAME, None),
        (OTHER, other, None),
    ]
    assert both.found() == []


def test_a_name_that_a_deleted_server_kept(both: Both) -> None:
    both.add(**running())
    both.add(**running(id=OTHER, instance="web", deleted=BEGIN + 5.0))
    said = tags.encode({**updates.FACTS, "server": IDENT})
    both.rapi.instances = [instance("web", tags=said)]
    assert kinds(both.found()) == ["duplicate", "renamed"]
    both.mended()
    assert [(row["instance"], row["deleted"]) for row in both.servers()] == [("web", None), (OTHER, BEGIN + 5.0)]


def test_an_instance_made_anew_under_an_old_name(both: Both) -> None:
    said = tags.encode({"project": updates.PROJECT})
    both.rapi.instances = [instance("web", tags=said, uuid=IDENT)]
    both.mended()
    both.rapi.instances = []
    both.mended()
    both.rapi.instances = [instance("web", tags=said, uuid=OTHER)]
    assert kinds(both.found()) == ["duplicate", "missing"]
    both.mended()
    assert [(row["id"], row["instance"], row["deleted"]) for row in both.servers()] == [
        (IDENT, IDENT, NOW),
        (OTHER, "web", None),
    ]


def test_of_two_instances_with_one_id_the_known_one_is_the_server(both: Both) -> None:
    said = tags.encode({**updates.FACTS, "server": IDENT})
    both.rapi.instances = [instance("web", tags=said)]
    both.mended()
    both.rapi.instances = [instance("copy", tags=said), instance("web", tags=said)]
    (found,) = both.found()
    assert str(found) == f"orphan: instance copy: its tags say that it is server {IDENT}, which is instance web"
