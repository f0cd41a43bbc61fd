"""The command line of ganeti-ext-storage."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from extstorage import ctl_care, ctl_image_arguments, ctl_volumes, inventory, inventory_ganeti, move_live, provider
from extstorage.found import IMAGE, SNAPSHOT, VOLUME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Protocol

    class Verbs(Protocol):
        """What argparse's add_subparsers gives."""

        def add_parser(self, name: str, **how: Any) -> argparse.ArgumentParser: ...


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; ends the process with code 2 when they are wrong."""
    parser = argparse.ArgumentParser(
        "ganeti-ext-storage", description="Volumes and snapshots, and what is right and wrong with them."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    shared = _shared()
    _about_one(verbs, shared)
    _about_instances(verbs, shared)
    _about_all(verbs, shared)
    ctl_image_arguments.add(verbs, shared)
    found = parser.parse_args(argv)
    ctl_image_arguments.check(parser, found)
    if found.all and (found.provider or found.pool is not None):
        parser.error("--all goes with neither --provider nor --pool")
    return found


def _shared() -> argparse.ArgumentParser:
    """What every command takes."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="a JSON object a line")
    shared.add_argument("--provider", choices=sorted(inventory.PROVIDERS), help="only this one's volumes")
    shared.add_argument("--pool", help="only this pool's, as the disk parameter names it")
    shared.add_argument("--all", action="store_true", help="all that this node can use, which is the default")
    shared.add_argument(
        "--config", default=provider.CONFIG_DIRECTORY, metavar="DIR", help="where cow.conf and rbd.conf are"
    )
    shared.add_argument("--ganeti-data", default=inventory_ganeti.DATA, metavar="DIR", help="where Ganeti's data is")
    shared.add_argument("--ganeti-run", default=inventory_ganeti.RUN, metavar="DIR", help="where its sockets are")
    return shared


def _about_one(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    show = verbs.add_parser("show", parents=[shared], help="all about a volume")
    create = verbs.add_parser("create", parents=[shared], help="make an empty volume")
    create.add_argument("volume", metavar="VOLUME")
    create.add_argument("size", type=_size, metavar="SIZE", help="such as 10G; in MiB without a unit")
    clone = verbs.add_parser("clone", parents=[shared], help="make a volume of another, a snapshot or an image")
    clone.add_argument("origin", metavar="ORIGIN", help="image:ID, volume:NAME, snapshot:NAME, or a bare name")
    clone.add_argument("volume", metavar="NEW")
    clone.add_argument("--size", type=_size, help="its size, if it shall be more than the origin's")
    snapshot = verbs.add_parser("snapshot", parents=[shared], help="make a snapshot of a volume")
    rollback = verbs.add_parser("rollback", parents=[shared], help="give a volume the content of a snapshot")
    remove = verbs.add_parser("remove", parents=[shared], help="delete a volume or a snapshot")
    grow = verbs.add_parser("grow", parents=[shared], help="lengthen a volume")
    flatten = verbs.add_parser("flatten", parents=[shared], help="let a volume share its data with no origin")
    unlock = verbs.add_parser("unlock", parents=[shared], help="take a volume away from nodes that have it open")
    for one in (show, snapshot, rollback, remove, grow, flatten, unlock):
        one.add_argument("volume", metavar="VOLUME")
    snapshot.add_argument("name", metavar="NAME")
    rollback.add_argument("snapshot", metavar="SNAPSHOT")
    grow.add_argument("size", type=_size, metavar="SIZE", help="all of it, such as 10G")
    for one in (remove, grow):
        one.add_argument("--force", action="store_true", help="even if Ganeti has a disk for it, or may have one")
    unlock.add_argument("node", metavar="NODE", nargs="?", help="only from this one")
    unlock.add_argument("--yes", action="store_true", help="even if the node may live: two writers destroy a disk")


def _about_instances(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    snapshot = verbs.add_parser(
        "snapshot-instance", parents=[shared], help="make snapshots of all disks of an instance, of one moment"
    )
    snapshot.add_argument("instance", metavar="INSTANCE")
    snapshot.add_argument("prefix", metavar="PREFIX", help="the snapshots are PREFIX.disk0 and so on")
    snapshot.add_argument("--no-freeze", action="store_true", help="do not ask the guest's agent")
    migrate = verbs.add_parser("migrate", parents=[shared], help="give an instance's disks to another provider")
    migrate.add_argument("instance", metavar="INSTANCE")
    migrate.add_argument("to", metavar="PROVIDER", choices=sorted(inventory.PROVIDERS))
    migrate.add_argument("--to-pool", metavar="POOL", help="the pool there, if it is not the default one")
    migrate.add_argument(
        *("--param", "-p"), type=_param, action="append", default=[], metavar="KEY=VALUE", help="a disk parameter"
    )
    migrate.add_argument("--dry-run", action="store_true", help="only tell what would be moved")
    mirror = verbs.add_parser("mirror", parents=[shared])  # which migrate says on the instance's node
    mirror.add_argument("what", choices=(move_live.RUN, move_live.DROP))


def _about_all(verbs: Verbs, shared: argparse.ArgumentParser) -> None:
    listing = verbs.add_parser("list", parents=[shared], help="volumes, snapshots and images")
    listing.add_argument("--kind", choices=(VOLUME, SNAPSHOT, IMAGE), action="append", help="only these")
    verbs.add_parser("tree", parents=[shared], help="who descends from whom")
    verbs.add_parser("df", parents=[shared], help="how much room things take and share")
    verbs.add_parser("locks", parents=[shared], help="which nodes have volumes open")
    verify = verbs.add_parser("verify", parents=[shared], help="compare what is there with what Ganeti has")
    verify.add_argument(
        "--age", type=float, default=ctl_care.AGE, help="what is no older may be in the making (seconds; %(default)s)"
    )
    repair = verbs.add_parser("repair", parents=[shared], help="mend what verify finds")
    repair.add_argument("volumes", metavar="VOLUME", nargs="*", help="only what is found of these")
    repair.add_argument("--dry-run", action="store_true", help="only tell")
    repair.add_argument("--orphans", action="store_true", help="remove volumes that Ganeti made and does not know")
    gc = verbs.add_parser("gc", parents=[shared], help="what can be removed")
    gc.add_argument("snapshots", metavar="SNAPSHOT", nargs="*", help="these too, if nobody descends from them")
    gc.add_argument("--yes", action="store_true", help="remove it")


def _param(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value) or "," in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no KEY=VALUE")
    return key, value


def _size(text: str) -> int:
    try:
        return ctl_volumes.mib(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
