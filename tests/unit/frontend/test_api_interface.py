"""NICs of servers that there are: one more, one less, while they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, update

from frontend.database import db
from frontend.effect import awaited
from frontend.update import reading
from frontend.update.mirror import Mirror
from ganeti_ext import event, tags
from tests.unit.frontend import updates
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, MINE, NET, Api
from tests.unit.frontend.updates import op, read

OTHER = "0bbbbbbb-0000-4000-8000-000000000002"  # a network without IPv4
PORT = "0ccccccc-0000-4000-8000-000000000000"  # of the NIC that a server of api.server() has


class Ganeti:
    """Does at once what jobs on one instance ask of its NICs, and tells the front of it."""

    def __init__(self, api: Api, server: dict[str, Any]) -> None:
        self._mirror, self._calls = Mirror(api.engine, "gx-"), api.rapi.calls
        self._server = server
        self.fails = ""
        self.hotplug: bool | None = None
        self.nics = [{**nic, "name": None} for nic in server["nics"]]
        api.rapi.on_submit = self.do

    def do(self, job: int) -> None:
        _, path, body, query = self._calls[-1]
        instance = self._server["instance"]
        if path != f"instances/{instance}/modify":
            return
        for verb, where, params in [] if self.fails else body["nics"]:
            if verb == "add":
                self.nics.append(self._made(params))
            else:
                self.nics = [nic for nic in self.nics if where not in (nic["uuid"], nic["name"])]
        status = "error" if self.fails else "success"
        about = {"project": MINE, "name": "web", "server": self._server["id"]}
        told = {**read(True, job, tags=tags.encode(about)), "instance_nics": self.nics}
        if self.hotplug is not None:
            told["applied"] = {
                "nics": [{"index": 1, "action": body["nics"][0][0], "hotplug": self.hotplug}],
                "disks": [],
            }
        message = op("SET_PARAMS", status, job=job, at=job, result=self.fails or None, job_fields=body, **told)
        reason = [["gnt:user", query["reason"]]]
        self._mirror.take(event.encode({**message, "instance": instance, "seq": [1, job], "reason": reason}))

    def _made(self, params: dict[str, Any]) -> dict[str, Any]:
        number = len(self.nics)
        address = {"pool": f"10.0.0.{100 + number}"}.get(params.get("ip", ""), params.get("ip"))
        made = {"network": "net1", "ip": address, "mac": f"aa:00:00:00:01:{number:02x}", "uuid": f"u-{number}"}
        return {**made, "name": params["name"]}


@pytest.fixture
def server(api: Api) -> dict[str, Any]:
    return api.server(status="ACTIVE", power="ACTIVE")


@pytest.fixture
def ganeti(api: Api, server: dict[str, Any]) -> Ganeti:
    return Ganeti(api, server)


def interfaces(server: dict[str, Any]) -> str:
    return f"{COMPUTE}/servers/{server['id']}/os-interface"


def attach(api: Api, server: dict[str, Any], **wish: Any) -> Any:
    return api.call("POST", interfaces(server), json={"interfaceAttachment": wish})


def said(answer: Any) -> str:
    ((_, fault),) = answer.get_json().items()
    return str(fault["message"])


def test_one_more_while_it_runs(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    answer = attach(api, server, net_id=NET)
    assert answer.status_code == 200, answer.text
    made = answer.get_json()["interfaceAttachment"]
    ((method, path, body, query),) = api.rapi.calls
    assert (method, path) == ("PUT", f"instances/{server['instance']}/modify")
    name = f"port-{made['port_id']}"
    assert body["nics"] == [["add", -1, {"network": NET, "ip": "pool", "name": name}]]
    assert (body["hotplug"], query["reason"]) == (True, f"ganeti-ext:plug:{made['port_id']}")
    subnets = api.get("/network/v2.0/subnets").get_json()["subnets"]
    fixed = [(one["ip_address"], one["subnet_id"]) for one in made["fixed_ips"]]
    assert fixed[0] == ("10.0.0.101", next(one["id"] for one in subnets if one["ip_version"] == 4))
    assert (made["net_id"], made["mac_addr"], made["port_state"]) == (NET, "aa:00:00:00:01:01", "ACTIVE")
    assert api.get(interfaces(server)).get_json()["interfaceAttachments"][1] == made
    assert api.get(f"{interfaces(server)}/{made['port_id']}").get_json() == {"interfaceAttachment": made}
    port = api.get(f"/network/v2.0/ports/{made['port_id']}").get_json()["port"]
    assert (port["device_id"], port["mac_address"]) == (server["id"], made["mac_addr"])
    row = api.row(server["id"])
    assert (row["status"], row["task"]) == ("ACTIVE", None)


def test_the_ports_id_is_the_same_after_a_rename_of_ganetis_uuid(
    api: Api, server: dict[str, Any], ganeti: Ganeti
) -> None:
    """Whatever UUID Ganeti gives the NIC, and whoever reads it: a message, or the comparison."""
    ident = attach(api, server, net_id=NET).get_json()["interfaceAttachment"]["port_id"]
    ganeti.nics[1]["uuid"] = "u-other"
    attach(api, server, net_id=NET)
    assert api.get(interfaces(server)).get_json()["interfaceAttachments"][1]["port_id"] == ident


def test_the_comparison_reads_the_same() -> None:
    entry = {**updates.instance(), "nic.names": [f"port-{PORT}"]}
    ((_, columns),) = [each for each in reading.facets(reading.of_rapi(entry), {}) if each[0] == "nics"]
    assert columns["nics"] == [{**updates.SHOWN_NIC, "port": PORT}]


@pytest.mark.parametrize("name", [None, "eth0", "port-1", f"xport-{PORT}"])
def test_a_name_of_another_kind_is_no_ports(name: str | None) -> None:
    entry = {**updates.instance(), "nic.names": [name]}
    ((_, columns),) = [each for each in reading.facets(reading.of_rapi(entry), {}) if each[0] == "nics"]
    assert columns["nics"] == [updates.SHOWN_NIC]


def test_without_a_word_it_is_in_the_default_network(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    for sent in ("{}", '{"interfaceAttachment": {}}'):
        answer = api.call("POST", interfaces(server), data=sent, content_type="application/json")
        assert answer.status_code == 200, answer.text
        assert answer.get_json()["interfaceAttachment"]["net_id"] == NET


def test_a_chosen_address(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    answer = attach(api, server, net_id=NET, fixed_ips=[{"ip_address": "10.0.0.77"}])
    assert answer.get_json()["interfaceAttachment"]["fixed_ips"][0]["ip_address"] == "10.0.0.77"
    assert api.rapi.calls[-1][2]["nics"][0][2]["ip"] == "10.0.0.77"


@pytest.mark.parametrize(
    ("wish", "status", "words"),
    [
        ({"net_id": "0bbbbbbb-9999-4000-8000-000000000001"}, 404, "0bbbbbbb-9999"),
        ({"port_id": "0bbbbbbb-9999-4000-8000-000000000001"}, 404, "0bbbbbbb-9999"),
        ({"port_id": PORT, "net_id": NET}, 400, "both"),
        ({"fixed_ips": [{"ip_address": "10.0.0.9"}]}, 400, "network_id"),
        ({"net_id": NET, "fixed_ips": [{"ip_address": "10.9.0.9"}]}, 400, "10.9.0.9"),
        ({"net_id": NET, "fixed_ips": [{"ip_address": "x"}]}, 400, "'x'"),
        ({"net_id": NET, "fixed_ips": [{"ip_address": "fd00::9"}]}, 400, "MAC"),
        ({"net_id": NET, "fixed_ips": [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.8"}]}, 400, "fixed_ips"),
        ({"net_id": NET, "fixed_ips": [{"subnet_id": "x"}]}, 400, "ip_address"),
        ({"net_id": NET, "tag": "blue"}, 400, "2.49"),
        ({"net_id": 7}, 400, "net_id"),
    ],
)
def test_a_wish_that_cannot_be(api: Api, server: dict[str, Any], wish: dict[str, Any], status: int, words: str) -> None:
    answer = attach(api, server, **wish)
    assert (answer.status_code, api.rapi.calls) == (status, [])
    assert words in said(answer)


@pytest.mark.parametrize(
    ("why", "status", "words"),
    [
        ("IP 10.0.0.9 not available in network net1", 409, "10.0.0.9"),
        ("Unable to get a free IP from the address pool", 400, "No fixed IP addresses"),
        ("node-secret: no such bridge", 409, "Failed to attach"),
    ],
)
def test_what_ganeti_refuses(
    api: Api, server: dict[str, Any], ganeti: Ganeti, why: str, status: int, words: str
) -> None:
    ganeti.fails = f"Failure: prerequisites not met: {why}"
    answer = attach(api, server, net_id=NET, fixed_ips=[{"ip_address": "10.0.0.9"}])
    assert answer.status_code == status
    assert words in said(answer)
    assert "node-secret" not in answer.text
    assert len(api.get(interfaces(server)).get_json()["interfaceAttachments"]) == 1


def test_who_asks_is_told_before_ganeti_has_come_to_it(
    api: Api, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaited, "PATIENCE", 0.0)
    answer = attach(api, server, net_id=NET)
    made = answer.get_json()["interfaceAttachment"]
    assert (answer.status_code, made["net_id"], made["port_state"], made["fixed_ips"]) == (200, NET, "DOWN", [])
    assert api.rapi.calls[-1][2]["nics"][0][2]["name"] == f"port-{made['port_id']}"


def test_one_less(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    made = attach(api, server, net_id=NET).get_json()["interfaceAttachment"]["port_id"]
    for ident, handle in ((made, f"port-{made}"), (PORT, PORT)):
        answer = api.call("DELETE", f"{interfaces(server)}/{ident}")
        assert (answer.status_code, answer.data) == (202, b"")
        method, path, body, query = api.rapi.calls[-1]
        assert (method, path) == ("PUT", f"instances/{server['instance']}/modify")
        assert (body["nics"], body["hotplug"]) == ([["remove", handle, {}]], True)
        assert query["reason"] == f"ganeti-ext:unplug:{ident}"
        assert api.call("DELETE", f"{interfaces(server)}/{ident}").status_code == 404
    assert api.get(interfaces(server)).get_json() == {"interfaceAttachments": []}


def test_it_stands_among_the_servers_actions(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    attach(api, server, net_id=NET)
    api.call("DELETE", f"{interfaces(server)}/{PORT}")
    found = api.get(f"{COMPUTE}/servers/{server['id']}/os-instance-actions").get_json()["instanceActions"]
    assert {each["action"] for each in found} == {"attach_interface", "detach_interface"}


CALLS: dict[str, Callable[[Api, dict[str, Any]], Any]] = {
    "attach": lambda api, server: attach(api, server, net_id=NET),
    "detach": lambda api, server: api.call("DELETE", f"{interfaces(server)}/{PORT}"),
}


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize(
    "state",
    [{"status": "BUILD"}, {"status": "ERROR"}, {"status": "VERIFY_RESIZE"}, {"status": "UNKNOWN"},
     {"task": "powering-off"}, {"facts": {"locked": "1"}}],
)  # fmt: skip
def test_not_in_this_state(api: Api, verb: str, state: dict[str, Any]) -> None:
    server = api.server(**state)
    answer = CALLS[verb](api, server)
    assert (answer.status_code, api.rapi.calls) == (409, [])
    assert server["id"] in said(answer)


@pytest.mark.parametrize("verb", CALLS)
def test_an_administrator_changes_a_locked_one(api: Api, verb: str) -> None:
    server = api.server(facts={"locked": "1"})
    Ganeti(api, server)
    assert CALLS[verb](administrator(api), server).status_code in (200, 202)


@pytest.mark.parametrize("verb", CALLS)
def test_a_stopped_one_may(api: Api, verb: str) -> None:
    server = api.server(status="SHUTOFF", power="SHUTOFF")
    Ganeti(api, server)
    assert CALLS[verb](api, server).status_code in (200, 202)


def test_no_more_than_ganeti_gives_an_instance(api: Api) -> None:
    nic = {"network": "net1", "ip": None, "ip6": None, "mac": "aa:00:00:00:00:01"}
    server = api.server(nics=[{**nic, "uuid": f"u-{number}"} for number in range(8)])
    answer = attach(api, server, net_id=NET)
    assert (answer.status_code, api.rapi.calls) == (403, [])


@pytest.mark.parametrize(("most", "status"), [(1, 403), (2, 200), (-1, 200)])
def test_no_more_than_the_project_may_have(
    api: Api, server: dict[str, Any], ganeti: Ganeti, most: int, status: int
) -> None:
    with api.engine.begin() as connection:
        connection.execute(update(db.project).where(db.project.c.id == MINE).values(max_ports=most))
    assert attach(api, server, net_id=NET).status_code == status


def test_a_network_without_a_pool_gives_no_address(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    bare = {"id": OTHER, "name": "net2", "subnet": None, "gateway": None, "subnet6": None, "gateway6": None}
    with api.engine.begin() as connection:
        connection.execute(insert(db.network).values(**bare, tags=[], updated=1.0))
    assert attach(api, server, net_id=OTHER).status_code == 200
    assert set(api.rapi.calls[-1][2]["nics"][0][2]) == {"network", "name"}
    assert attach(api, server, net_id=OTHER, fixed_ips=[{"ip_address": "10.0.0.9"}]).status_code == 400
    assert attach(api, server).status_code == 400  # which one is the default?


def test_another_projects_server_is_as_unknown_as_its_network(api: Api, server: dict[str, Any]) -> None:
    bob = api.become("bob", "foreign")
    assert attach(bob, server, net_id=NET).status_code == 404
    assert bob.call("DELETE", f"{interfaces(server)}/{PORT}").status_code == 404
    assert api.rapi.calls == []


def told(api: Api, server: dict[str, Any], opcode: str, job: int) -> None:
    message = op(opcode, "success", job=job, at=job, **read(True, job, tags=[f"ganeti-ext:project:{MINE}"]))
    message |= {"instance": server["instance"], "seq": [1, job]}
    Mirror(api.engine, "gx-").take(event.encode({**message, "instance_nics": None}))


def status(api: Api, ident: str) -> str:
    return str(api.get(f"/network/v2.0/ports/{ident}").get_json()["port"]["status"])


def test_what_the_guest_has_not_heard_of_is_down_until_it_starts(
    api: Api, server: dict[str, Any], ganeti: Ganeti
) -> None:
    ganeti.hotplug = False
    answer = attach(api, server, net_id=NET)
    made = answer.get_json()["interfaceAttachment"]
    assert (answer.status_code, made["port_state"], status(api, made["port_id"])) == (200, "DOWN", "DOWN")
    assert status(api, PORT) == "ACTIVE"
    request = answer.headers["x-openstack-request-id"]
    path = f"{COMPUTE}/servers/{server['id']}/os-instance-actions/{request}"
    action = api.get(path).get_json()["instanceAction"]
    assert "next start" in action["message"]
    assert [each["result"] for each in action["events"]] == ["Success"]
    told(api, server, "SHUTDOWN", api.rapi.job + 1)
    assert api.row(server["id"])["nics"][1]["port"] == made["port_id"]
    told(api, server, "STARTUP", api.rapi.job + 2)
    assert status(api, made["port_id"]) == "ACTIVE"


def test_a_start_brings_those_that_came_before_it(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    ganeti.hotplug = False
    idents, jobs = [], []
    for _ in range(2):
        api.rapi.job += 10
        idents.append(attach(api, server, net_id=NET).get_json()["interfaceAttachment"]["port_id"])
        jobs.append(api.rapi.job)
    told(api, server, "STARTUP", jobs[1] - 5)
    assert [status(api, ident) for ident in idents] == ["ACTIVE", "DOWN"]
    told(api, server, "STARTUP", jobs[1] + 5)
    assert [status(api, ident) for ident in idents] == ["ACTIVE", "ACTIVE"]


def test_a_start_that_was_told_of_before_counts(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    told(api, server, "REBOOT", api.rapi.job + 10)
    ganeti.hotplug = False
    ident = attach(api, server, net_id=NET).get_json()["interfaceAttachment"]["port_id"]
    assert status(api, ident) == "ACTIVE"


def test_one_that_the_guest_has_keeps_is_told_of(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    ganeti.hotplug = False
    answer = api.call("DELETE", f"{interfaces(server)}/{PORT}")
    request = answer.headers["x-openstack-request-id"]
    path = f"{COMPUTE}/servers/{server['id']}/os-instance-actions/{request}"
    assert "next start" in api.get(path).get_json()["instanceAction"]["message"]


def test_one_that_came_is_up(api: Api, server: dict[str, Any], ganeti: Ganeti) -> None:
    ganeti.hotplug = True
    assert attach(api, server, net_id=NET).get_json()["interfaceAttachment"]["port_state"] == "ACTIVE"
