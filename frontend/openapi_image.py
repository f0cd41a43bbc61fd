"""What /openapi.json says of Image's routes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.openapi_said import Said

_V2 = "/image/v2"
_FILTERS = (
    *("name", "id", "status", "visibility", "owner", "os_hidden", "size_min", "size_max", "tag"),
    *("sort_key", "sort_dir", "limit", "marker"),
)

SAID: Mapping[str, Said] = {
    "GET /image": Said("versions[]", (300,)),
    f"GET {_V2}/images": Said("images[]", query=_FILTERS),
    f"GET {_V2}/images/<image_id>": Said("id"),
    f"DELETE {_V2}/images/<image_id>": Said(status=(204,)),
    f"GET {_V2}/images/<image_id>/tasks": Said("tasks[]"),
    f"GET {_V2}/schemas/images": Said("name"),
    f"GET {_V2}/schemas/image": Said("name"),
}
