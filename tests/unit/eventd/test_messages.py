from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventd.jobs import parse
from eventd.messages import News, news
from ganeti_ext import event

T0 = 1795200000
SERVER = "gx-5f0c3a52-8c5e-4c52-9f0a-1d2e3f405162"
Tell = Callable[..., list[News]]


@pytest.fixture
def tell(job_file: Callable[[str], bytes]) -> Tell:
    def tell(name: str, told: dict[str, str] | None = None) -> list[News]:
        return news(parse(job_file(name)), told or {}, "cluster.example.org")

    return tell


def test_a_creation_that_succeeded(tell: Tell) -> None:
    (item,) = tell("create-success")
    assert (item.cursor, item.status, item.is_final) == ("17/0", "success", True)
    assert (item.began, item.time) == (T0 + 1.5, T0 + 9.75)
    assert item.message == {
        "type": "ganeti-op-status",
        "version": 1,
        "cluster": "cluster.example.org",
        "event_time": [T0 + 9, 750000],
        "began": [T0 + 1, 500000],
        "order": [T0 + 9, 750000, 17, 0, 4],
        "jobId": 17,
        "op_index": 0,
        "operation": "OP_INSTANCE_CREATE",
        "instance": SERVER,
        "status": "success",
        "logmsg": "* running the instance OS create scripts...",
        "result": ["node1.example.org"],
        "error_code": None,
        "tags": ["ganeti-ext:project:p1", "ganeti-ext:name:web"],
        "job_fields": {
            "instance_name": SERVER,
            "nics": [{"network": "gx-net1", "ip": "10.20.0.5", "mac": "aa:00:00:fa:3a:3f", "name": "port-1"}],
            "disks": [{"size": 1024, "provider": "cow", "origin": "debian-13", "name": "vol-root"}],
            "disk_template": "ext",
            "beparams": {"vcpus": 2, "minmem": 512, "maxmem": 512},
            "hvparams": {"boot_order": "disk", "cdrom_image_path": "https://images.example.org/rescue.iso"},
            "os_type": "ganeti-ext+default",
            "tags": ["ganeti-ext:project:p1", "ganeti-ext:name:web"],
            "start": True,
        },
        "applied": {
            "nics": [{"index": 0, "action": "add", "network": "gx-net1", "ip": "10.20.0.5",
                      "mac": "aa:00:00:fa:3a:3f", "name": "port-1"}],
            "disks": [{"index": 0, "action": "add", "size": 1024, "name": "vol-root"}],
        },
        "reason": [["gnt:client:gnt-instance", ""], ["gnt:opcode:op_instance_create", "job=17;index=0"]],
    }  # fmt: skip
    assert event.routing_key(item.message) == "ganeti.gx.event.op"
    assert event.decode(event.encode(item.message)) == item.message


@pytest.mark.parametrize(
    ("name", "status", "rank"),
    [
        ("create-queued", "queued", 0),
        ("create-waiting", "waiting", 1),
        ("modify-canceling", "canceling", 2),
        ("create-running", "running", 3),
        ("create-success", "success", 4),
        ("create-no-room", "error", 4),
        ("modify-canceled", "canceled", 4),
        ("create-canceled-in-queue", "canceled", 4),
        ("create-failed-in-queue", "error", 4),
    ],
)
def test_each_status(tell: Tell, name: str, status: str, rank: int) -> None:
    (item,) = tell(name)
    assert (item.message["status"], item.message["order"][-1]) == (status, rank)
    assert item.is_final == (rank == 4)


def test_the_order_rises_with_a_job(tell: Tell) -> None:
    names = ("create-queued", "create-waiting", "create-running", "create-success")
    orders = [tell(name)[0].message["order"] for name in names]
    assert orders == sorted(orders)
    assert len({tuple(order) for order in orders}) == 4


def test_each_opcode_of_a_job_is_told_by_itself(tell: Tell) -> None:
    found = tell("three-ops-second-failed")
    assert [(n.message["operation"], n.status, n.message["result"]) for n in found] == [
        ("OP_INSTANCE_SHUTDOWN", "success", None),
        ("OP_INSTANCE_RENAME", "error", "Instance 'gx-new' is already in the cluster (already_exists)"),
        ("OP_INSTANCE_STARTUP", "error", "Preceding opcode failed"),
    ]
    assert [n.message["op_index"] for n in found] == [0, 1, 2]
    assert [n.cursor for n in found] == ["24/0", "24/1", "24/2"]


