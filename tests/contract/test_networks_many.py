"""Many ports and networks, on SQLite and on PostgreSQL: what the database counts, finds and pages is what there is."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import insert, select

from frontend.database import db
from frontend.network import netrows, netview, networkquota, portname, portquota, tenantnet
from frontend.settings import Front
from tests.unit.frontend.conftest import FOREIGN, MINE, NET, Api, FakeRapi, seed, serve

NETWORK = "/network/v2.0"
Row = dict[str, Any]
_chance = random.Random(7)


def ident() -> str:
    return str(uuid.UUID(int=_chance.getrandbits(128), version=4))


@pytest.fixture
def api(each_database: str, tmp_path: Path) -> Iterator[Api]:
    engine = db.connect(each_database)
    seed(engine)
    _fill(engine)
    engine.dispose()
    front = Front(database=each_database, secret_file=f"{tmp_path}/secret", tenant_link="br0")
    api = serve(front, FakeRapi()).become("alice")
    yield api
    api.engine.dispose()


def _fill(engine: Any) -> None:
    """Networks of two projects, with subnets and without; servers and ports of both in all of them, as it comes."""
    with engine.begin() as connection:
        for number in range(24):
            project, made = _chance.choice((MINE, FOREIGN)), ident()
            row = {"id": made, "project_id": project, "name": f"net_{number}%", "created": number, "facts": {}}
            connection.execute(insert(db.tenant_network).values(row))
            if number % 3:
                connection.execute(insert(db.network).values(_in_ganeti(row, number)))
        networks = db.rows(connection, select(db.network))
        bare = db.rows(connection, select(db.tenant_network))
        for number in range(120):
            mine = [row for row in networks if number % 9 == 0 or not row["tags"] or MINE in row["tags"][0]]
            connection.execute(insert(db.server).values(_server(number, mine)))
        known = list(tenantnet.everybodys(networks))
        for number, server in enumerate(db.rows(connection, select(db.server))):
            for nic in server["nics"][:1]:
                if number % 2 and (held := portname.ident(nic)):
                    network = next(each["id"] for each in known if each["known_as"] == nic["network"])
                    network = network if number % 3 else None  # something is said of it, or it was made beforehand
                    connection.execute(insert(db.port).values(_port(number, held, network, server["project_id"])))
            if number % 5 == 0:
                where = [MINE, FOREIGN][number % 2], _chance.choice([*known, *bare])["id"]
                connection.execute(insert(db.port).values(_port(1000 + number, ident(), where[1], where[0])))
        for row in _apart(connection):
            connection.execute(insert(db.reservation).values(row))


def _in_ganeti(row: Row, number: int) -> Row:
    tags = [f"ganeti-ext:project:{row['project_id']}", *(["ganeti-ext:hidden4:1"] if number % 4 == 1 else [])]
    named = {"id": ident(), "name": f"{row['name'].replace('%', '..25')}.{row['id']}", "tags": tags, "updated": number}
    subnet6 = f"fd00:{number:x}::/64" if number % 2 else None
    return {**named, "subnet": f"10.0.{number}.0/24", "gateway": f"10.0.{number}.1", "subnet6": subnet6}


def _server(number: int, networks: list[Row]) -> Row:
    made = ident()
    nics = [_nic(number * 4 + place, _chance.choice(networks)["name"]) for place in range(_chance.randrange(4))]
    size = {"vcpus": 1, "ram": 512, "disk": 5, "flavor_id": "f", "image_id": "i", "user_id": "u"}
    times = {"created": number, "updated": number, "deleted": number if number % 11 == 10 else None}
    status = "BUILD" if number % 7 == 3 else "ACTIVE"
    whose = {"project_id": MINE if number % 4 else FOREIGN, "name": f"s{number}", "status": status}
    return {"id": made, "instance": f"gx-{made}", "nics": nics, **whose, **size, **times}


def _nic(number: int, network: str) -> Row:
    names: list[Row] = [{"port": ident(), "uuid": ident()}, {"port": None, "uuid": ident()}, {"uuid": ident()}, {}]
    low = f"{number >> 8:02x}:{number & 255:02x}"
    return {
        "network": network,
        "ip": f"10.9.{number >> 8}.{number & 255}",
        "ip6": None,
        "mac": f"02:00:00:00:{low}",
        **names[number % 4],
    }


def _port(number: int, made: str, network: str | None, project: str) -> Row:
    facts = [{"name": f'po"rt-{number}'}, {"name": f"port-{number}"}, {"floating": True}, {}][number % 4]
    mac = f"02:00:00:01:{number >> 8:02x}:{number & 255:02x}"
    times = {"created": float(number), "updated": float(number)}
    address = f"10.8.{number >> 8}.{number & 255}" if number % 2 else None
    return {
        "id": made,
        "project_id": project,
        "network": network,
        "mac": mac,
        "address": address,
        "facts": facts,
        **times,
    }


def _apart(connection: Any) -> Iterator[Row]:
    """For servers that are there, deleted, or to come, for NICs that are there, and to come; some are over."""
    servers = db.rows(connection, select(db.server))
    nics = [held for row in servers for nic in row["nics"] if (held := portname.ident(nic))]
    for number, of in enumerate([*(row["id"] for row in servers[::6]), *nics[::9], *(ident() for _ in range(8))]):
        due = time.time() + (900 if number % 5 else -900)
        row = {"project_id": MINE, "vcpus": None, "ram": None, "ports": number % 4, "addresses": 0, "job": None}
        yield {**row, "id": of, "due": due}


def all_of(api: Api) -> tuple[list[Row], dict[str, Row], dict[str, Row]]:
    """The project's servers, ports by their ids, and what is set apart for it."""
    with api.engine.connect() as connection:
        servers, ports, apart = (
            [row for row in db.rows(connection, select(table)) if row["project_id"] == MINE]
            for table in (db.server, db.port, db.reservation)
        )
    now = time.time()
    return servers, {row["id"]: row for row in ports}, {row["id"]: row for row in apart if row["due"] > now}


