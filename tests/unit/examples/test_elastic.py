"""The example that makes and deletes servers: what it plans, and what it asks of the cloud."""

from __future__ import annotations

import datetime
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from examples.elastic import elastic
from examples.elastic.elastic import Cloud, Fleet, Idle, Plan, Site, SiteError, Worker, look, plan, read

FOLDER = Path(elastic.__file__).parent
SITE = {"name": "w", "image": "i", "flavor": "f", "network": "n", "busy": "true", "waiting": "echo 0"}


def site(**more: Any) -> Site:
    return Site(**{**SITE, **more})


def workers(count: int, status: str = "ACTIVE", age: float = 100.0) -> list[Worker]:
    return [Worker(f"id{number}", f"w-{number}", status, age) for number in range(1, count + 1)]


def planned(found: Site, work: float, there: list[Worker], busy: tuple[str, ...] = (), idle_for: float = 0.0) -> Plan:
    idle = Idle()
    idle.look(there, busy, 0.0)
    idle.look(there, busy, idle_for)
    return plan(found, work, there, busy, idle, idle_for)


@pytest.mark.parametrize(
    ("waiting", "there", "busy", "made"),
    [
        (0, 0, 0, 0),
        (1, 0, 0, 1),
        (3, 1, 1, 3),  # the one that is there is at work
        (3, 1, 0, 2),  # it will take one
        (99, 0, 0, 5),  # as many as at once
        (99, 8, 8, 2),  # ten at most
    ],
)
def test_as_many_are_made_as_work_waits_for(waiting: float, there: int, busy: int, made: int) -> None:
    found = workers(there)
    assert planned(site(), waiting, found, tuple(worker.name for worker in found[:busy])) == Plan(made)


def test_one_takes_more_than_one_piece_of_work() -> None:
    assert planned(site(each=4), 9, []).make == 3


def test_what_is_being_made_is_not_made_again() -> None:
    assert planned(site(), 2, workers(2, "BUILD")) == Plan()


@pytest.mark.parametrize("idle_for", [299.0, 300.0])
def test_idle_ones_go_when_they_have_been_so_for_long(idle_for: float) -> None:
    there = workers(3)
    gone = tuple(there[1:]) if idle_for >= 300 else ()
    assert planned(site(), 0, there, ("w-1",), idle_for) == Plan(0, gone)


def test_the_least_stay() -> None:
    assert len(planned(site(least=2), 0, workers(5), (), 1e6).delete) == 3


def test_one_at_work_in_between_was_not_idle_all_the_time() -> None:
    there, idle = workers(1), Idle()
    for busy, now in (((), 0.0), (("w-1",), 200.0), ((), 299.0)):
        idle.look(there, busy, now)
    assert plan(site(), 0, there, (), idle, 400.0) == Plan()


def test_broken_ones_are_replaced_within_the_most() -> None:
    broken = [*workers(1, "ERROR"), Worker("late", "w-9", "BUILD", 901.0)]
    assert planned(site(), 2, broken) == Plan(2, tuple(broken))
    assert planned(site(most=2), 2, broken) == Plan(0, tuple(broken))  # their room is free at the next look


def test_shared_work_is_drained_from_those_that_are_too_many() -> None:
    there = workers(4)
    shared = site(waiting="", needed="echo 60", drain="true", each=50)
    assert planned(shared, 60, there, ("w-1", "w-2", "w-3")) == Plan(0, (), (there[2],))  # w-4 is idle, and goes later
    assert planned(shared, 210, there, ("w-1", "w-2", "w-3")) == Plan(1)


class CloudError(Exception):
    """As openstack.exceptions.HttpException."""

    def __init__(self, status_code: int, message: str = "no") -> None:
        super().__init__(message)
        self.status_code = status_code


class Pretended:
    """A provider, as far as it is used: `quota` servers of any kind, then it refuses; `down`: it does not answer."""

    def __init__(self, *servers: Any, quota: int = 100) -> None:
        self.compute = SimpleNamespace(servers=self._servers)
        self.there = list(servers)
        self.quota, self.down, self.fails = quota, False, 0
        self.calls: list[Any] = []

    def _servers(self, **_: Any) -> list[Any]:
        if self.down:
            raise CloudError(0, "no route")
        return list(self.there)

    def create_server(self, name: str, **more: Any) -> None:
        self.calls.append((name, more))
        if self.fails:
            raise CloudError(self.fails)
        if len(self.there) >= self.quota:
            raise CloudError(403, "Quota exceeded for instances")
        self.there.append(server(f"id-{name}", name, more["meta"]["elastic"]))

    def delete_server(self, ident: str, wait: bool) -> None:
        self.calls.append((ident, wait))
        self.there = [each for each in self.there if each.id != ident]

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.there]


