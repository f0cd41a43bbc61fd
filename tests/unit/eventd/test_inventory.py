from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from eventd.hook_env import Site
from eventd.inventory import Inventory, Nodes
from tests.unit.eventd.luxid import Luxid, packed, rows


@pytest.fixture
def luxid(tmp_path: Path) -> Iterator[Luxid]:
    server = Luxid(str(tmp_path / "query"))
    yield server
    server.close()


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(str(tmp_path), str(tmp_path / "query"), 0.3)


def test_instances(luxid: Luxid, inventory: Inventory) -> None:
    luxid.answer = rows({"name": "web1.example.org", "tags": ["a"], "mtime": 5.5})
    found = inventory.instances({"web2", "web1"})
    assert found is not None
    assert found["web1.example.org"]["tags"] == ["a"]
    assert found["web1.example.org"]["pnode"] is None
    what, fields, chosen = luxid.requests[0]["args"]
    assert (what, chosen) == ("instance", ["&", ["|", ["=", "name", "web1"], ["=", "name", "web2"]]])
    # Those would make luxid ask the nodes.
    assert not {"oper_state", "oper_ram", "oper_vcpus", "status", "console"} & set(fields)


def test_networks_by_name_or_uuid(luxid: Luxid, inventory: Inventory) -> None:
    luxid.answer = rows({"name": "net1", "inst_list": ["web1"]})
    found = inventory.networks(["u1"])
    assert found is not None
    assert found["net1"]["inst_list"] == ["web1"]
    assert luxid.requests[0]["args"][2] == ["&", ["|", ["=", "name", "u1"], ["=", "uuid", "u1"]]]


def test_nothing_to_ask(inventory: Inventory) -> None:
    assert (inventory.instances([]), inventory.networks([])) == ({}, {})  # nobody listens here


def test_a_luxid_that_is_away_is_said_once(
    luxid: Luxid, inventory: Inventory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    luxid.answer = lambda _: packed("no", success=False)
    assert (inventory.instances(["a"]), inventory.instances(["a"]), inventory.networks(["a"])) == (None, None, None)
    luxid.answer = rows()
    assert inventory.instances(["a"]) == {}
    luxid.answer = lambda _: packed("no", success=False)
    assert inventory.instances(["a"]) is None
    line = f"changed tags are told later: {tmp_path}/query: refused: no"
    assert [record.getMessage() for record in caplog.records] == [line, line]


def test_nodes_and_site(inventory: Inventory, tmp_path: Path) -> None:
    assert inventory.nodes() == Nodes({}, frozenset())
    (tmp_path / "ssconf_node_primary_ips").write_text("node1 10.0.0.1\nnode2 2001:db8::2\n")
    (tmp_path / "ssconf_offline_nodes").write_text("node2\nnode3\n")
    (tmp_path / "ssconf_cluster_name").write_text("cluster\n")
    (tmp_path / "ssconf_master_node").write_text("node1\n")
    assert inventory.nodes() == Nodes({"node1": "10.0.0.1", "node2": "2001:db8::2"}, frozenset({"node2", "node3"}))
    assert inventory.site() == Site("cluster", "node1", str(tmp_path))
