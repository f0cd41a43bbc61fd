"""A Ganeti that has tenants' networks, for the API in this process."""

from __future__ import annotations

from typing import Any

from frontend.update.mirror import Mirror
from ganeti_ext import event
from tests.unit.frontend.conftest import Api
from tests.unit.frontend.updates import network

NETWORKS, SUBNETS = "/network/v2.0/networks", "/network/v2.0/subnets"
UUID = "0ddddddd-0000-4000-8000-000000000001"  # Ganeti's of the first network


class Ganeti:
    """Does what a call of the remote API asks at once, and tells the front of it; the verb `fails` fails, for `why`.

    `networks` are network_data of messages by name, `apart` the addresses that were reserved by name.
    """

    def __init__(self, api: Api) -> None:
        self._mirror = Mirror(api.engine, "gx-")
        self._calls = api.rapi.calls
        self.networks: dict[str, dict[str, Any]] = {}
        self.apart: dict[str, set[str]] = {}
        self.fails = ""
        self.why = "no such bridge"
        self._failed: set[int] = set()
        self._at = self._made = 0
        api.rapi.on_submit = self.do

    def do(self, job: int) -> None:
        method, path, body, query = self._calls[-1]
        kind, *rest = path.split("/")
        if kind != "networks":
            return
        verb = {"POST": "ADD", "DELETE": "REMOVE"}.get(method, "") if len(rest) < 2 else rest[1].upper()
        name = body["network_name"] if verb == "ADD" else rest[0]
        if verb == "TAGS":
            verb = {"PUT": "OP_TAGS_SET", "DELETE": "OP_TAGS_DEL"}[method]
        fails = verb == self.fails or any(after in self._failed for after, _ in (body or {}).get("depends", ()))
        why = self.why
        if verb != "ADD" and name not in self.networks:
            fails, why = True, f"Network '{name}' not found (unknown_entity)"
        now = name if fails else self._done(verb, name, body or {}, query or {})
        self._tell(verb, name, job, now, why if fails else "")
        if fails and "retry" in self.why:
            self.fails = ""  # once

    def _done(self, verb: str, name: str, body: dict[str, Any], query: dict[str, Any]) -> str:
        """The name that the network has then; what Ganeti would refuse is an error of the test."""
        if verb == "ADD":
            assert name not in self.networks
            self._made += 1
            self.networks[name] = {
                "name": name,
                "uuid": f"0ddddddd-0000-4000-8000-{self._made:012x}",
                "subnet": body["network"],
                "gateway": body.get("gateway"),
                "subnet6": body.get("network6"),
                "gateway6": body.get("gateway6"),
                "tags": body["tags"],
            }
            self.apart[name] = set(body.get("add_reserved_ips", ())) | (
                {body["gateway"]} if "gateway" in body else set()
            )
        elif verb == "REMOVE":
            del self.networks[name]
        elif verb == "RENAME":
            self.networks[body["new_name"]] = {**self.networks.pop(name), "name": body["new_name"]}
            self.apart[body["new_name"]] = self.apart.pop(name)
            return str(body["new_name"])
        elif verb == "MODIFY":
            self._modify(name, body)
        elif verb == "OP_TAGS_SET":
            self.networks[name]["tags"] = sorted({*self.networks[name]["tags"], *query["tag"]})
        elif verb == "OP_TAGS_DEL":
            assert set(query["tag"]) <= set(self.networks[name]["tags"])
            self.networks[name]["tags"] = sorted(set(self.networks[name]["tags"]) - set(query["tag"]))
        return name

    def _modify(self, name: str, body: dict[str, Any]) -> None:
        """As cmdlib/network.py LUNetworkSetParams."""
        data, apart = self.networks[name], self.apart[name]
        assert "none" not in body.values(), "opcodes.py OpNetworkSetParams: invalid type"
        assert not (body.get("gateway") and (body.get("add_reserved_ips") or body.get("remove_reserved_ips")))
        for key, column in (("network6", "subnet6"), ("gateway6", "gateway6"), ("gateway", "gateway")):
            if body.get(key):
                value = body[key]
                if key == "gateway":
                    assert value not in apart, "Cannot reserve IP address: already externally reserved"
                    apart.discard(data["gateway"])
                    apart.add(value)
                data[column] = value
        more, less = set(body.get("add_reserved_ips", ())), set(body.get("remove_reserved_ips", ()))
        assert not more & apart
        assert less <= apart
        self.apart[name] = (apart | more) - less

    def _tell(self, verb: str, name: str, job: int, now: str, why: str) -> None:
        """`why` it failed, or nothing."""
        self._at += 1
        status = "error" if why else "success"
        message = {**network(verb, status, self._at, job=job), "network": name, "seq": [1, self._at]}
        if verb.startswith("OP_"):
            message["operation"] = verb
        if why:
            self._failed.add(job)
            message["result"] = why
        elif verb == "RENAME":
            message["result"] = now
        if now in self.networks:
            message |= {"network_data": self.networks[now], "read_at": message["event_time"]}
        self._mirror.take(event.encode(message))


def make(api: Api, name: str = "blue", **more: Any) -> str:
    """A network's id."""
    answer = api.call("POST", NETWORKS, json={"network": {"name": name, **more}})
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["network"]["id"])


def with_subnet(api: Api, ident: str, **more: Any) -> Any:
    return api.call("POST", SUBNETS, json={"subnet": {"network_id": ident, "cidr": "10.1.0.0/28", **more}})


def subnet(api: Api, ident: str, **more: Any) -> dict[str, Any]:
    """A new one, as it is shown."""
    answer = with_subnet(api, ident, **more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()["subnet"]
    return found


def shown(api: Api, path: str) -> dict[str, Any]:
    """The one thing of an answer."""
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    (found,) = answer.get_json().values()
    assert isinstance(found, dict)
    return found
