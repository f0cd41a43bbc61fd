"""A cluster's configuration (config.data) with more instances than its one."""

from __future__ import annotations

import copy
import uuid
from typing import Any


def many(config: dict[str, Any], count: int) -> dict[str, Any]:
    """The same with `count` instances: its one, and copies of it that differ in what has to be theirs alone.

    ValueError when it has not just one, or one with disks, which are objects of their own.
    """
    if len(config["instances"]) != 1:
        raise ValueError(f"{len(config['instances'])} instances, expected one to copy")
    (first,) = config["instances"].values()
    if first["disks"]:
        raise ValueError(f"{first['name']} has disks, and copies of it would share them")
    made = [first, *(_copy(first, number) for number in range(1, count))]
    serial = config["serial_no"] + 1
    return {**config, "serial_no": serial, "instances": {each["uuid"]: each for each in made}}


def name(first: str, number: int) -> str:
    """guest-0.example.org is the first's name, guest-7.example.org that of copy 7."""
    return first.replace("-0.", f"-{number}.", 1)


def _copy(first: dict[str, Any], number: int) -> dict[str, Any]:
    made = copy.deepcopy(first)
    made |= {"name": name(first["name"], number), "uuid": str(uuid.uuid4())}
    for place, nic in enumerate(made["nics"]):
        low = number * len(made["nics"]) + place
        nic |= {
            "uuid": str(uuid.uuid4()),
            "mac": f"aa:01:{low >> 24 & 255:02x}:{low >> 16 & 255:02x}:{low >> 8 & 255:02x}:{low & 255:02x}",
        }
    return made
