"""The clusters besides that of [rapi]: added, drained, set offline, removed; and which projects' servers go where."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from frontend.database import db
from frontend.database.vault import Vault
from frontend.effect import clusters, remote
from frontend.effect.clusters import DRAINED, HOME, OFFLINE, OPEN, Clusters
from frontend.identity import tokens
from frontend.manage.manage_base import Command, Context, named, table_of
from ganeti_ext import tags
from ganeti_ext.errors import ConfigError, ExtError

Row = dict[str, Any]

_HOME_WORD = "home"  # what one may type for the cluster of [rapi], whose id is empty
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,253}")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or text == _HOME_WORD:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a cluster")
    return text


def _weight(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=_name, help="as `gnt-cluster info` tells it")
    parser.add_argument("--url", required=True, help="https://HOST:PORT of its remote API")
    parser.add_argument("--user", required=True, help="who may write there")
    parser.add_argument("--password-file", metavar="FILE", help="with the password; else it is read from stdin")
    parser.add_argument("--ca", required=True, metavar="FILE", help="PEM of the certificate that it shows")
    own = "with the address of a RabbitMQ of its own; without: its eventd publishes to that of [broker]"
    parser.add_argument("--broker-file", metavar="FILE", help=own)
    same = "it sees the same image store and volumes' stores as this one: home, or a name"
    parser.add_argument("--storage-of", metavar="CLUSTER", help=same)
    parser.add_argument("--link", help="bridge of tenants' networks there; without: [front] tenant_link")
    parser.add_argument("--weight", type=_weight, default=1.0, help="what its free memory counts; default: %(default)s")
    parser.add_argument("--drained", action="store_true", help="no new servers go there yet")


def add(context: Context, options: argparse.Namespace) -> str:
    """Nothing is kept unless the cluster answers, shows its certificate and says that this is its name."""
    vault = _vault(context)
    row: Row = {
        "id": options.name, "name": options.name, "url": options.url, "user": options.user,
        "password": vault.lock(_secret(context, options.password_file, "password")),
        "ca": _certificate(context, options.ca), "link": options.link, "weight": options.weight,
        "state": DRAINED if options.drained else OPEN, "added": time.time(),
    }  # fmt: skip
    if options.broker_file:
        row["broker"] = vault.lock(_broker(_secret(context, options.broker_file, "broker")))
    said = clusters.made(vault, row, context.settings.clusters.timeout).get("info")
    if said["name"] != options.name:
        raise ExtError(f"cluster {options.name}: {options.url} says that it is {said['name']}")
    home = _home(context)
    if said["uuid"] == home["uuid"]:
        raise ExtError(f"cluster {options.name}: it is that of [rapi]")
    row.update(uuid=said["uuid"], seen=time.time())
    with context.engine.begin() as connection:
        if _all(connection).get(HOME) is None:
            connection.execute(insert(db.cluster).values(home))
        known = _all(connection)
        if any(each["uuid"] == said["uuid"] for each in known.values()):
            raise ExtError(f"cluster {options.name}: there is one of its UUID already: {said['uuid']}")
        row["storage"] = options.name
        if options.storage_of:
            row["storage"] = _need(connection, options.storage_of)["storage"]
        try:
            connection.execute(insert(db.cluster).values(row))
        except IntegrityError as err:
            raise ExtError(f"cluster {options.name}: there is one of that name already") from err
    return f"cluster {options.name}: added, {row['state']}; Ganeti {said['software_version']}\n"


def _home(context: Context) -> Row:
    said = remote.of(context.settings).get("info")
    now = time.time()
    return {"id": HOME, "name": said["name"], "uuid": said["uuid"], "added": now, "seen": now}


def _vault(context: Context) -> Vault:
    return Vault(tokens.load_secret(context.settings.front.secret_file))


def _secret(context: Context, path: str | None, what: str) -> str:
    """One line of a file, or of stdin: what stands on a command line everybody can read."""
    try:
        if path:
            with context.owner.raised():
                text = Path(path).read_text(encoding="utf-8")
        else:
            text = sys.stdin.readline()
    except (OSError, UnicodeDecodeError) as err:
        raise ExtError(f"{what}: {err}") from err
    found = text.rstrip("\r\n")
    if not found or "\n" in found:
        raise ExtError(f"{what}: expected one line in {path or 'stdin'}")
    return found


def _certificate(context: Context, path: str) -> str:
    """Without a key, which may stand in the same file and is nobody's here."""
    try:
        with context.owner.raised():
            text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as err:
        raise ExtError(f"ca: {err}") from err
    found = "".join(match.group().rstrip() + "\n" for match in _CERTIFICATE.finditer(text))
    if not found:
        raise ExtError(f"ca: {path} has no certificate in PEM")
    return found


