"""What /openapi.json says of Image's routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import ANYTHING, FLAG, LONG, NAME, TEXT, WHOLE, Said, listed, thing, under

_V2 = "/image/v2"
_ONE = f"{_V2}/images/<image_id>"
_DATA = "application/octet-stream"
_FILTERS = (
    *("name", "id", "status", "visibility", "member_status", "owner", "os_hidden", "protected", "tag", "size"),
    *("size_min", "size_max", "min_disk", "min_ram", "disk_format", "container_format", "checksum", "os_hash_value"),
    *("created_at", "updated_at", "sort", "sort_key", "sort_dir", "limit", "marker"),
)
_IMAGE = thing(
    name=NAME,
    id=TEXT,
    disk_format={"enum": ["raw", "qcow2", "vmdk", "vdi", "vhdx", None]},
    container_format={"enum": ["bare", None]},
    visibility={"enum": ["private", "shared", "community", "public"]},
    min_disk=WHOLE,
    min_ram=WHOLE,
    protected=FLAG,
    os_hidden=FLAG,
    tags=listed(TEXT, 10),
)
_METHOD = thing(("name",), name={"enum": ["glance-direct", "web-download"]}, uri=LONG)

SAID: Mapping[str, Said] = {
    "GET /image": Said("versions[]", (300,)),
    f"GET {_V2}/images": Said("images[]", query=_FILTERS),
    f"POST {_V2}/images": Said("id", (201,), _IMAGE),
    f"GET {_ONE}": Said("id"),
    f"PATCH {_ONE}": Said("id", data="application/openstack-images-v2.1-json-patch"),
    f"DELETE {_ONE}": Said(status=(204,)),
    f"GET {_ONE}/file": Said(status=(200, 204), refusals=(503,), text=_DATA),
    f"PUT {_ONE}/file": Said(status=(204,), data=_DATA),
    f"PUT {_ONE}/stage": Said(status=(204,), data=_DATA),
    f"POST {_ONE}/import": Said(status=(202,), body=under("method", _METHOD)),
    f"GET {_ONE}/tasks": Said("tasks[]"),
    f"POST {_ONE}/actions/deactivate": Said(status=(204,), body=ANYTHING),
    f"POST {_ONE}/actions/reactivate": Said(status=(204,), body=ANYTHING),
    f"PUT {_ONE}/tags/<tag>": Said(status=(204,), body=ANYTHING),
    f"DELETE {_ONE}/tags/<tag>": Said(status=(204,)),
    f"GET {_ONE}/members": Said("members[]"),
    f"POST {_ONE}/members": Said("member_id", body=under("member", NAME)),
    f"GET {_ONE}/members/<member_id>": Said("member_id"),
    f"PUT {_ONE}/members/<member_id>": Said("member_id", body=under("status", NAME)),
    f"DELETE {_ONE}/members/<member_id>": Said(status=(204,)),
    f"GET {_V2}/info/import": Said("import-methods"),
    f"GET {_V2}/info/stores": Said("stores[]"),
    f"GET {_V2}/info/usage": Said("usage"),
    f"GET {_V2}/schemas/image": Said("name"),
    f"GET {_V2}/schemas/images": Said("name"),
    f"GET {_V2}/schemas/member": Said("name"),
    f"GET {_V2}/schemas/members": Said("name"),
}
