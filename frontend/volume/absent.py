"""What Cinder has and there is not here, as a Cinder answers that has none of them or whose storage lacks it.

Lists are empty, what is named is unknown (404), and what would make the first of them is refused (501).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from flask import Response, jsonify

from frontend.compute.refused import Unsupported
from frontend.volume import volumes
from frontend.volume.since import since
from frontend.web import schema
from frontend.web.fault import NotFound

View = Callable[..., Any]
Route = tuple[str, str, View, str]

_GROUPS, _GROUP_SNAPSHOTS, _GROUP_TYPES, _CLUSTERS, _MANAGED, _LOGS = 13, 14, 11, 7, 8, 32
_NO_GROUPS = "Volumes have no groups: each is one of its own, and is snapshot by itself."
_NO_BACKUPS = "There are no backups: os-volume_upload_image makes an image of a volume."
_NO_SERVICES = "The storage is served by Ganeti's nodes: gnt-node drains them and takes them offline."
_NO_LEVELS = "What is logged follows from the settings of the services."
_NOT_MANAGED = "A volume is its holder in Ganeti, whose tags say what it is: there is none to be taken over."
_TURNED = ("enable", "disable", "disable-log-reason", "freeze", "thaw", "failover_host")


def routes(url: str, reader: str, member: str, admin: str) -> tuple[Route, ...]:
    """`url`: where those of Block Storage begin; the others: who may call."""
    groups, snapshots, types = f"{url}/groups", f"{url}/group_snapshots", f"{url}/group_types"
    no_group, no_snapshot = _unknown("Group", _GROUPS), _unknown("GroupSnapshot", _GROUP_SNAPSHOTS)
    no_service, no_level = _refused(_NO_SERVICES, 0), _refused(_NO_LEVELS, _LOGS)
    manageable = (f"{url}/manageable_volumes", f"{url}/manageable_snapshots")
    return (
        *_lists(groups, _none("groups", _GROUPS), reader),
        ("POST", groups, make_group, member),
        ("POST", f"{groups}/action", make_group_of, member),
        ("GET", f"{groups}/<absent_id>", no_group, reader),
        ("PUT", f"{groups}/<absent_id>", no_group, member),
        ("POST", f"{groups}/<absent_id>/action", no_group, member),
        *_lists(snapshots, _none("group_snapshots", _GROUP_SNAPSHOTS), reader),
        ("POST", snapshots, make_group_snapshot, member),
        ("GET", f"{snapshots}/<absent_id>", no_snapshot, reader),
        ("DELETE", f"{snapshots}/<absent_id>", no_snapshot, member),
        ("POST", f"{snapshots}/<absent_id>/action", no_snapshot, member),
        ("POST", types, _refused(_NO_GROUPS, _GROUP_TYPES), admin),
        ("GET", f"{types}/<absent_id>", _unknown("Group type", _GROUP_TYPES), reader),
        *_lists(f"{url}/clusters", _none("clusters", _CLUSTERS), admin),
        ("GET", f"{url}/clusters/<absent_id>", _unknown("Cluster", _CLUSTERS), admin),
        ("PUT", f"{url}/clusters/enable", turn_cluster, admin),
        ("PUT", f"{url}/clusters/disable", turn_cluster, admin),
        ("POST", f"{url}/workers/cleanup", clean_up, admin),
        *(("PUT", f"{url}/os-services/{each}", no_service, admin) for each in _TURNED),
        ("PUT", f"{url}/os-services/failover", _refused(_NO_SERVICES, 26), admin),
        ("PUT", f"{url}/os-services/get-log", no_level, admin),
        ("PUT", f"{url}/os-services/set-log", no_level, admin),
        *(route for each in manageable for route in _lists(each, _refused(_NOT_MANAGED, _MANAGED), admin)),
        *(("POST", each, _refused(_NOT_MANAGED, _MANAGED), admin) for each in manageable),
        *_lists(f"{url}/backups", _none("backups", 0), reader),
        ("POST", f"{url}/backups", make_backup, member),
        ("GET", f"{url}/backups/<absent_id>", _unknown("Backup", 0), reader),
    )


@since(3, _GROUPS)
def make_group() -> NoReturn:
    """POST /groups: there is no group type that it could be of."""
    raise _not_there("Group type", schema.text(schema.mapping(schema.body(), "group"), "group_type"))


@since(3, _GROUP_SNAPSHOTS)
def make_group_of() -> NoReturn:
    """POST /groups/action, create-from-src: there is nothing that it could be made of."""
    sent = schema.mapping(schema.body(), "create-from-src")
    if sent.get("group_snapshot_id"):
        raise _not_there("GroupSnapshot", schema.text(sent, "group_snapshot_id"))
    raise _not_there("Group", schema.text(sent, "source_group_id"))


@since(3, _GROUP_SNAPSHOTS)
def make_group_snapshot() -> NoReturn:
    """POST /group_snapshots: there is no group."""
    raise _not_there("Group", schema.text(schema.mapping(schema.body(), "group_snapshot"), "group_id"))


@since(3, _CLUSTERS)
def turn_cluster() -> NoReturn:
    """PUT /clusters/enable and /disable: there is none of that name."""
    raise _not_there("Cluster", schema.text(schema.body(), "name"))


@since(3, 24)
def clean_up() -> tuple[Response, int]:
    """POST /workers/cleanup: no service has left anything, as Ganeti ends its jobs by itself."""
    schema.body()
    return jsonify({"cleaning": [], "unavailable": []}), 202


def make_backup() -> NoReturn:
    """POST /backups: of a volume that the caller has."""
    sent = schema.mapping(schema.body(), "backup")
    volumes.need(schema.text(sent, "volume_id"))
    raise Unsupported(_NO_BACKUPS)


def _lists(url: str, view: View, access: str) -> tuple[Route, Route]:
    return ("GET", url, view, access), ("GET", f"{url}/detail", view, access)


def _none(key: str, minor: int) -> View:
    @since(3, minor)
    def show_none() -> Response:
        return jsonify({key: []})

    return show_none


def _unknown(kind: str, minor: int) -> View:
    @since(3, minor)
    def find_none(absent_id: str) -> NoReturn:
        raise _not_there(kind, absent_id)

    return find_none


def _refused(why: str, minor: int) -> View:
    @since(3, minor)
    def refuse() -> NoReturn:
        raise Unsupported(why)

    return refuse


def _not_there(kind: str, ident: str) -> NotFound:
    return NotFound(f"{kind} {ident[:80]} could not be found.")