def fleet(found: Site, folder: Path, *providers: Pretended) -> Fleet:
    places = zip(found.places(), providers, strict=True)
    clouds = [Cloud(found, place, provider, folder, number) for number, (place, provider) in enumerate(places)]
    return Fleet(found, clouds, CloudError)


def server(ident: str, name: str, whose: str | None, status: str = "ACTIVE") -> Any:
    created = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"elastic": whose} if whose else {}
    return SimpleNamespace(id=ident, name=name, status=status, metadata=metadata, created_at=created)


def test_it_makes_servers_that_it_knows_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("#cloud-config\n")
    found = Pretended(server("1", "w-1", "w"), server("2", "w-2", "other"), server("3", "w-3", None))
    busy = site(waiting="echo 2", busy="echo w-1", user_data="data", key="k")
    look(busy, fleet(busy, tmp_path, found), Idle())
    given = {"image": "i", "flavor": "f", "network": "n", "meta": {"elastic": "w"}, "wait": False}
    given |= {"key_name": "k", "userdata": "#cloud-config\n"}
    assert found.calls == [("w-2", given), ("w-3", given)]


def test_it_deletes_its_own_alone(tmp_path: Path) -> None:
    found = Pretended(
        server("1", "w-1", "w", "ERROR"), server("2", "w-2", "other", "ERROR"), server("3", "x", None, "ERROR")
    )
    look(site(), fleet(site(), tmp_path, found), Idle())
    assert found.calls == [("1", False)]


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    found = Pretended(server("1", "w-1", "w", "ERROR"))
    todo = look(site(waiting="echo 3"), fleet(site(), tmp_path, found), Idle(), dry_run=True)
    assert (todo.make, len(todo.delete), found.calls) == (3, 1, [])


def test_who_is_drained_is_told_to_the_command(tmp_path: Path) -> None:
    found = site(waiting="", needed="echo 0", busy="echo w-1", drain=f"echo $SERVER >> {tmp_path}/drained")
    look(found, fleet(found, tmp_path, Pretended(server("1", "w-1", "w"))), Idle())
    assert (tmp_path / "drained").read_text() == "w-1\n"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"waiting": "echo many"}, "'echo many' says 'many': expected one number"),
        ({"waiting": "echo oh >&2; false"}, "ended with 1: oh"),
        ({"busy": "exit 3"}, "'exit 3' ended with 3"),
    ],
)
def test_a_command_that_does_not_tell_changes_nothing(tmp_path: Path, more: dict[str, str], words: str) -> None:
    cloud = Pretended(server("1", "w-1", "w", "ERROR"))
    with pytest.raises(SiteError, match=words):
        look(site(**more), fleet(site(), tmp_path, cloud), Idle())
    assert cloud.calls == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = 'x'\nsize = 3\n", "size: no such setting"),
        ("name = \n", "Invalid value"),
        ("name = 'x'\n", "missing 4 required"),
        ("busy = 'b'\nname = 'x'\nimage = 'i'\nflavor = 'f'\nnetwork = 'n'\n", "either waiting or needed"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(SiteError, match=f"{path}: .*{words}"):
        read(path)


@pytest.mark.parametrize(
    ("more", "words"), [({"least": 11}, "least = 11, most = 10"), ({"each": 0}, "each = 0"), ({"seconds": -1}, "-1")]
)
def test_numbers_that_make_no_sense_are_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(SiteError, match=words):
        site(**more)


@pytest.mark.parametrize("name", ["batch.toml", "hybrid.toml", "web.toml"])
def test_the_files_that_come_with_it_are_right(name: str) -> None:
    found = read(FOLDER / name)
    assert found.name == tomllib.loads((FOLDER / name).read_text())["name"]
    assert not found.user_data or (FOLDER / found.user_data).is_file()
    for command in filter(None, (found.waiting, found.needed, found.busy, found.drain)):
        subprocess.run(["sh", "-n", "-c", command], check=True)


def test_help_needs_no_cloud() -> None:
    done = subprocess.run(
        [sys.executable, "-I", elastic.__file__, "--help"], capture_output=True, text=True, check=True
    )
    assert "--dry-run" in done.stdout
