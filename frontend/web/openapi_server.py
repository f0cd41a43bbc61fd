"""What /openapi.json says of servers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import (
    ANYTHING,
    FLAG,
    LONG,
    NAME,
    TEXT,
    WORDS,
    Said,
    action,
    listed,
    optional,
    thing,
    under,
)

_V2 = "/compute/v2.1"
_ONE = f"{_V2}/servers/<server_id>"
_PAGE = ("limit", "marker")
_FILTERS = (
    *("name", "status", "image", "flavor", "ip", "ip6", "uuid", "user_id", "changes-since"),
    *("all_tenants", "deleted", "sort_key", "sort_dir", *_PAGE),
)
_NUMBER = {"type": ["integer", "string"]}
_NIC = thing(uuid=TEXT, port=TEXT, fixed_ip=TEXT)
_DEVICE = thing(source_type=TEXT, destination_type=TEXT, uuid=TEXT, boot_index=_NUMBER, delete_on_termination=FLAG)
_SERVER = thing(
    ("name", "flavorRef", "imageRef"),
    name=NAME,
    description=LONG,
    adminPass=TEXT,
    accessIPv4=TEXT,
    accessIPv6=TEXT,
    return_reservation_id=FLAG,
    flavorRef=LONG,
    imageRef=LONG,
    networks={"oneOf": [listed(_NIC, 8), {"enum": ["auto", "none"]}]},
    metadata=WORDS,
    security_groups=listed(thing(("name",), name=TEXT), 10),
    block_device_mapping_v2=listed(_DEVICE, 4),
    min_count=_NUMBER,
    max_count=_NUMBER,
    availability_zone=TEXT,
    user_data=LONG,
    key_name=TEXT,
    config_drive=ANYTHING,
    personality=listed(thing(("path", "contents"), path=LONG, contents=LONG), 5),
)
_HINTS = thing(group=TEXT, different_host=ANYTHING, same_host=ANYTHING)
_CREATE = thing(("server",), server=_SERVER, **{"os:scheduler_hints": _HINTS, "OS-SCH-HNT:scheduler_hints": _HINTS})
_GROUP = thing(("name",), name=NAME)
_PLACE = thing(host=TEXT, block_migration=ANYTHING, disk_over_commit=ANYTHING, force=ANYTHING)
_ACTIONS = action(
    {
        **dict.fromkeys(("os-start", "os-stop", "lock", "unlock", "confirmResize", "revertResize"), ANYTHING),
        **dict.fromkeys(("forceDelete", "pause", "unpause", "suspend", "resume", "unrescue"), ANYTHING),
        **dict.fromkeys(("addSecurityGroup", "removeSecurityGroup"), _GROUP),
        **dict.fromkeys(("migrate", "os-migrateLive", "evacuate"), optional(_PLACE)),
        **dict.fromkeys(("os-getVNCConsole", "os-getSPICEConsole", "os-getSerialConsole"), thing(("type",), type=TEXT)),
        "reboot": thing(("type",), type={"enum": ["SOFT", "HARD"]}),
        "resize": thing(("flavorRef",), flavorRef=LONG),
        "rebuild": thing(("imageRef",), imageRef=LONG, name=NAME, adminPass=TEXT, metadata=WORDS),
        "rescue": optional(thing(adminPass=TEXT, rescue_image_ref=LONG)),
        "createImage": thing(("name",), name=NAME, metadata=WORDS),
        "changePassword": thing(("adminPass",), adminPass=NAME),
        "os-resetState": thing(("state",), state={"enum": ["active", "error"]}),
        "os-getConsoleOutput": optional(thing(length=_NUMBER)),
    }
)

_PAGED = ("limit", "marker")

SAID: Mapping[str, Said] = {
    f"GET {_V2}/servers": Said("servers[]", query=_FILTERS),
    f"GET {_V2}/servers/detail": Said("servers[]", query=_FILTERS),
    f"POST {_V2}/servers": Said("", (202,), _CREATE),
    f"GET {_ONE}": Said("server"),
    f"PUT {_ONE}": Said("server", body=under("server", thing(
        name=NAME, description=LONG, accessIPv4=TEXT, accessIPv6=TEXT
    ))),
    f"DELETE {_ONE}": Said(status=(204,)),
    f"POST {_ONE}/action": Said(status=(200, 202, 204), body=_ACTIONS, refusals=(501,)),
    f"POST {_ONE}/remote-consoles": Said("remote_console", body=under("remote_console", thing(
        ("protocol", "type"), protocol=TEXT, type=TEXT
    ))),
    f"GET {_ONE}/diagnostics": Said(query=("since",), refusals=(409,)),
    f"GET {_ONE}/ips": Said("addresses"),
    f"GET {_ONE}/ips/<network>": Said(),
    **{f"{method} {_ONE}/metadata": said for method, said in (
        ("GET", Said("metadata")),
        ("POST", Said("metadata", body=under("metadata", WORDS))),
        ("PUT", Said("metadata", body=under("metadata", WORDS))),
    )},
    **{f"{method} {_ONE}/metadata/<key>": said for method, said in (
        ("GET", Said("meta")),
        ("PUT", Said("meta", body=under("meta", WORDS))),
        ("DELETE", Said(status=(204,))),
    )},
    f"GET {_ONE}/tags": Said("tags[]"),
    f"PUT {_ONE}/tags": Said("tags[]", body=under("tags", listed(TEXT, 50))),
    f"DELETE {_ONE}/tags": Said(status=(204,)),
    f"GET {_ONE}/tags/<tag>": Said(status=(204,)),
    f"PUT {_ONE}/tags/<tag>": Said(status=(201, 204), body=ANYTHING),
    f"DELETE {_ONE}/tags/<tag>": Said(status=(204,)),
    f"GET {_ONE}/os-interface": Said("interfaceAttachments[]"),
    f"POST {_ONE}/os-interface": Said("interfaceAttachment", body=thing(interfaceAttachment=thing(
        net_id=TEXT, port_id=TEXT, fixed_ips=listed(thing(("ip_address",), ip_address=TEXT), 1)
    ))),
    f"GET {_ONE}/os-interface/<port_id>": Said("interfaceAttachment"),
    f"DELETE {_ONE}/os-interface/<port_id>": Said(status=(202,)),
    f"GET {_ONE}/os-instance-actions": Said("instanceActions[]", query=_PAGED),
    f"GET {_ONE}/os-instance-actions/<request_id>": Said("instanceAction"),
    f"GET {_ONE}/os-server-password": Said("password"),
    f"DELETE {_ONE}/os-server-password": Said(status=(204,)),
    f"GET {_ONE}/os-security-groups": Said("security_groups[]"),
    f"GET {_ONE}/os-volume_attachments": Said("volumeAttachments[]"),
    f"POST {_ONE}/os-volume_attachments": Said("volumeAttachment", body=under("volumeAttachment", thing(
        ("volumeId",), volumeId=TEXT, device=TEXT
    ))),
    f"GET {_ONE}/os-volume_attachments/<volume_id>": Said("volumeAttachment"),
    f"PUT {_ONE}/os-volume_attachments/<volume_id>": Said(status=(202,), body=under("volumeAttachment", thing(
        ("volumeId",), volumeId=TEXT
    ))),
    f"DELETE {_ONE}/os-volume_attachments/<volume_id>": Said(status=(202,)),
}  # fmt: skip
