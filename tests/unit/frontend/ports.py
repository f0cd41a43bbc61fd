"""Ports, as tests ask for them, and Ganeti's networks with their pools."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from sqlalchemy import insert

from frontend.database import db
from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend import updates
from tests.unit.frontend.conftest import COMPUTE, IMAGE, MINE, NET, SMALL, Api

PORTS = "/network/v2.0/ports"
OWN = "0bbbbbbb-3333-4000-8000-000000000003"  # a network of the project's own
OWN_UUID = "0ddddddd-3333-4000-8000-000000000003"


class Pools:
    """Ganeti's networks: does at once what a job asks, and tells the front of it."""

    def __init__(self, api: Api) -> None:
        self._mirror, self._calls = Mirror(api.engine, "gx-"), api.rapi.calls
        self.reserved: dict[str, set[str]] = {"net1": {"10.0.0.0", "10.0.0.1", "10.0.0.255"}}
        self.subnets = {"net1": "10.0.0.0/24"}
        self.tags: dict[str, set[str]] = {"net1": {"nfdhcpd"}}
        self.fails = ""
        self.fails_at = "modify"
        self.instances: list[str] = []
        self.get = api.rapi.get
        self.asked: list[str] = []
        api.rapi.get = self.show  # type: ignore[method-assign]
        api.rapi.on_submit = self.do

    def show(self, path: str, query: Any = None) -> Any:
        kind, _, name = path.partition("/")
        if path == "info":
            return {"mac_prefix": "aa:00:00"}
        if kind != "networks":
            return self.get(path, query)
        if name.endswith("/tags"):
            return sorted(self.tags[name.removesuffix("/tags")])
        self.asked.append(name)
        subnet = ipaddress.IPv4Network(self.subnets[name])
        marks = "".join("X" if str(address) in self.reserved[name] else "." for address in subnet)
        return {
            "inst_list": self.instances,
            "tags": sorted(self.tags[name]),
            "network": str(subnet),
            "map": marks,
            "mac_prefix": "02:00:0a" if name != "net1" else None,
        }

    def do(self, job: int) -> None:
        method, path, body, query = self._calls[-1]
        if not path.startswith("networks/"):
            return
        _, name, verb = path.split("/")
        told = {"result": self.fails} if verb == self.fails_at and self.fails else {}
        if not told:
            self._change(method, name, verb, body, query)
        message = updates.network("SET_PARAMS", "error" if told else "success", job, job=job)
        self._mirror.take(event.encode({**message, "network": name, "seq": [1, job], **told}))

    def _change(self, method: str, name: str, verb: str, body: Any, query: Any) -> None:
        """What Ganeti would refuse is an error of the test."""
        if verb == "tags" and method == "PUT":
            assert all(len(tag) <= 128 and re.fullmatch(r"[A-Za-z0-9_.+*/:@-]+", tag) for tag in query["tag"])
            self.tags[name] |= set(query["tag"])
        elif verb == "tags":
            assert set(query["tag"]) <= self.tags[name]
            self.tags[name] -= set(query["tag"])
        else:
            assert (method, verb) == ("PUT", "modify")
            self.reserved[name] |= set(body.get("add_reserved_ips", ()))
            self.reserved[name] -= set(body.get("remove_reserved_ips", ()))


def add_own(api: Api, pools: Pools) -> str:
    """A network of the project's own; its id."""
    name = f"blue.{OWN}"
    row = {"id": OWN_UUID, "name": name, "subnet": "10.1.0.0/28", "gateway": "10.1.0.1", "subnet6": None,
           "gateway6": None, "tags": ["nfdhcpd", "private-filtered", f"ganeti-ext:project:{MINE}"]}  # fmt: skip
    with api.engine.begin() as connection:
        connection.execute(insert(db.network).values(**row, updated=1.0))
    pools.tags[name] = {"nfdhcpd", "private-filtered"}
    pools.subnets[name], pools.reserved[name] = "10.1.0.0/28", {"10.1.0.0", "10.1.0.1", "10.1.0.15"}
    return OWN


def make(api: Api, network: str = NET, **more: Any) -> dict[str, Any]:
    answer = api.call("POST", PORTS, json={"port": {"network_id": network, **more}})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()["port"]
    return found


def show(api: Api, ident: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{PORTS}/{ident}").get_json()["port"]
    return found


def change(api: Api, ident: str, **new: Any) -> Any:
    return api.call("PUT", f"{PORTS}/{ident}", json={"port": new})


def boot(api: Api, *ports: str, **more: Any) -> Any:
    wish = {"name": "web", "imageRef": IMAGE, "flavorRef": SMALL, "networks": [{"port": each} for each in ports]}
    return api.call("POST", f"{COMPUTE}/servers", json={"server": {**wish, **more}})


def address(port: dict[str, Any]) -> str:
    return str(port["fixed_ips"][0]["ip_address"])


def said(answer: Any) -> str:
    ((_, fault),) = answer.get_json().items()
    return str(fault["message"])