def test_what_was_told_is_not_told_again(tell: Tell) -> None:
    assert tell("create-success", {"17/0": "success"}) == []
    assert tell("create-running", {"17/0": "running"}) == []
    assert len(tell("create-success", {"17/0": "running"})) == 1
    assert len(tell("three-ops-second-failed", {"24/0": "success", "24/1": "waiting"})) == 2


def test_an_opcode_put_back_to_waiting_is_no_news(tell: Tell) -> None:
    assert tell("create-waiting", {"17/0": "running"}) == []


def test_networks(tell: Tell) -> None:
    add, connect = (item.message for item in tell("network-add-success"))
    assert (add["type"], add["network"], event.routing_key(add)) == (
        "ganeti-network-status", "gx-net1", "ganeti.gx.event.network",
    )  # fmt: skip
    assert add["job_fields"] == {
        "subnet": "10.20.0.0/24", "gateway": "10.20.0.1", "subnet6": "fd00:20::/64", "gateway6": "fd00:20::1",
        "mac_prefix": "aa:00:01", "tags": ["nfdhcpd"],
    }  # fmt: skip
    assert connect["job_fields"] == {
        "group_name": "default", "network_mode": "bridged", "network_link": "br0", "network_vlan": "",
    }  # fmt: skip
    assert "tags" not in add
    assert "instance" not in add


def test_tags_of_all_kinds(tell: Tell) -> None:
    instance, network, node = (item.message for item in tell("tags-set-success"))
    assert (instance["type"], instance["instance"], instance["tags"]) == (
        "ganeti-op-status", SERVER, ["ganeti-ext:name:db"],
    )  # fmt: skip
    assert (network["type"], network["network"]) == ("ganeti-network-status", "gx-net1")
    assert (node["type"], node["node"]) == ("ganeti-node-status", "node1.example.org")
    cluster, group, node, *_ = (item.message for item in tell("tags-of-all"))
    assert (cluster["type"], cluster["job_fields"]) == (
        "ganeti-cluster-status", {"tags": ["site:berlin"], "kind": "cluster"},
    )  # fmt: skip
    assert (group["type"], group["group"], event.routing_key(group)) == (
        "ganeti-group-status", "default", "ganeti.event.group",
    )  # fmt: skip
    assert (node["operation"], node["node"], node["job_fields"]["tags"]) == (
        "OP_TAGS_DEL", "node1.example.org", ["rack:1"],
    )  # fmt: skip


def test_tags_of_a_kind_that_nobody_knows_are_not_told(job_file: Callable[[str], bytes]) -> None:
    for kind in ("pool", None, 5, ["instance"]):
        raw = json.loads(job_file("tags-set-success"))
        for op in raw["ops"]:
            op["input"]["kind"] = kind
        assert news(parse(json.dumps(raw)), {}, "c") == []


def test_nodes(tell: Tell) -> None:
    offline, added, migrated, removed = (item.message for item in tell("node-changes"))
    assert (offline["type"], offline["node"], offline["job_fields"]) == (
        "ganeti-node-status", "node2.example.org", {"offline": True, "auto_promote": False},
    )  # fmt: skip
    assert event.routing_key(offline) == "ganeti.event.node"
    assert (added["status"], added["node"]) == ("error", "node4.example.org")
    assert added["job_fields"]["primary_ip"] == "192.0.2.14"
    assert (migrated["operation"], migrated["job_fields"]["target_node"]) == ("OP_NODE_MIGRATE", "node3.example.org")
    assert (removed["operation"], removed["node"], removed["result"]) == ("OP_NODE_REMOVE", "node5.example.org", None)


