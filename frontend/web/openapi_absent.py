"""What /openapi.json says of what Cinder has and Block Storage has not here. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from frontend.web.openapi_said import ANYTHING, FLAG, TEXT, WORDS, Said, Schema, action, listed, thing, under

_T = "/volume/v3/<tenant>"
_REFUSED = (501,)
_ANY: Schema = {"type": "object"}
_GROUP = thing(("group_type",), name=TEXT, description=TEXT, group_type=TEXT, volume_types=listed(TEXT))
_SOURCE = thing(name=TEXT, description=TEXT, group_snapshot_id=TEXT, source_group_id=TEXT)
_REPLICATION = ("enable_replication", "disable_replication", "failover_replication", "list_replication_targets")
_GROUP_ACTIONS = action(dict.fromkeys(("delete", "reset_status", *_REPLICATION), ANYTHING))
_SERVICE = thing(host=TEXT, binary=TEXT, cluster=TEXT, disabled_reason=TEXT)
_LOG = thing(binary=TEXT, server=TEXT, prefix=TEXT, level=TEXT)
_CLUSTER = thing(("name",), name=TEXT, binary=TEXT, disabled_reason=TEXT)
_BACKUP = thing(("volume_id",), volume_id=TEXT, name=TEXT, description=TEXT, snapshot_id=TEXT, force=FLAG)
_TURNED = ("enable", "disable", "disable-log-reason", "freeze", "thaw", "failover_host", "failover")


def _lists(path: str) -> dict[str, Said]:
    said = Said(f"{path}[]")
    return {f"GET {_T}/{path}": said, f"GET {_T}/{path}/detail": said}


def _never(body: Schema | None = None, refusals: tuple[int, ...] = ()) -> Said:
    """Of what has no success."""
    return Said(status=(), body=body, refusals=refusals)


def _manageable(kind: str) -> dict[str, Said]:
    path = f"{_T}/manageable_{kind}s"
    return {
        f"GET {path}": _never(refusals=_REFUSED),
        f"GET {path}/detail": _never(refusals=_REFUSED),
        f"POST {path}": _never(under(kind, _ANY), _REFUSED),
    }


SAID: Mapping[str, Said] = {
    **_lists("groups"),
    f"POST {_T}/groups": _never(under("group", _GROUP)),
    f"POST {_T}/groups/action": _never(under("create-from-src", _SOURCE)),
    f"GET {_T}/groups/<absent_id>": _never(),
    f"PUT {_T}/groups/<absent_id>": _never(under("group", _ANY)),
    f"POST {_T}/groups/<absent_id>/action": _never(_GROUP_ACTIONS),
    **_lists("group_snapshots"),
    f"POST {_T}/group_snapshots": _never(under("group_snapshot", thing(("group_id",), group_id=TEXT, name=TEXT))),
    f"GET {_T}/group_snapshots/<absent_id>": _never(),
    f"DELETE {_T}/group_snapshots/<absent_id>": _never(),
    f"POST {_T}/group_snapshots/<absent_id>/action": _never(action({"reset_status": ANYTHING})),
    f"POST {_T}/group_types": _never(under("group_type", thing(name=TEXT, group_specs=WORDS)), _REFUSED),
    f"GET {_T}/group_types/<absent_id>": _never(),
    **_lists("clusters"),
    f"GET {_T}/clusters/<absent_id>": _never(),
    f"PUT {_T}/clusters/enable": _never(_CLUSTER),
    f"PUT {_T}/clusters/disable": _never(_CLUSTER),
    f"POST {_T}/workers/cleanup": Said("cleaning[]", (202,), _ANY),
    **{f"PUT {_T}/os-services/{each}": _never(_SERVICE, _REFUSED) for each in _TURNED},
    f"PUT {_T}/os-services/get-log": _never(_LOG, _REFUSED),
    f"PUT {_T}/os-services/set-log": _never(_LOG, _REFUSED),
    **_manageable("volume"),
    **_manageable("snapshot"),
    **_lists("backups"),
    f"POST {_T}/backups": _never(under("backup", _BACKUP), _REFUSED),
    f"GET {_T}/backups/<absent_id>": _never(),
}
