"""Changes of a server that take several jobs, from OpenStack's words to Ganeti's. Pure: values in, steps out.

Whatever fails, what a step says of the server is said only after what it tells of was done: so a chain that breaks
off leaves a server that is what it is shown to be. And a server that ran is started again in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frontend.effect import translate
from frontend.effect.translate import GIB, MIB, Call, Step
from frontend.update import reading
from frontend.volume import volumename
from ganeti_ext import tags

ROOT = 0  # the disk that a server boots from


def tag(instance: str, added: Mapping[str, str]) -> Call:
    """Facts that Ganeti is to keep of a server."""
    return Call("PUT", f"instances/{instance}/tags", None, {"tag": tags.encode(added)})


def untag(instance: str, removed: Mapping[str, str]) -> Call:
    """Facts that were; OP_TAGS_DEL fails for a tag that there is not."""
    return Call("DELETE", f"instances/{instance}/tags", None, {"tag": tags.encode(removed)})


def modify(instance: str, **changes: Any) -> Call:
    return Call("PUT", f"instances/{instance}/modify", changes)


def resize(
    server: Mapping[str, Any],
    was: str,
    new: Mapping[str, Any],
    timeout: int,
    more: Mapping[str, str | None] | None = None,
) -> list[Step]:
    """To another flavor. `was` is the id of the present one, as it is shown; `more` facts follow, None: without it.

    The disk grows before the rest: should anything fail, the server has its old flavor, and at most more disk.
    """
    instance, steps = server["instance"], []
    had = server.get("facts") or {}
    changed = {fact: text for fact, text in (more or {}).items() if text != had.get(fact)}
    said = {fact: text for fact, text in changed.items() if text is not None}
    gone = {fact: had[fact] for fact, text in changed.items() if text is None}
    if new["disk"] > server["disk"] and not volumename.boots(server):
        size = {"amount": new["disk"] * (GIB // MIB), "absolute": True}
        steps.append(Step(Call("POST", f"instances/{instance}/disk/{ROOT}/grow", size)))
    steps += [
        Step(modify(instance, beparams=sizes(new))),
        Step(tag(instance, {"resized": was, "flavor": new["id"], **said})),
        *_without(instance, {**_kept({"flavor": server["flavor_id"]}), **gone}),
    ]
    return standing_still(server, steps, timeout)


def revert(server: Mapping[str, Any], old: Mapping[str, Any], timeout: int) -> list[Step]:
    """Back to the flavor before; the disk stays as large as it is, as Ganeti makes none smaller."""
    instance, was = server["instance"], server["facts"]["resized"]
    steps = [
        Step(modify(instance, beparams=sizes(old))),
        *(Step(tag(instance, known)) for known in [_kept({"flavor": was})] if known),
        Step(untag(instance, {"flavor": server["flavor_id"], "resized": was})),
    ]
    return standing_still(server, steps, timeout)


def sizes(flavor: Mapping[str, Any]) -> dict[str, int]:
    """vcpus and ram (MiB) as backend parameters."""
    return {"vcpus": flavor["vcpus"], "minmem": flavor["ram"], "maxmem": flavor["ram"]}


def standing_still(server: Mapping[str, Any], steps: Sequence[Step], timeout: int) -> list[Step]:
    """The steps while the server does not run; if it did, it does again in the end, whatever has failed."""
    if not runs(server):
        return list(steps)
    instance = server["instance"]
    return [Step(translate.stop(instance, timeout)), *steps, Step(translate.start(instance), anyway=True)]


def runs(server: Mapping[str, Any]) -> bool:
    return "ACTIVE" in (server["status"], server["power"])


def _kept(flavor: Mapping[str, str]) -> dict[str, str]:
    """The fact as Ganeti keeps it: of a server that was made without a flavor, it keeps none."""
    return {fact: ident for fact, ident in flavor.items() if ident.partition("-")[0] != reading.CUSTOM}


def _without(instance: str, facts: Mapping[str, str]) -> list[Step]:
    return [Step(untag(instance, facts))] if facts else []