def _broker(url: str) -> str:
    if not url.startswith(("amqp://", "amqps://")):
        raise ConfigError("broker: expected amqp[s]://USER:PASSWORD@HOST/VHOST")
    return url


def _json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def listed(context: Context, options: argparse.Namespace) -> str:
    with context.engine.connect() as connection:
        found = [_told(connection, row) for row in _all(connection).values()]
    if options.json:
        return json.dumps(found, indent=2) + "\n"
    head = ("NAME", "STATE", "ANSWERS", "SERVERS", "NODES", "FREE MIB", "WEIGHT", "STORAGE")
    columns = ("name", "state", "answers", "servers", "nodes", "memory_free", "weight", "storage")
    return table_of(head, [[row[column] for column in columns] for row in found])


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="CLUSTER", help="its name, or home for that of [rapi]")


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    _which(parser)
    _json_option(parser)


def show(context: Context, options: argparse.Namespace) -> str:
    with context.engine.connect() as connection:
        told = _told(connection, _need(connection, options.name))
    if options.json:
        return json.dumps(told, indent=2) + "\n"
    return "".join(f"{name + ':':14}{'-' if value is None else value}\n" for name, value in told.items())


def _told(connection: Connection, row: Row) -> Row:
    """What may be shown: nothing of its secrets."""
    node, pin = db.node.c, db.cluster_pin.c
    sums = select(func.count(), func.sum(node.memory), func.sum(node.memory_free)).where(
        node.cluster == row["id"], node.offline.is_(False), node.vm_capable.is_(True)
    )
    nodes, memory, free = connection.execute(sums).one()
    pinned = select(db.project.c.name).join(db.cluster_pin, pin.project_id == db.project.c.id)
    return {
        "name": clusters.shown(row),
        "is_home": row["id"] == HOME,
        "state": row["state"],
        "answers": "offline" if row["state"] == OFFLINE else ("yes" if row["silent"] is None else "no"),
        "fault": row["fault"],
        "silent_since": row["silent"],
        "seen": row["seen"],
        "url": row["url"],
        "user": row["user"],
        "own_broker": row["broker"] is not None,
        "servers": _count(connection, db.server, row["id"]),
        "volumes": _count(connection, db.volume, row["id"]),
        "nodes": nodes,
        "memory": memory,
        "memory_free": free,
        "weight": row["weight"],
        "storage": row["storage"] or _HOME_WORD,
        "link": row["link"],
        "pinned": sorted(connection.execute(pinned.where(pin.cluster == row["id"])).scalars()),
    }


def _count(connection: Connection, table: Any, cluster: str) -> int:
    return _number(connection, table, table.c.cluster == cluster, table.c.deleted.is_(None))


def _to(state: str, words: str) -> Callable[[Context, argparse.Namespace], str]:
    def run(context: Context, options: argparse.Namespace) -> str:
        with context.engine.begin() as connection:
            row = _need(connection, options.name)
            connection.execute(update(db.cluster).where(db.cluster.c.id == row["id"]).values(state=state))
        return f"cluster {clusters.shown(row)}: {words}\n"

    return run


def remove(context: Context, options: argparse.Namespace) -> str:
    """ExtError while there is anything of it that tenants have."""
    with context.engine.begin() as connection:
        row = _need(connection, options.name)
        if row["id"] == HOME:
            return _alone(connection, row)
        left = {name: count for name, count in _left(connection, row["id"]).items() if count}
        if left:
            words = ", ".join(f"{count} {name}" for name, count in left.items())
            raise ExtError(f"cluster {row['id']}: there are still {words} in it")
        for table in (db.network, db.removed_network, db.node, db.owed, db.cluster_pin):
            connection.execute(delete(table).where(table.c.cluster == row["id"]))
        connection.execute(delete(db.cluster_image).where(db.cluster_image.c.storage == row["id"]))
        connection.execute(delete(db.comparison).where(db.comparison.c.of_cluster == row["id"]))
        connection.execute(
            update(db.tenant_network).where(db.tenant_network.c.cluster == row["id"]).values(cluster=None)
        )
        connection.execute(delete(db.cluster).where(db.cluster.c.id == row["id"]))
    return f"cluster {row['id']}: removed\n"


def _alone(connection: Connection, row: Row) -> str:
    """The home cluster is the only one, and asked nothing more. Messages of a removed one must come no more."""
    if len(_all(connection)) > 1:
        raise ExtError("the cluster of [rapi] is what [rapi] says, and cannot be removed while there are others")
    connection.execute(delete(db.cluster).where(db.cluster.c.id == HOME))
    return f"cluster {clusters.shown(row)}: is the only one, as [rapi] says\n"