def test_ports_are_counted_as_they_are(api: Api) -> None:
    servers, ports, apart = all_of(api)
    made = {key for key, row in ports.items() if row["network"] and not row["facts"].get("floating")}
    count, nics = len(made), set()
    for row in (row for row in servers if row["deleted"] is None):
        own = [held for held in map(portname.ident, row["nics"]) if held not in made]
        nics.update(own)
        built = int(row["status"] == "BUILD" and not row["nics"] and row["id"] not in apart)
        count += max(len(own), apart[row["id"]]["ports"] if row["id"] in apart else 0, built)
    there = nics | {row["id"] for row in servers}
    count += sum(row["ports"] for key, row in apart.items() if key not in there)
    floats = sum(bool(row["network"] and row["facts"].get("floating")) for row in ports.values())
    assert len(made) > 10
    assert len(apart) > 10
    assert floats > 2
    with api.engine.connect() as connection:
        assert portquota.used(connection, MINE) == count
        assert portquota.floating(connection, MINE) == floats


def test_networks_and_subnets_are_counted_as_they_are(api: Api) -> None:
    now, asked = time.time(), {}
    with api.engine.begin() as connection:
        known = netrows.visible(connection, MINE)
        own = [row for row in known if row["project_id"] == MINE]
        for number, row in enumerate(own):
            asked[row["id"]] = {f"asked{4 + 2 * (number % 2)}": str(now - (900 if number % 3 == 2 else 0))}
            mine = db.tenant_network.c.id == row["id"]
            connection.execute(db.tenant_network.update().where(mine).values(facts=asked[row["id"]]))
        there = {(row["id"], key) for row in own for key, column in ((4, "subnet"), (6, "subnet6")) if row[column]}
        told = {(key, int(name[-1])) for key, said in asked.items() for name, at in said.items() if float(at) > now - 1}
        found = networkquota.used(connection, MINE, ("network", "subnet"))
    assert found == {"network": len(own), "subnet": len(there | told)}
    assert len(told - there) > 1


