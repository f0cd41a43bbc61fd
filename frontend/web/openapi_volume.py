"""What /openapi.json says of Block Storage, but for snapshots and what there is not. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import ANYTHING, FLAG, LONG, TEXT, WORDS, Said, Schema, action, thing, under

_V3 = "/volume/v3"
_T = f"{_V3}/<tenant>"
_ONE = f"{_T}/volumes/<volume_id>"
_COMPUTE = "/compute/v2.1/os-volumes"
_PAGE = ("limit", "marker", "offset")
_FILTERS = (
    *("name", "status", "metadata", "bootable", "availability_zone", "size", "volume_type", "user_id", "snapshot_id"),
    *("source_volid", "glance_metadata", "encrypted", "multiattach", "group_id", "all_tenants", "project_id"),
    *("name~", "status~", "description", "description~"),
)
_SORT = ("sort", "sort_key", "sort_dir")
_NUMBER: Schema = {"type": ["integer", "string"]}
_VOLUME = thing(
    size=_NUMBER,
    name=TEXT,
    description=TEXT,
    volume_type=TEXT,
    imageRef=LONG,
    snapshot_id=TEXT,
    source_volid=TEXT,
    availability_zone=TEXT,
    metadata=WORDS,
    multiattach=FLAG,
)
_ATTACHMENTS = ("volume_id", "status", "instance_id", "attach_status", "all_tenants", *_SORT, *_PAGE)
_NEW_ATTACHMENT = thing(("volume_uuid",), volume_uuid=TEXT, instance_uuid=TEXT, connector=ANYTHING)
_ABSENT = (501,)
_CHANGE = thing(name=TEXT, description=TEXT, metadata=WORDS)
_ATTACH = thing(("instance_uuid",), instance_uuid=TEXT, mountpoint=TEXT, mode={"enum": ["rw", "ro"]})
_ACTIONS = action(
    {
        **dict.fromkeys(("os-reserve", "os-unreserve", "os-begin_detaching", "os-roll_detaching"), ANYTHING),
        **dict.fromkeys(("os-force_delete", "os-show_image_metadata", "os-unmanage"), ANYTHING),
        **dict.fromkeys(("os-initialize_connection", "os-terminate_connection", "os-migrate_volume"), ANYTHING),
        **dict.fromkeys(("os-detach", "os-force_detach"), thing(attachment_id=TEXT)),
        "os-attach": _ATTACH,
        "os-extend": thing(("new_size",), new_size=_NUMBER),
        "os-set_bootable": thing(("bootable",), bootable=FLAG),
        "os-update_readonly_flag": thing(("readonly",), readonly=FLAG),
        "os-retype": thing(("new_type",), new_type=TEXT, migration_policy={"enum": ["never", "on-demand"]}),
        "os-reset_status": thing(("status",), status={"enum": ["available", "in-use", "error"]}),
        "os-set_image_metadata": thing(("metadata",), metadata=WORDS),
        "os-unset_image_metadata": thing(("key",), key=TEXT),
        "revert": thing(("snapshot_id",), snapshot_id=TEXT),
        "os-volume_upload_image": thing(
            ("image_name",), image_name=TEXT, force=FLAG, disk_format=TEXT, container_format=TEXT, visibility=TEXT
        ),
    }
)
_QUOTA = thing(volumes=ANYTHING, gigabytes=ANYTHING, snapshots=ANYTHING)
_TOO_MUCH, _TAGGED = (413,), (412,)


def _below(path: str, said: Mapping[str, Said]) -> dict[str, Said]:
    """Keys are METHOD or METHOD /REST."""
    return {f"{key.split()[0]} {path}{key.partition(' ')[2]}": each for key, each in said.items()}


_TRANSFERS: Mapping[str, Said] = {
    "GET": Said("transfers[]", query=("all_tenants", *_PAGE)),
    "POST": Said("transfer", (202,), under("transfer", thing(("volume_id",), volume_id=TEXT, name=TEXT))),
    "GET /detail": Said("transfers[]", query=("all_tenants", *_PAGE)),
    "GET /<transfer_id>": Said("transfer"),
    "DELETE /<transfer_id>": Said(status=(202,)),
    "POST /<transfer_id>/accept": Said(
        "transfer", (202,), under("accept", thing(("auth_key",), auth_key=TEXT)), refusals=_TOO_MUCH
    ),
}

SAID: Mapping[str, Said] = {
    "GET /volume": Said("versions[]", (300,)),
    f"GET {_V3}": Said("versions[]"),
    f"GET {_T}/volumes": Said("volumes[]", query=(*_FILTERS, *_SORT, *_PAGE)),
    f"POST {_T}/volumes": Said("volume", (202,), under("volume", _VOLUME)),
    f"GET {_T}/volumes/detail": Said("volumes[]", query=(*_FILTERS, *_SORT, *_PAGE)),
    f"GET {_T}/volumes/summary": Said("volume-summary", query=_FILTERS),
    f"GET {_ONE}": Said("volume"),
    f"PUT {_ONE}": Said("volume", body=under("volume", _CHANGE)),
    f"DELETE {_ONE}": Said(status=(202,), query=("cascade", "force")),
    f"POST {_ONE}/action": Said(status=(200, 202), body=_ACTIONS, refusals=(501,)),
    **_below(f"{_ONE}/metadata", {
        "GET": Said("metadata"),
        "POST": Said("metadata", body=under("metadata", WORDS)),
        "PUT": Said("metadata", body=under("metadata", WORDS), refusals=_TAGGED),
        "GET /<key>": Said("meta"),
        "PUT /<key>": Said("meta", body=under("meta", WORDS), refusals=_TAGGED),
        "DELETE /<key>": Said(),
    }),
    **_below(f"{_T}/types", {
        "GET": Said("volume_types[]", query=("is_public", *_PAGE)),
        "GET /<type_id>": Said("volume_type"),
        "GET /<type_id>/extra_specs": Said("extra_specs"),
        "GET /<type_id>/extra_specs/<spec>": Said(),
        "GET /<type_id>/encryption": Said(),
        "GET /<type_id>/os-volume-type-access": Said("volume_type_access[]"),
    }),
    f"GET {_T}/qos-specs": Said("qos_specs[]"),
    f"GET {_T}/group_types": Said("group_types[]"),
    f"GET {_T}/limits": Said("limits", query=("project_id",)),
    **_below(f"{_T}/os-quota-sets/<project_id>", {
        "GET": Said("quota_set", query=("usage",)),
        "GET /defaults": Said("quota_set"),
        "PUT": Said("quota_set", body=under("quota_set", _QUOTA)),
        "DELETE": Said(),
    }),
    f"GET {_T}/os-quota-class-sets/<class_name>": Said("quota_class_set"),
    f"PUT {_T}/os-quota-class-sets/<class_name>": Said("quota_class_set", body=under("quota_class_set", _QUOTA)),
    f"GET {_T}/os-availability-zone": Said("availabilityZoneInfo[]"),
    f"GET {_T}/extensions": Said("extensions[]"),
    f"GET {_T}/messages": Said("messages[]"),
    f"GET {_T}/os-services": Said("services[]", query=("host", "binary")),
    f"GET {_T}/os-hosts": Said("hosts[]"),
    f"GET {_T}/os-hosts/<host_name>": Said("host[]"),
    f"GET {_T}/scheduler-stats/get_pools": Said("pools[]", query=("detail", "name", "volume_type")),
    f"GET {_T}/resource_filters": Said("resource_filters[]", query=("resource",)),
    **_below(f"{_T}/attachments", {
        "GET": Said("attachments[]", query=_ATTACHMENTS),
        "POST": Said(status=(), body=under("attachment", _NEW_ATTACHMENT), refusals=_ABSENT),
        "GET /detail": Said("attachments[]", query=_ATTACHMENTS),
        "GET /<attachment_id>": Said("attachment"),
        "PUT /<attachment_id>": Said(
            status=(), body=under("attachment", thing(("connector",), connector=ANYTHING)), refusals=_ABSENT
        ),
        "DELETE /<attachment_id>": Said(status=()),
    }),
    **_below(f"{_T}/os-volume-transfer", _TRANSFERS),
    **_below(f"{_T}/volume-transfers", _TRANSFERS),
    **_below(_COMPUTE, {
        "GET": Said("volumes[]", query=(*_FILTERS, *_PAGE)),
        "POST": Said("volume", body=under("volume", _VOLUME)),
        "GET /detail": Said("volumes[]", query=(*_FILTERS, *_PAGE)),
        "GET /<volume_id>": Said("volume"),
        "DELETE /<volume_id>": Said(status=(202,)),
    }),
}  # fmt: skip
