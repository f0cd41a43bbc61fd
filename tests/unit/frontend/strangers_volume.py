"""What strangers send to Block Storage, in the words of strangers.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from frontend.routes import TENANT
from frontend.volume import volumeact

Ids = Mapping[str, str]
Body = Callable[[Ids], Any]

# What administrators of Cinder turn on and off.
SERVICES = (
    *("enable", "disable", "disable-log-reason", "freeze", "thaw", "failover_host", "failover"),
    *("get-log", "set-log"),
)


def do(action: str) -> Body:
    return lambda _: {action: {}}


BODIES: Mapping[str, tuple[Body, ...]] = {
    f"PUT {TENANT}/volumes/<volume_id>": (lambda _: {"volume": {"name": "x"}},),
    f"POST {TENANT}/volumes/<volume_id>/action": tuple(do(name) for name in (*volumeact.ACTIONS, "nonsense")),
    f"POST {TENANT}/volumes/<volume_id>/metadata": (lambda ids: {"metadata": {ids["key"]: "x"}},),
    f"PUT {TENANT}/volumes/<volume_id>/metadata": (lambda ids: {"metadata": {ids["key"]: "x"}},),
    f"PUT {TENANT}/volumes/<volume_id>/metadata/<key>": (lambda ids: {"meta": {ids["key"]: "x"}},),
    f"PUT {TENANT}/os-quota-sets/<project_id>": (lambda _: {"quota_set": {"volumes": 99}},),
    f"PUT {TENANT}/os-quota-class-sets/<class_name>": (lambda _: {"quota_class_set": {"volumes": 99}},),
    f"POST {TENANT}/snapshots": (lambda ids: {"snapshot": {"volume_id": ids["volume_id"], "force": True}},),
    f"PUT {TENANT}/snapshots/<snapshot_id>": (lambda _: {"snapshot": {"name": "x"}},),
    f"POST {TENANT}/snapshots/<snapshot_id>/action": (do("os-force_delete"), do("os-reset_status"), do("nonsense")),
    f"POST {TENANT}/snapshots/<snapshot_id>/metadata": (lambda ids: {"metadata": {ids["key"]: "x"}},),
    f"PUT {TENANT}/snapshots/<snapshot_id>/metadata": (lambda ids: {"metadata": {ids["key"]: "x"}},),
    f"PUT {TENANT}/snapshots/<snapshot_id>/metadata/<key>": (lambda ids: {"meta": {ids["key"]: "x"}},),
    **{
        key: bodies
        for url in (f"{TENANT}/os-volume-transfer", f"{TENANT}/volume-transfers")
        for key, bodies in {
            f"POST {url}": (lambda ids: {"transfer": {"volume_id": ids["volume_id"]}},),
            f"POST {url}/<transfer_id>/accept": (lambda ids: {"accept": {"auth_key": ids["key"]}},),
        }.items()
    },
    f"POST {TENANT}/attachments": (lambda ids: {"attachment": {"volume_uuid": ids["volume_id"]}},),
    f"PUT {TENANT}/attachments/<attachment_id>": (lambda _: {"attachment": {"connector": {"host": "x"}}},),
    f"POST {TENANT}/backups": (lambda ids: {"backup": {"volume_id": ids["volume_id"]}},),
    f"POST {TENANT}/groups": (lambda ids: {"group": {"group_type": ids["absent_id"]}},),
    f"POST {TENANT}/groups/action": (lambda ids: {"create-from-src": {"source_group_id": ids["absent_id"]}},),
    f"PUT {TENANT}/groups/<absent_id>": (lambda ids: {"group": {"add_volumes": ids["volume_id"]}},),
    f"POST {TENANT}/groups/<absent_id>/action": (do("delete"), do("reset_status")),
    f"POST {TENANT}/group_snapshots": (lambda ids: {"group_snapshot": {"group_id": ids["absent_id"]}},),
    f"POST {TENANT}/group_snapshots/<absent_id>/action": (do("reset_status"),),
    f"POST {TENANT}/group_types": (lambda _: {"group_type": {"name": "x"}},),
    **{f"PUT {TENANT}/clusters/{each}": (lambda _: {"name": "x"},) for each in ("enable", "disable")},
    f"POST {TENANT}/workers/cleanup": (lambda _: {},),
    **{f"PUT {TENANT}/os-services/{each}": (lambda _: {"host": "hush-host"},) for each in SERVICES},
    f"POST {TENANT}/manageable_volumes": (lambda ids: {"volume": {"ref": ids["volume_id"]}},),
    f"POST {TENANT}/manageable_snapshots": (lambda ids: {"snapshot": {"ref": ids["snapshot_id"]}},),
}
