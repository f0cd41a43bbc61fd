from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from eventd import jobs, tagged
from eventd.messages import news
from eventd.tagged import Change

JobFile = Callable[[str], bytes]
T0 = 1795200110
INSTANCE = "gx-5f0c3a52-8c5e-4c52-9f0a-1d2e3f405162"
OF_INSTANCE = Change("27/0", "instance", INSTANCE, "OP_TAGS_SET", T0 + 0.2, T0 + 1.0)
OF_NETWORK = Change("27/1", "network", "gx-net1", "OP_TAGS_SET", T0 + 1.2, T0 + 2.0)


def found(content: bytes, **inputs: Any) -> list[Change]:
    """The changes that a job tells of, with other input of its opcodes if told."""
    job = json.loads(content)
    for op in job["ops"]:
        op["input"] |= inputs
    return tagged.changes(news(jobs.parse(json.dumps(job)), {}, "cluster"))


def row(**fields: Any) -> dict[str, Any]:
    return {"name": "web1.example.org", "admin_state": "up", "pnode": "node2", "mtime": 100.0, **fields}


def test_instances_and_networks_but_not_nodes(job_file: JobFile) -> None:
    assert found(job_file("tags-set-success")) == [OF_INSTANCE, OF_NETWORK]


def test_tags_are_removed_too(job_file: JobFile) -> None:
    changes = found(job_file("tags-set-success"), OP_ID="OP_TAGS_DEL")
    assert [change.opcode for change in changes] == ["OP_TAGS_DEL", "OP_TAGS_DEL"]


@pytest.mark.parametrize("key", ["gateway", "network6", "gateway6"])
def test_what_guests_know_of_a_network_is_told_as_its_tags_are(job_file: JobFile, key: str) -> None:
    job = json.loads(job_file("network-add-success"))
    job["ops"] = job["ops"][:1]
    job["ops"][0]["input"] = {"OP_ID": "OP_NETWORK_SET_PARAMS", "network_name": "blue", key: "none"}
    (change,) = found(json.dumps(job).encode())
    assert (change.kind, change.name, change.opcode) == ("network", "blue", "OP_NETWORK_SET_PARAMS")
    job["ops"][0]["input"] = {**job["ops"][0]["input"], key: None, "add_reserved_ips": ["10.0.0.7"]}
    assert found(json.dumps(job).encode()) == []


@pytest.mark.parametrize("opcode", ["OP_TAGS_SET", "OP_TAGS_DEL"])
def test_what_a_network_keeps_of_ports_concerns_no_guest(job_file: JobFile, opcode: str) -> None:
    job = json.loads(job_file("tags-set-success"))
    job["ops"] = job["ops"][1:]
    job["ops"][0]["input"] |= {"OP_ID": opcode, "tags": ["ganeti-ext:port:x", "ganeti-ext:said:x.0:y"]}
    assert found(json.dumps(job).encode()) == []
    job["ops"][0]["input"]["tags"].append("nfdhcpd")
    assert len(found(json.dumps(job).encode())) == 1


def test_a_dry_run_changes_nothing(job_file: JobFile) -> None:
    assert found(job_file("tags-set-success"), dry_run=True) == []


@pytest.mark.parametrize("status", ["queued", "waiting", "running", "canceled", "error"])
def test_only_success_counts(job_file: JobFile, status: str) -> None:
    job = json.loads(job_file("tags-set-success"))
    job["ops"][0]["status"] = status
    assert found(json.dumps(job).encode()) == [OF_NETWORK]


@pytest.mark.parametrize("name", ["create-success", "rename-success", "network-add-success", "cluster-modify-success"])
def test_other_jobs(job_file: JobFile, name: str) -> None:
    assert found(job_file(name)) == []


def test_cursors_hold_all_of_a_change() -> None:
    cursors = tagged.records([OF_INSTANCE, OF_NETWORK])
    assert set(cursors) == {"tags/27/0", "tags/27/1"}
    others = {"27/0": "success", "floor": "20", "note/1-1.json": "taken"}
    assert tagged.recall({**others, **{name: value for name, value in cursors.items() if value}}) == [
        OF_INSTANCE,
        OF_NETWORK,
    ]


@pytest.mark.parametrize(
    ("name", "names", "meant"),
    [
        ("web1.example.org", ["web1.example.org"], "web1.example.org"),
        ("web1", ["web1.example.org"], "web1.example.org"),
        ("web1", ["web1", "web1.example.org"], "web1"),
        ("web1", ["web1.example.org", "web1.example.com"], None),
        ("web1", ["web10.example.org"], None),
        ("web1.example", ["web1.example.org"], "web1.example.org"),
        ("web1", [], None),
    ],
)
def test_an_instance_by_its_short_name(name: str, names: list[str], meant: str | None) -> None:
    found = tagged.named(name, {full: row(name=full) for full in names})
    assert (found and found["name"]) == meant


def test_a_network_by_name_or_uuid() -> None:
    rows = {"net1": {"name": "net1", "uuid": "u1"}, "net2": {"name": "net2", "uuid": "u2"}}
    assert [tagged.network(name, rows) for name in ("net1", "u2", "net3")] == [rows["net1"], rows["net2"], None]


@pytest.mark.parametrize(
    ("mtime", "now", "behind"),
    [
        (100.1, 100.3, False),
        (99.9, 100.3, True),
        (None, 100.3, True),  # not known yet
        (99.9, 103.3, False),  # long ago: there is nothing to wait for
        (99.9, 96.9, False),  # or the clock was set back
    ],
)
def test_an_answer_older_than_the_change(mtime: float | None, now: float, behind: bool) -> None:
    answer = None if mtime is None else row(mtime=mtime)
    assert tagged.is_behind(answer, began=100.0, ended=100.2, now=now) is behind


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        (row(), None),
        (None, "Ganeti knows no such instance"),
        (row(admin_state="down"), "it is down"),
        (row(admin_state="offline"), "it is offline"),
        (row(pnode=None), "it has no primary node"),
        (row(pnode="node3"), "its node node3 is offline"),
    ],
)
def test_who_need_not_be_told(instance: dict[str, Any] | None, reason: str | None) -> None:
    assert tagged.unneeded(instance, frozenset({"node3"})) == reason
