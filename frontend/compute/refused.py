"""Actions that Ganeti has nothing for, in the words of a Nova whose hypervisor lacks them: 501."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from frontend.web.fault import Fault


class Unsupported(Fault):
    http_status = 501


_WHY = {
    "pause": "Ganeti cannot make a guest stand still",
    "unpause": "no server is ever paused",
    "suspend": "Ganeti cannot save a guest's memory",
    "resume": "no server is ever suspended",
    "shelve": "Ganeti keeps a stopped server's disks where they are, use os-stop",
    "shelveOffload": "no server is ever shelved",
    "unshelve": "no server is ever shelved",
    "restore": "a deleted server's disks are gone",
    "createBackup": "there is no rotation of images, use createImage",
    "trigger_crash_dump": "Ganeti cannot send a guest an interrupt",
}


def views() -> dict[str, Callable[[Mapping[str, Any], object], NoReturn]]:
    """By the action's name."""
    return {name: _refusal(name, why) for name, why in _WHY.items()}


def _refusal(name: str, why: str) -> Callable[[Mapping[str, Any], object], NoReturn]:
    def refuse(server: Mapping[str, Any], _: object) -> NoReturn:
        raise Unsupported(f"Unable to {name} instance {server['id']}: {why}.")

    return refuse
