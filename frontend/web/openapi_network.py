"""What /openapi.json says of Network's routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import ANYTHING, FLAG, LONG, NAME, TEXT, Said, thing, under

_V2 = "/network/v2.0"
_LISTS = {
    "networks": ("network", "network_id"),
    "subnets": ("subnet", "subnet_id"),
    "ports": ("port", "port_id"),
    "security-groups": ("security_group", "group_id"),
    "security-group-rules": ("security_group_rule", "rule_id"),
}
_EMPTY = ("floatingips", "routers", "extensions", "availability_zones")
_QUERY = ("id", "name", "status", "device_id", "network_id", "fields", "limit", "marker")
_NETWORK = thing(name=TEXT, admin_state_up=FLAG, description=LONG)
_SUBNET = thing(("network_id", "cidr"), network_id=TEXT, cidr=TEXT, ip_version={"enum": [4, 6]}, gateway_ip=TEXT)
_GROUP = thing(("name",), name=NAME, description=LONG)
_RULE = {"type": "object", "properties": {"security_group_rule": ANYTHING, "security_group_rules": ANYTHING}}

SAID: Mapping[str, Said] = {
    "GET /network": Said("versions[]"),
    f"GET {_V2}": Said("resources[]"),
    **{f"GET {_V2}/{kind}": Said(f"{kind.replace('-', '_')}[]", query=_QUERY) for kind in (*_LISTS, *_EMPTY)},
    **{f"GET {_V2}/{kind}/<{part}>": Said(one) for kind, (one, part) in _LISTS.items()},
    **{
        f"DELETE {_V2}/{kind}/<{part}>": Said(status=(204,))
        for kind, (_, part) in _LISTS.items()
        if kind != "ports"
    },
    f"POST {_V2}/networks": Said("network", (201,), under("network", _NETWORK)),
    f"POST {_V2}/subnets": Said("subnet", (201,), under("subnet", _SUBNET)),
    f"POST {_V2}/security-groups": Said("security_group", (201,), under("security_group", _GROUP)),
    f"PUT {_V2}/security-groups/<group_id>": Said("security_group", body=under("security_group", thing(
        name=TEXT, description=LONG
    ))),
    f"POST {_V2}/security-group-rules": Said("", (201,), _RULE),
    f"GET {_V2}/quotas/<project_id>": Said("quota"),
    f"GET {_V2}/extensions/<alias>": Said("extension"),
}  # fmt: skip
