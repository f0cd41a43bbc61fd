"""Tags for the hook of an instance that were left over: lefttag.py says which, and the payer takes them away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlalchemy.engine import Engine

from frontend.effect import clusters, lefttag, owed
from frontend.reconcile.difference import Difference, Entry
from frontend.reconcile.snapshot import LAG, RemoteApi

KIND = "tag-left"


def differences(
    engine: Engine, rapi: RemoteApi, instances: Mapping[str, Entry], pause: Callable[[float], None]
) -> Iterator[Difference]:
    """Of instances as they were just read: the tags that are there still once it is known which jobs go on.

    Raises RapiUnavailable, RapiError or SQLAlchemyError.
    """
    found = {
        name: tags
        for name, entry in instances.items()
        if (tags := _of_nobody(engine, name, entry, clusters.asked(rapi)))
    }
    if not found:
        return
    busy = lefttag.busy(rapi)
    pause(LAG)  # a job that was over by then has shown what it did
    wanted = ["|", *(["=", "name", name] for name in found if name not in busy)]
    for entry in rapi.query("instance", ("name", "tags"), wanted) if len(wanted) > 1 else ():
        for tag in set(found[entry["name"]]) & set(entry["tags"]):
            after = {"id": lefttag.ident(tag), "tag": tag}
            words = f"it has the tag {tag}, which nobody waits for"
            advice = f"gnt-instance remove-tags {entry['name']} {tag}"
            yield Difference(KIND, "instance", entry["name"], None, after, words, advice)


def promise(engine: Engine, each: Difference, now: float, cluster: str) -> bool:
    """Have the tag taken away later, if it is left over then, too; whether nobody had promised that yet."""
    after = each.after or {}
    with engine.begin() as connection:
        return owed.promise_untag(connection, after["id"], each.name, after["tag"], now, cluster)


def _of_nobody(engine: Engine, name: str, entry: Entry, cluster: str) -> list[str]:
    if not any(lefttag.ident(tag) for tag in entry["tags"]):
        return []
    with engine.begin() as connection:
        promised = owed.untags(connection, cluster)
        left = lefttag.of_nobody(connection, name, entry["tags"], cluster)
        return [tag for tag in left if (name, tag) not in promised]
