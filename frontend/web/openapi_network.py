"""What /openapi.json says of Network's routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import ANYTHING, FLAG, LONG, NAME, TEXT, Said, Schema, listed, thing, under

_V2 = "/network/v2.0"
_LISTS = {
    "networks": ("network", "network_id"),
    "subnets": ("subnet", "subnet_id"),
    "ports": ("port", "port_id"),
    "floatingips": ("floatingip", "floatingip_id"),
    "security-groups": ("security_group", "group_id"),
    "security-group-rules": ("security_group_rule", "rule_id"),
}
_EMPTY = ("routers", "extensions", "availability_zones")
_QUERY = (
    *("id", "name", "status", "device_id", "network_id", "fixed_ips"),
    *("fields", "limit", "marker", "sort_key", "sort_dir"),
    *("tags", "tags-any", "not-tags", "not-tags-any"),
)
_NETWORK = thing(name=TEXT, admin_state_up=FLAG, description=LONG)
_TOLD = {
    "name": TEXT,
    "description": TEXT,
    "gateway_ip": TEXT,
    "enable_dhcp": FLAG,
    "dns_nameservers": listed(TEXT, 5),
    "host_routes": listed(thing(("destination", "nexthop"), destination=TEXT, nexthop=TEXT), 20),
    "allocation_pools": listed(thing(("start", "end"), start=TEXT, end=TEXT), 10),
}
_MODE = {"enum": ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]}
_SUBNET = thing(
    ("network_id", "cidr"),
    network_id=TEXT,
    cidr=TEXT,
    ip_version={"enum": [4, 6]},
    ipv6_address_mode=_MODE,
    ipv6_ra_mode=_MODE,
    **_TOLD,
)
_LIMIT = {"type": "integer", "minimum": -1}
_QUOTA = thing(
    network=_LIMIT, subnet=_LIMIT, port=_LIMIT, floatingip=_LIMIT, security_group=_LIMIT, security_group_rule=_LIMIT
)
_GROUP = thing(("name",), name=NAME, description=LONG)
_RULE = {"type": "object", "properties": {"security_group_rule": ANYTHING, "security_group_rules": ANYTHING}}


def _one_or_many(one: str, schema: Schema) -> Schema:
    return {"oneOf": [under(one, schema), under(f"{one}s", listed(schema))]}


_ABOUT_PORT = {
    "name": TEXT,
    "description": TEXT,
    "fixed_ips": listed(thing(subnet_id=TEXT, ip_address=TEXT), 2),
    "security_groups": listed(TEXT, 5),
    "allowed_address_pairs": listed(thing(("ip_address",), ip_address=TEXT, mac_address=TEXT), 10),
    "port_security_enabled": FLAG,
    "admin_state_up": FLAG,
}
_ABOUT_FLOATING = {"description": TEXT, "port_id": TEXT, "fixed_ip_address": TEXT}
_FLOATING = thing(
    ("floating_network_id",),
    floating_network_id=TEXT,
    floating_ip_address=TEXT,
    subnet_id=TEXT,
    **_ABOUT_FLOATING,
)
_PORT = thing(("network_id",), network_id=TEXT, **_ABOUT_PORT)

SAID: Mapping[str, Said] = {
    "GET /network": Said("versions[]"),
    f"GET {_V2}": Said("resources[]"),
    **{f"GET {_V2}/{kind}": Said(f"{kind.replace('-', '_')}[]", query=_QUERY) for kind in (*_LISTS, *_EMPTY)},
    **{f"GET {_V2}/{kind}/<{part}>": Said(one) for kind, (one, part) in _LISTS.items()},
    **{
        f"DELETE {_V2}/{kind}/<{part}>": Said(status=(204,))
        for kind, (_, part) in _LISTS.items()
    },
    f"POST {_V2}/networks": Said("", (201,), _one_or_many("network", _NETWORK)),
    f"PUT {_V2}/networks/<network_id>": Said("network", body=under("network", _NETWORK)),
    f"POST {_V2}/subnets": Said("", (201,), _one_or_many("subnet", _SUBNET)),
    f"PUT {_V2}/subnets/<subnet_id>": Said("subnet", body=under("subnet", thing(**_TOLD))),
    **{
        f"{method} {_V2}/{things}/<{part}>/tags{each}": said
        for things, (_, part) in list(_LISTS.items())[:4]
        for method, each, said in (
            ("GET", "", Said("tags[]")),
            ("PUT", "", Said("tags[]", body=under("tags", listed(TEXT, 50)))),
            ("DELETE", "", Said(status=(204,))),
            ("GET", "/<tag>", Said(status=(204,))),
            ("PUT", "/<tag>", Said(status=(201,), body={})),
            ("DELETE", "/<tag>", Said(status=(204,))),
        )
    },
    f"GET {_V2}/network-ip-availabilities": Said("network_ip_availabilities[]", query=_QUERY),
    f"GET {_V2}/network-ip-availabilities/<network_id>": Said("network_ip_availability"),
    f"POST {_V2}/ports": Said("", (201,), {"type": "object", "properties": {"port": _PORT, "ports": listed(_PORT)}}),
    f"PUT {_V2}/ports/<port_id>": Said("port", body=under("port", thing(**_ABOUT_PORT))),
    f"POST {_V2}/floatingips": Said("floatingip", (201,), under("floatingip", _FLOATING)),
    f"PUT {_V2}/floatingips/<floatingip_id>": Said("floatingip", body=under("floatingip", thing(**_ABOUT_FLOATING))),
    f"POST {_V2}/routers": Said(status=(), body=under("router", thing(name=TEXT))),
    f"POST {_V2}/security-groups": Said("security_group", (201,), under("security_group", _GROUP)),
    f"PUT {_V2}/security-groups/<group_id>": Said("security_group", body=under("security_group", thing(
        name=TEXT, description=LONG
    ))),
    f"POST {_V2}/security-group-rules": Said("", (201,), _RULE),
    f"GET {_V2}/quotas": Said("quotas[]"),
    f"GET {_V2}/quotas/<project_id>": Said("quota"),
    f"GET {_V2}/quotas/<project_id>/default": Said("quota"),
    f"GET {_V2}/quotas/<project_id>/details": Said("quota"),
    f"GET {_V2}/quotas/<project_id>/details.json": Said("quota"),
    f"PUT {_V2}/quotas/<project_id>": Said("quota", body=under("quota", _QUOTA)),
    f"DELETE {_V2}/quotas/<project_id>": Said(status=(204,)),
    f"GET {_V2}/extensions/<alias>": Said("extension"),
}  # fmt: skip
