"""What /openapi.json says of Image's routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.openapi_said import FLAG, NAME, TEXT, WHOLE, Said, listed, thing

_V2 = "/image/v2"
_FILTERS = (
    *("name", "id", "status", "visibility", "owner", "os_hidden", "size_min", "size_max", "tag"),
    *("sort_key", "sort_dir", "limit", "marker"),
)
_IMAGE = thing(
    name=NAME,
    id=TEXT,
    disk_format={"enum": ["raw"]},
    container_format={"enum": ["bare"]},
    visibility={"enum": ["private", "public"]},
    min_disk=WHOLE,
    min_ram=WHOLE,
    protected=FLAG,
    tags=listed(TEXT, 10),
)

SAID: Mapping[str, Said] = {
    "GET /image": Said("versions[]", (300,)),
    f"GET {_V2}/images": Said("images[]", query=_FILTERS),
    f"GET {_V2}/images/<image_id>": Said("id"),
    f"POST {_V2}/images": Said("id", (201,), _IMAGE),
    f"PUT {_V2}/images/<image_id>/file": Said(status=(204,), data="application/octet-stream"),
    f"DELETE {_V2}/images/<image_id>": Said(status=(204,)),
    f"GET {_V2}/images/<image_id>/tasks": Said("tasks[]"),
    f"GET {_V2}/schemas/images": Said("name"),
    f"GET {_V2}/schemas/image": Said("name"),
}