def test_a_project_is_told_of_its_own_networks_and_everybodys(api: Api) -> None:
    with api.engine.connect() as connection:
        rows = db.rows(connection, select(db.tenant_network))
        whole = tenantnet.visible(
            db.rows(connection, select(db.network)), [row for row in rows if row["project_id"] == MINE], MINE
        )
        assert netrows.visible(connection, MINE) == whole
        some = {row["id"] for row in whole[::3]}
        assert netrows.visible(connection, MINE, some) == [row for row in whole if row["id"] in some]
        others = {row["id"] for row in rows if row["project_id"] == FOREIGN}
        assert others
        assert netrows.visible(connection, MINE, others) == []
        name = next(row["known_as"] for row in whole if row["uuid"] not in (None, NET))
        assert netrows.visible(connection, MINE, (), [name]) == [row for row in whole if row["known_as"] == name]


def whole(api: Api, kind: str, query: str = "") -> list[Row]:
    answer = api.get(f"{NETWORK}/{kind}?{query}")
    assert answer.status_code == 200, answer.text
    found: list[Row] = answer.get_json()[kind]
    return found


def paged(api: Api, kind: str, query: str) -> list[Row]:
    found, path = [], f"{NETWORK}/{kind}?limit=7&{query}"
    while path:
        answer = api.get(path).get_json()
        found += answer[kind]
        assert len(answer[kind]) == 7 or f"{kind}_links" not in answer
        path = answer.get(f"{kind}_links", [{}])[0].get("href", "")
    return found


def expected(api: Api) -> set[str]:
    """Ids of the ports that the project is to be told of."""
    servers, ports, _ = all_of(api)
    with api.engine.connect() as connection:
        known = netrows.visible(connection, MINE)
    names, idents = {row["known_as"] for row in known}, {row["id"] for row in known}
    nics = [nic for row in servers if row["deleted"] is None for nic in row["nics"]]
    held = {portname.ident(nic) for nic in nics if portname.ident(nic) and nic["network"] in names}
    free = {row["id"] for row in ports.values() if row["network"] in idents and not row["facts"].get("floating")}
    return held | (free - {portname.ident(nic) for nic in nics})  # type: ignore[return-value]


FILTERS: Mapping[str, Callable[[Row], str]] = {
    "id": lambda port: f"id={port['id']}",
    "device_id": lambda port: f"device_id={port['device_id']}",
    "network_id": lambda port: f"network_id={port['network_id']}",
    "mac_address": lambda port: f"mac_address={port['mac_address']}",
    "name": lambda port: f"name={quote(port['name'])}",
    "status": lambda port: f"status={port['status']}",
    "fixed_ips": lambda port: "&".join(f"fixed_ips=ip_address%3D{each['ip_address']}" for each in port["fixed_ips"]),
    "substr": lambda port: "&".join(
        f"fixed_ips=ip_address_substr%3D{each['ip_address'][1:]}" for each in port["fixed_ips"]
    ),
    "two": lambda port: f"network_id={port['network_id']}&network_id={NET}&device_id={port['device_id']}",
}


def test_ports_are_listed_found_and_paged(api: Api) -> None:
    ports = whole(api, "ports")
    assert {port["id"] for port in ports} == expected(api)
    assert len(ports) == len({port["id"] for port in ports}) > 60
    assert paged(api, "ports", "") == ports
    assert whole(api, "ports", "sort_key=mac_address") == sorted(ports, key=lambda port: str(port["mac_address"]))
    for name, query in FILTERS.items():
        for port in ports[::16]:
            asked = query(port)
            alike = [each for each in ports if query(each) == asked or name in ("substr", "two", "fixed_ips")]
            found = whole(api, "ports", asked)
            assert port in found, (name, port)
            assert all(each in alike for each in found), (name, port)
            if name not in ("substr", "two", "fixed_ips"):
                assert found == paged(api, "ports", asked) == alike, (name, port)
        assert paged(api, "ports", query(ports[0])) == whole(api, "ports", query(ports[0]))
    for port in ports[::9]:
        assert api.get(f"{NETWORK}/ports/{port['id']}").get_json() == {"port": port}
    assert whole(api, "ports", f"fixed_ips=ip_address%3D{ports[0]['fixed_ips'][0]['ip_address']}") == [ports[0]]


