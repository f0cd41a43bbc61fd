"""Another first disk for a server: rebuild, rescue and unrescue, from OpenStack's words to Ganeti's. Pure.

Ganeti changes disks of an instance that does not run. A new disk is there before the old one goes, in one job: when it
cannot be made, the server has the one that it had. Other disks (that of the seed) stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frontend.effect import translate
from frontend.effect.translate import Call, Step
from frontend.effect.translate_change import modify, runs, tag, untag
from frontend.effect.translate_create import OS, Disk, of

Row = Mapping[str, Any]
Told = Mapping[str, str]
"""OS parameters that change the server's seed (seeding.update); empty: it stays."""


def rebuild(server: Row, image: str, disk: Disk, size: int, told: Told) -> list[Step]:
    """A root disk of another image, or anew of the same; `size` in MiB. What was on it is gone."""
    instance = server["instance"]
    changes = [["add", 0, _disk(f"{instance}-root", disk, size)], ["remove", 1, {}]]
    steps = [Step(modify(instance, disks=changes))]
    if image != server["image_id"]:
        steps.append(Step(tag(instance, {"image": image})))
        if server["image_id"]:
            steps.append(Step(untag(instance, {"image": server["image_id"]})))
    return _standing_still(server, steps, 0, told)


def rescue(server: Row, disk: Disk, size: int, timeout: int, told: Told) -> list[Step]:
    """A disk that it boots from, in front of its own ones. That it is rescued is said once it is."""
    instance = server["instance"]
    steps = [
        Step(modify(instance, disks=[["add", 0, _disk(_rescue(instance), disk, size)]])),
        Step(tag(instance, {"rescued": "1"})),
    ]
    return _standing_still(server, steps, timeout, told)


def unrescue(server: Row, timeout: int) -> list[Step]:
    """The disk goes by its name, so that it is never the server's own."""
    instance = server["instance"]
    steps = [
        Step(modify(instance, disks=[["remove", _rescue(instance), {}]])),
        Step(untag(instance, {"rescued": "1"})),
    ]
    # A server that is rescued runs, and is to run afterwards, whatever it did before (nova/compute/manager.py).
    return [
        Step(translate.stop(instance, timeout)),
        *steps,
        Step(translate.start(instance), anyway=True),
    ]


def _standing_still(server: Row, steps: Sequence[Step], timeout: int, told: Told) -> list[Step]:
    """The steps, with a change of the seed before them.

    The remote API's reinstallation waits for no other job; but it stops the instance itself, and the steps wait for it.
    """
    instance, ran = server["instance"], runs(server)
    stop = [Step(translate.stop(instance, timeout))] if ran else []
    start = [Step(translate.start(instance), anyway=True)] if ran else []
    reinstall = Call("POST", f"instances/{instance}/reinstall", {"os": OS, "start": False, "osparams": dict(told)})
    return [*stop, *([Step(reinstall, alone=True)] if told else []), *steps, *start]


def _rescue(instance: str) -> str:
    return f"{instance}-rescue"


def _disk(name: str, disk: Disk, size: int) -> dict[str, Any]:
    found = {"size": size, "name": name, **of(disk.provider), "origin": disk.origin}
    return {**found, "pool": disk.pool} if disk.pool else found
