from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventd import luxi
from eventd.ganeti import Ganeti
from tests.unit.eventd.luxid import Luxid, packed, rows


@pytest.fixture
def luxid(tmp_path: Path) -> Iterator[Luxid]:
    server = Luxid(str(tmp_path / "query"))
    yield server
    server.close()


@pytest.fixture
def ganeti(tmp_path: Path) -> Ganeti:
    return Ganeti(str(tmp_path), str(tmp_path / "query"), 0.3, "node1.example.org")


def test_a_query_leaves_out_what_does_not_exist(tmp_path: Path, luxid: Luxid) -> None:
    luxid.answer = rows({"name": "gx-1", "oper_state": True}, {"name": "gx-2"})
    found = luxi.query(str(tmp_path / "query"), "instance", ["name", "oper_state"], ["gx-1", "gx-2", "gone"], 1)
    assert found == [{"name": "gx-1", "oper_state": True}, {"name": "gx-2", "oper_state": None}]
    chosen = ["&", ["|", ["=", "name", "gx-1"], ["=", "name", "gx-2"], ["=", "name", "gone"]]]
    assert luxid.requests == [{"method": "Query", "args": ["instance", ["name", "oper_state"], chosen]}]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (b"", "closed before the answer's end"),
        (b'{"success": true', "closed before the answer's end"),
        (b"{}\x03", "not luxi"),
        (b"[]\x03", "not luxi"),
        (b"\xff\x03", "not luxi"),
        (packed("no rights", success=False), "refused: no rights"),
        (packed({"data": [[[0, 1], [0, 2]]]}), "unknown shape"),
        (packed({"data": [5]}), "unknown shape"),
        (packed([]), "unknown shape"),
    ],
)
def test_bad_answers(tmp_path: Path, luxid: Luxid, reply: bytes, message: str) -> None:
    luxid.answer = lambda _: reply
    with pytest.raises(luxi.LuxiError, match=message):
        luxi.query(str(tmp_path / "query"), "instance", ["name"], ["gx-1"], 1)


def test_an_answer_that_does_not_come(tmp_path: Path, luxid: Luxid) -> None:
    waiting = threading.Event()

    def late(_: dict[str, Any]) -> bytes:
        waiting.wait(5)
        return b""

    luxid.answer = late
    with pytest.raises(luxi.LuxiError, match=r"no answer within 0\.1 s"):
        luxi.query(str(tmp_path / "query"), "instance", ["name"], ["gx-1"], 0.1)
    waiting.set()


def test_instances_as_messages_carry_them(luxid: Luxid, ganeti: Ganeti) -> None:
    luxid.answer = rows({
        "name": "gx-1", "uuid": "u", "ctime": 4.5, "be/vcpus": 2, "be/minmem": 512, "be/maxmem": 1024,
        "mtime": 5.5, "pnode": "node2", "admin_state": "up", "tags": ["a"],
        "disk.names": [None, "vol"], "disk.sizes": [1024, 2048], "disk.uuids": ["d0", "d1"],
        "nic.names": ["p"], "nic.networks.names": ["net"], "nic.ips": ["10.0.0.5"], "nic.macs": ["aa:bb"],
        "nic.modes": ["bridged"], "nic.links": ["br0"], "nic.uuids": ["n0"],
    })  # fmt: skip
    assert ganeti.instances({"gx-1"}) == {
        "gx-1": {
            "mtime": 5.5,
            "instance_nics": [{"name": "p", "network": "net", "ip": "10.0.0.5", "mac": "aa:bb", "mode": "bridged",
                               "link": "br0", "uuid": "n0"}],
            "instance_disks": [{"name": None, "size": 1024, "uuid": "d0"}, {"name": "vol", "size": 2048, "uuid": "d1"}],
            "instance_state": {
                "uuid": "u", "ctime": 4.5, "admin_state": "up", "pnode": "node2", "tags": ["a"],
                "beparams": {"vcpus": 2, "minmem": 512, "maxmem": 1024},
            },
        }
    }  # fmt: skip


def test_networks_as_messages_carry_them(luxid: Luxid, ganeti: Ganeti) -> None:
    luxid.answer = rows({
        "name": "net", "mtime": 1.0, "uuid": "u", "network": "10.0.0.0/24", "gateway": "10.0.0.1",
        "mac_prefix": None, "tags": [], "group_list": [["default", "bridged", "br0", ""]],
    })  # fmt: skip
    found = ganeti.networks(["net"])
    assert found is not None
    assert found["net"]["mtime"] == 1.0
    assert found["net"]["network_data"] == {
        "name": "net", "uuid": "u", "subnet": "10.0.0.0/24", "gateway": "10.0.0.1", "subnet6": None, "gateway6": None,
        "mac_prefix": None, "tags": [], "groups": [["default", "bridged", "br0", ""]],
    }  # fmt: skip


def test_no_answer_is_said_once(luxid: Luxid, ganeti: Ganeti, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    luxid.close()
    (tmp_path / "query").unlink()
    assert ganeti.instances(["gx-1"]) is None
    assert ganeti.running(["gx-1"]) is None
    assert ganeti.networks(["net"]) is None
    assert [record.getMessage() for record in caplog.records] == [
        f"events go without data of instances and networks: {tmp_path}/query: [Errno 2] No such file or directory"
    ]


@pytest.mark.parametrize(
    ("content", "master"), [("node1.example.org\n", True), ("node2.example.org\n", False), (None, False), ("", False)]
)
def test_who_is_master(tmp_path: Path, ganeti: Ganeti, content: str | None, master: bool) -> None:
    if content is not None:
        (tmp_path / "ssconf_master_node").write_text(content)
    (tmp_path / "ssconf_cluster_name").write_text("cluster.example.org\n")
    assert ganeti.is_master() is master
    assert ganeti.cluster() == "cluster.example.org"


def test_the_own_name_is_the_hosts_full_name() -> None:
    assert Ganeti("/nowhere", "/nowhere", 1).own_name == socket.getfqdn().lower()