def test_a_port_is_where_its_nic_is_whatever_its_row_says(api: Api) -> None:
    servers, ports, _ = all_of(api)
    with api.engine.begin() as connection:
        known = {row["id"]: row for row in netrows.visible(connection, MINE)}
        server, nic = next(
            (row, nic)
            for row in servers
            if row["deleted"] is None
            for nic in row["nics"]
            if ports.get(portname.ident(nic) or "", {}).get("network") in known.keys() - {NET}
            and not ports[str(portname.ident(nic))]["facts"].get("floating")
        )
        moved = [{**each, "network": "net1"} if each == nic else each for each in server["nics"]]
        connection.execute(db.server.update().where(db.server.c.id == server["id"]).values(nics=moved))
    made = portname.ident(nic)
    said = ports[str(made)]["network"]
    assert made not in {port["id"] for port in whole(api, "ports", f"network_id={said}")}
    assert made in {port["id"] for port in whole(api, "ports", f"network_id={NET}")}


def test_networks_are_listed_found_and_paged(api: Api) -> None:
    networks = whole(api, "networks")
    with api.engine.connect() as connection:
        known = {row["id"]: netview.network(row) for row in netrows.visible(connection, MINE)}
    assert {each["id"]: each for each in networks} == known
    assert len(networks) == len(known) > 8
    assert paged(api, "networks", "") == networks
    for network in networks:
        assert whole(api, "networks", f"name={quote(network['name'])}") == [network]
        assert whole(api, "networks", f"id={network['id']}") == [network]
        assert api.get(f"{NETWORK}/networks/{network['id']}").get_json() == {"network": network}
    assert whole(api, "networks", "name=net_") == []
    by_name = sorted(networks, key=lambda each: str(each["name"]), reverse=True)
    assert whole(api, "networks", "sort_key=name&sort_dir=desc") == by_name


@pytest.mark.parametrize("kind", ["ports", "networks"])
def test_a_marker_that_is_not_there(api: Api, kind: str) -> None:
    answer = api.get(f"{NETWORK}/{kind}?marker={ident()}")
    assert (answer.status_code, "was not found" in answer.text) == (400, True)


@pytest.mark.parametrize("kind", ["ports", "networks"])
def test_what_many_are_asked_for(api: Api, kind: str) -> None:
    first = whole(api, kind)[0]
    for key in ("id", "name", "network_id", "device_id", "mac_address", "fixed_ips"):
        assert whole(api, kind, f"{key}=%25_&id={first['id']}&" + "&".join([f"{key}=x"] * 100)) in ([], [first])


@pytest.mark.parametrize(("kind", "made"), [("ports", "port"), ("networks", "network")])
def test_a_page_reads_no_more_than_it_shows(api: Api, kind: str, made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, shape = [], getattr(netview, made)

    def shaped(*args: Any) -> Any:
        seen.append(args)
        return shape(*args)

    monkeypatch.setattr(netview, made, shaped)
    last = whole(api, kind, "limit=3")[-1]["id"]
    whole(api, kind, f"limit=3&marker={last}")
    assert len(seen) <= 2 * (4 + 8) + 1, "and a few more where one of them is in a network that it may not use"
    seen.clear()
    assert api.get(f"{NETWORK}/{kind}/{last}").status_code == 200
    assert len(seen) == 1
