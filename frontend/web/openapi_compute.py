"""What /openapi.json says of Compute's routes other than servers'. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import ANYTHING, FLAG, LONG, NAME, TEXT, WHOLE, WORDS, Said, listed, thing, under

_V2 = "/compute/v2.1"
_PAGE = ("limit", "marker")
_OF_FLAVORS = ("minDisk", "minRam", "is_public", "sort_key", "sort_dir", *_PAGE)
_OF_IMAGES = ("name", "status", "server", "type", "minDisk", "minRam", "changes-since", *_PAGE)
_FLAVOR = thing(("name", "vcpus", "ram", "disk"), id=TEXT, name=NAME, vcpus=WHOLE, ram=WHOLE, disk=WHOLE, swap=WHOLE)
_KEY = thing(("name",), name=NAME, public_key=LONG, type=TEXT, user_id=TEXT)
_GROUP = thing(("name",), name=NAME, description=LONG)
_ACCESS = thing(("tenant",), tenant=TEXT)
_ACT = {"oneOf": [under("addTenantAccess", _ACCESS), under("removeTenantAccess", _ACCESS)]}
_QUOTA = thing(instances=ANYTHING, cores=ANYTHING, ram=ANYTHING, force=FLAG)
_RULE = thing(parent_group_id=TEXT, ip_protocol=TEXT, from_port=ANYTHING, to_port=ANYTHING, cidr=TEXT, group_id=TEXT)

_FLAVORS: Mapping[str, Said] = {
    "GET": Said("flavors[]", query=_OF_FLAVORS),
    "POST": Said("flavor", body=under("flavor", _FLAVOR)),
    "GET /detail": Said("flavors[]", query=_OF_FLAVORS),
    "GET /<flavor_id>": Said("flavor"),
    "DELETE /<flavor_id>": Said(status=(202,)),
    "POST /<flavor_id>/action": Said("flavor_access[]", body=_ACT),
    "GET /<flavor_id>/os-extra_specs": Said("extra_specs"),
    "POST /<flavor_id>/os-extra_specs": Said("extra_specs", body=under("extra_specs", WORDS)),
    "GET /<flavor_id>/os-extra_specs/<spec>": Said(),
    "PUT /<flavor_id>/os-extra_specs/<spec>": Said(body=WORDS),
    "DELETE /<flavor_id>/os-extra_specs/<spec>": Said(),
    "GET /<flavor_id>/os-flavor-access": Said("flavor_access[]"),
}
_IMAGES: Mapping[str, Said] = {
    "GET": Said("images[]", query=_OF_IMAGES),
    "GET /detail": Said("images[]", query=_OF_IMAGES),
    "GET /<image_id>": Said("image"),
    "DELETE /<image_id>": Said(status=(204,)),
    "GET /<image_id>/metadata": Said("metadata"),
    "POST /<image_id>/metadata": Said("metadata", body=under("metadata", WORDS)),
    "PUT /<image_id>/metadata": Said("metadata", body=under("metadata", WORDS)),
    "GET /<image_id>/metadata/<key>": Said("meta"),
    "PUT /<image_id>/metadata/<key>": Said("meta", body=under("meta", WORDS)),
    "DELETE /<image_id>/metadata/<key>": Said(status=(204,)),
}
_SECURITY: Mapping[str, Said] = {
    "GET": Said("security_groups[]", query=_PAGE),
    "POST": Said("security_group", body=under("security_group", _GROUP)),
    "GET /<group_id>": Said("security_group"),
    "PUT /<group_id>": Said("security_group", body=under("security_group", _GROUP)),
    "DELETE /<group_id>": Said(status=(202,)),
}


def _below(path: str, said: Mapping[str, Said]) -> dict[str, Said]:
    """Keys are METHOD or METHOD /REST."""
    return {f"{key.split()[0]} {_V2}/{path}{key.partition(' ')[2]}": each for key, each in said.items()}


SAID: Mapping[str, Said] = {
    "GET /compute": Said("versions[]"),
    "GET /compute/v2": Said("version"),
    f"GET {_V2}": Said("version"),
    **_below("flavors", _FLAVORS),
    **_below("images", _IMAGES),
    **_below("os-security-groups", _SECURITY),
    f"POST {_V2}/os-security-group-rules": Said("security_group_rule", body=under("security_group_rule", _RULE)),
    f"DELETE {_V2}/os-security-group-rules/<rule_id>": Said(status=(202,)),
    f"GET {_V2}/os-keypairs": Said("keypairs[]", query=("user_id", *_PAGE)),
    f"POST {_V2}/os-keypairs": Said("keypair", (200, 201), under("keypair", _KEY)),
    f"GET {_V2}/os-keypairs/<keypair_name>": Said("keypair"),
    f"DELETE {_V2}/os-keypairs/<keypair_name>": Said(status=(202, 204)),
    f"GET {_V2}/limits": Said("limits", query=("tenant_id",)),
    **_below("os-quota-sets/<project_id>", {
        "GET": Said("quota_set"),
        "GET /detail": Said("quota_set"),
        "GET /defaults": Said("quota_set"),
        "PUT": Said("quota_set", body=under("quota_set", _QUOTA)),
        "DELETE": Said(status=(202,)),
    }),
    f"GET {_V2}/os-quota-class-sets/<class_name>": Said("quota_class_set"),
    f"PUT {_V2}/os-quota-class-sets/<class_name>": Said("quota_class_set", body=under("quota_class_set", _QUOTA)),
    **_below("os-server-groups", {
        "GET": Said("server_groups[]", query=("all_projects", "limit", "offset")),
        "POST": Said("server_group", body=under("server_group", thing(
            ("name", "policies"), name=NAME, policies=listed({"enum": ["anti-affinity", "affinity"]}, 1)
        ))),
        "GET /<server_group_id>": Said("server_group"),
        "DELETE /<server_group_id>": Said(status=(204,)),
    }),
    f"GET {_V2}/os-availability-zone": Said("availabilityZoneInfo[]"),
    f"GET {_V2}/os-availability-zone/detail": Said("availabilityZoneInfo[]"),
    **_below("os-hypervisors", {
        "GET": Said("hypervisors[]"),
        "GET /detail": Said("hypervisors[]"),
        "GET /statistics": Said("hypervisor_statistics"),
        "GET /<hypervisor_id>": Said("hypervisor"),
        "GET /<pattern>/search": Said("hypervisors[]"),
        "GET /<pattern>/servers": Said("hypervisors[]"),
    }),
    f"GET {_V2}/os-services": Said("services[]", query=("host", "binary")),
    f"GET {_V2}/os-hosts": Said("hosts[]", query=("zone",)),
    f"GET {_V2}/os-migrations": Said("migrations[]", query=("instance_uuid", "status", *_PAGE)),
    f"GET {_V2}/os-networks": Said("networks[]"),
    f"GET {_V2}/os-networks/<network_id>": Said("network"),
    f"GET {_V2}/os-tenant-networks": Said("networks[]"),
    f"GET {_V2}/os-tenant-networks/<network_id>": Said("network"),
    f"GET {_V2}/os-floating-ips": Said("floating_ips[]"),
    f"GET {_V2}/os-floating-ip-pools": Said("floating_ip_pools[]"),
    f"GET {_V2}/extensions": Said("extensions[]"),
    f"GET {_V2}/extensions/<extension>": Said("extension"),
    f"GET {_V2}/os-simple-tenant-usage": Said("tenant_usages[]", query=("start", "end", "detailed", *_PAGE)),
    f"GET {_V2}/os-simple-tenant-usage/<project_id>": Said("tenant_usage", query=("start", "end", *_PAGE)),
    f"GET {_V2}/credits": Said("credits"),
    f"GET {_V2}/credits/<project_id>": Said("credits"),
}  # fmt: skip