def test_groups(tell: Tell) -> None:
    added, assigned, renamed, changed, kept = (item.message for item in tell("group-changes"))
    assert (added["type"], added["group"], added["job_fields"]) == (
        "ganeti-group-status", "rack2", {"alloc_policy": "preferred"},
    )  # fmt: skip
    assert assigned["job_fields"] == {"nodes": ["node2.example.org", "node3.example.org"]}
    assert (renamed["group"], renamed["result"], renamed["job_fields"]) == ("rack2", "rack3", {"new_name": "rack3"})
    assert changed["job_fields"] == {}
    assert (kept["group"], kept["error_code"]) == ("rack1", "wrong_state")


def test_a_cluster_that_is_renamed(tell: Tell) -> None:
    renamed, changed = (item.message for item in tell("cluster-changes"))
    assert (renamed["type"], renamed["result"]) == ("ganeti-cluster-status", "cluster2.example.org")
    assert renamed["job_fields"] == {"new_name": "cluster2.example.org"}
    assert changed["job_fields"]["changed"] == [
        "default_iallocator_params", "hvparams", "maintain_node_health", "os_hvp", "osparams",
        "osparams_private_cluster",
    ]  # fmt: skip


def test_cluster_parameters_without_their_values(tell: Tell) -> None:
    (item,) = tell("cluster-modify-success")
    assert event.routing_key(item.message) == "ganeti.event.cluster"
    assert item.message["job_fields"] == {"changed": ["hvparams"]}
    assert "instance" not in item.message


def test_a_heartbeat_is_one_message_at_the_end(job_file: Callable[[str], bytes]) -> None:
    raw = json.loads(job_file("heartbeat"))
    for status in ("queued", "waiting", "running", "canceling"):
        raw["ops"][0]["status"] = status
        assert news(parse(json.dumps(raw)), {}, "c") == []
    for status in ("success", "error", "canceled"):
        raw["ops"][0]["status"] = status
        (item,) = news(parse(json.dumps(raw)), {}, "c")
        assert (item.message["type"], item.message["probe"]) == ("eventd-heartbeat", "5f0c-7")
        assert event.routing_key(item.message) == "eventd.heartbeat"
        assert item.message["jobId"] == 35


def test_what_is_no_heartbeat_is_a_change_of_tags(tell: Tell) -> None:
    *_, two_tags, no_dry_run = (item.message for item in tell("tags-of-all"))
    assert two_tags["type"] == no_dry_run["type"] == "ganeti-cluster-status"
    assert two_tags["job_fields"]["dry_run"] is True


def test_other_opcodes_and_mere_questions_are_not_told(tell: Tell) -> None:
    assert tell("verify-and-info") == []


def test_an_instance_opcode_that_nobody_knows_is_told(job_file: Callable[[str], bytes]) -> None:
    raw = json.loads(job_file("startup-success"))
    raw["ops"][0]["input"]["OP_ID"] = "OP_INSTANCE_TELEPORT"
    (item,) = news(parse(json.dumps(raw)), {}, "c")
    assert item.message["operation"] == "OP_INSTANCE_TELEPORT"


@pytest.mark.parametrize("name", [None, "", 5, ["gx-1"]])
def test_an_opcode_without_the_name_of_its_object_is_passed_over(job_file: Callable[[str], bytes], name: Any) -> None:
    raw = json.loads(job_file("startup-success"))
    raw["ops"][0]["input"]["instance_name"] = name
    assert news(parse(json.dumps(raw)), {}, "c") == []


def test_the_documentation_names_every_type_and_key(tell: Tell) -> None:
    text = (Path(__file__).parents[3] / "docs/events.md").read_text()
    names = ("create-success", "modify-success", "network-add-success", "node-changes", "group-changes",
             "cluster-changes", "heartbeat", "remove-failed")  # fmt: skip
    messages = [item.message for name in names for item in tell(name)]
    words = {key for message in messages for key in message} | {message["type"] for message in messages}
    words |= {event.NET_STATUS, event.PROGRESS, event.LOST, "read_at", "seq", *event.BINDINGS}
    words |= {event.SAMPLES, event.SAMPLES_KEY, event.SAMPLES_BINDING, "cpu_ns", "memory_kib", "written", "nics"}
    assert [word for word in sorted(words) if f"`{word}`" not in text] == []
    keys = {event.routing_key(message) for message in messages}
    assert [key for key in sorted(keys) if f"`{key.replace('.gx.', '.PREFIX.')}`" not in text] == []
