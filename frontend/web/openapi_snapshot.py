"""What /openapi.json says of snapshots of volumes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import ANYTHING, FLAG, TEXT, WORDS, Said, action, thing, under

_ALL = "/volume/v3/<tenant>/snapshots"
_ONE = f"{_ALL}/<snapshot_id>"
_QUERY = (
    *("name", "status", "volume_id", "metadata", "all_tenants", "project_id", "name~", "status~", "description~"),
    *("sort", "sort_key", "sort_dir", "limit", "marker", "offset"),
)
_NEW = thing(("volume_id",), volume_id=TEXT, name=TEXT, description=TEXT, force=FLAG, metadata=WORDS)
_STATUS = {"enum": ["available", "creating", "deleting", "error", "error_deleting"]}

SAID: Mapping[str, Said] = {
    f"GET {_ALL}": Said("snapshots[]", query=_QUERY),
    f"POST {_ALL}": Said("snapshot", (202,), under("snapshot", _NEW)),
    f"GET {_ALL}/detail": Said("snapshots[]", query=_QUERY),
    f"GET {_ONE}": Said("snapshot"),
    f"PUT {_ONE}": Said("snapshot", body=under("snapshot", thing(name=TEXT, description=TEXT))),
    f"DELETE {_ONE}": Said(status=(202,)),
    f"POST {_ONE}/action": Said(
        status=(202,),
        body=action({"os-reset_status": thing(("status",), status=_STATUS), "os-force_delete": ANYTHING}),
    ),
    f"GET {_ONE}/metadata": Said("metadata"),
    f"POST {_ONE}/metadata": Said("metadata", body=under("metadata", WORDS)),
    f"PUT {_ONE}/metadata": Said("metadata", body=under("metadata", WORDS)),
    f"GET {_ONE}/metadata/<key>": Said("meta"),
    f"PUT {_ONE}/metadata/<key>": Said("meta", body=under("meta", WORDS)),
    f"DELETE {_ONE}/metadata/<key>": Said(),
}
