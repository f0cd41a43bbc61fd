"""What plays Ganeti is asked by those who ask Ganeti."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.events import ganeti
from bench.events.jobfiles import NODE, SERVERS, instance, tags
from eventd.ganeti import Ganeti
from eventd.luxi import LuxiError, query
from frontend.update import reading


@pytest.fixture
def cluster(tmp_path: Path) -> ganeti.Cluster:
    (tmp_path / "states").write_bytes(bytes([1, 0]) * (SERVERS // 2))
    return ganeti.Cluster(str(tmp_path / "states"))


@pytest.fixture
def luxid(tmp_path: Path, cluster: ganeti.Cluster) -> Iterator[str]:
    path = str(tmp_path / "luxid")
    with ganeti.luxid(path, cluster):
        yield path


def test_eventd_learns_how_servers_stand(luxid: str) -> None:
    asked = Ganeti("/nonexistent", luxid, 5, NODE)
    rows = asked.instances([instance(4), instance(5), "unknown"])
    assert rows is not None and rows.keys() == {instance(4), instance(5)}
    row = rows[instance(4)]
    assert (row["instance_state"]["admin_state"], row["instance_state"]["tags"]) == ("up", tags(4))
    assert (row["instance_nics"][0]["network"], row["instance_disks"][0]["size"]) == ("blue", 1024)
    assert asked.running([instance(4), instance(5)]) == {instance(4): True, instance(5): False}
    networks = asked.networks(["blue"])
    assert networks is not None and networks["blue"]["network_data"]["subnet"] == "10.0.0.0/24"


def test_a_change_is_seen_by_who_asks_next(luxid: str, tmp_path: Path) -> None:
    (tmp_path / "states").write_bytes(bytes(SERVERS))
    assert Ganeti("/nonexistent", luxid, 5, NODE).running([instance(4)]) == {instance(4): False}


def test_what_it_does_not_know_is_no_object_and_no_method(luxid: str, cluster: ganeti.Cluster) -> None:
    assert query(luxid, "os", ["name"], ["none"], 5) == []
    assert cluster.luxi({"method": "SubmitJob", "args": []})["success"] is False
    with pytest.raises(LuxiError):
        query(luxid + "x", "node", ["name"], [], 5)


def test_the_front_reads_its_servers_in_the_remote_api(cluster: ganeti.Cluster) -> None:
    fields = ["name", "uuid", "tags", "pnode", "oper_state", "disk.sizes", "nic.networks.names"]
    answer = cluster.rapi(f"query/instance?fields={','.join(fields)}")
    assert isinstance(answer, dict) and len(answer["data"]) == SERVERS
    assert all(status == 0 for row in answer["data"] for status, _ in row)
    assert [value for _, value in answer["data"][2]] == [
        instance(2), "i-2", tags(2), NODE, True, [1024], ["blue"]
    ]  # fmt: skip
    facts = reading.facts(tags(2), reading.Owners({}, {}))
    assert facts.keys() == {"project", "user", "name", "flavor", "image"}
    wanted = {"fields": ["name"], "qfilter": ["=", "name", instance(3)]}
    assert cluster.rapi("query/instance", wanted) == {"fields": [{"name": "name"}], "data": [[[0, instance(3)]]]}
    assert cluster.rapi("jobs/7") is None


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (None, True),
        (["=", "name", "a"], True),
        (["=", "name", "b"], False),
        (["|", ["=", "name", "b"], ["=", "uuid", "1"]], True),
        (["&", ["|", ["=", "name", "a"]], ["=", "uuid", "2"]], False),
        (["&", ["|"]], False),
    ],
)
def test_a_filter(chosen: list[object] | None, found: bool) -> None:
    assert ganeti.matches(chosen, {"name": "a", "uuid": "1"}) is found