def _left(connection: Connection, cluster: str) -> dict[str, int]:
    """What tenants have in a cluster, and who uses its storage."""
    network, image, other = db.network.c, db.image.c, db.cluster.c
    mine = db.rows(connection, select(db.network).where(network.cluster == cluster))
    ports = db.port.c.network.in_([row["id"] for row in mine])
    return {
        "servers": _count(connection, db.server, cluster),
        "volumes": _count(connection, db.volume, cluster),
        "tenants' networks": sum("project" in tags.decode(row["tags"]) for row in mine),
        "ports": _number(connection, db.port, ports),
        "networks bound to it": _number(connection, db.tenant_network, db.tenant_network.c.cluster == cluster),
        "images": _number(connection, db.image, image.cluster == cluster, image.status != "deleted"),
        "snapshots": _number(connection, db.volume_snapshot, db.volume_snapshot.c.cluster == cluster),
        "clusters with its storage": _number(connection, db.cluster, other.storage == cluster, other.id != cluster),
    }


def _number(connection: Connection, table: Any, *where: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


def _pin_arguments(parser: argparse.ArgumentParser) -> None:
    _which(parser)
    parser.add_argument("project", help="name or id")


def pin(context: Context, options: argparse.Namespace) -> str:
    """Of a project with pins, new servers go to these clusters alone."""
    with context.engine.begin() as connection:
        row, project = _need(connection, options.name), named(connection, db.project, "project", options.project)
        mine = {"project_id": project["id"], "cluster": row["id"]}
        if not connection.execute(select(db.cluster_pin).filter_by(**mine)).first():
            connection.execute(insert(db.cluster_pin).values(mine))
    return f"project {project['name']}: pinned to {clusters.shown(row)}\n"


def unpin(context: Context, options: argparse.Namespace) -> str:
    with context.engine.begin() as connection:
        row, project = _need(connection, options.name), named(connection, db.project, "project", options.project)
        column = db.cluster_pin.c
        mine = (column.project_id == project["id"], column.cluster == row["id"])
        if not connection.execute(delete(db.cluster_pin).where(*mine)).rowcount:
            raise ExtError(f"project {project['name']}: is not pinned to {clusters.shown(row)}")
    return f"project {project['name']}: not pinned to {clusters.shown(row)} any more\n"


def _image_arguments(parser: argparse.ArgumentParser) -> None:
    _which(parser)
    parser.add_argument("image", help="name or id")
    parser.add_argument("--gone", action="store_true", help="it is not there any more")


def image(context: Context, options: argparse.Namespace) -> str:
    """What is there is the administrator's to copy: under the image's id, as in the storage where it is."""
    with context.engine.begin() as connection:
        row, found = _need(connection, options.name), named(connection, db.image, "image", options.image)
        column, mine = db.cluster_image.c, {"storage": row["storage"], "image_id": found["id"]}
        connection.execute(delete(db.cluster_image).where(*(column[name] == value for name, value in mine.items())))
        if not options.gone:
            connection.execute(insert(db.cluster_image).values(mine))
    words = "is not in its storage any more" if options.gone else "is in its storage, too"
    return f"cluster {clusters.shown(row)}: image {found['name']} {words}\n"


def apis(context: Context) -> Clusters:
    """The remote APIs of all clusters."""
    return Clusters(remote.of(context.settings), context.engine, _vault(context), context.settings)


def find(connection: Connection, name: str) -> Row | None:
    """A cluster by what an administrator types; None: the home cluster is the only one."""
    return None if name == _HOME_WORD and not _all(connection) else _need(connection, name)


def _all(connection: Connection) -> dict[str, Row]:
    return {row["id"]: row for row in clusters.every(connection)}


def _need(connection: Connection, name: str) -> Row:
    for row in _all(connection).values():
        if name in (row["name"], row["id"] or _HOME_WORD):
            return row
    raise ExtError(f"cluster {name!r}: there is none of that name; cluster-list shows those there are besides [rapi]'s")


COMMANDS = (
    Command("cluster-add", "Add a cluster; its password comes from stdin or a file", _add_arguments, add),
    Command("cluster-list", "List the clusters, where there are several", _json_option, listed),
    Command("cluster-show", "Show what is known of a cluster", _show_arguments, show),
    Command("cluster-drain", "No new servers go to a cluster", _which, _to(DRAINED, "drained")),
    Command("cluster-open", "New servers may go to a cluster", _which, _to(OPEN, "open")),
    Command("cluster-offline", "Ask nothing of a cluster; its servers are unknown", _which, _to(OFFLINE, "offline")),
    Command("cluster-online", "Ask a cluster again, and let new servers go there", _which, _to(OPEN, "open")),
    Command("cluster-remove", "Remove a cluster that nothing is left in", _which, remove),
    Command(
        "cluster-pin",
        "Let a project's new servers go to this cluster, and others it is pinned to, alone",
        _pin_arguments,
        pin,
    ),
    Command("cluster-image", "Tell that a cluster's own storage has an image, too", _image_arguments, image),
    Command("cluster-unpin", "Take a pin back", _pin_arguments, unpin),
)
