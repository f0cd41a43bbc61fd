"""os-start, os-stop and reboot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontend.effect import effect, translate
from frontend.web import context, schema

Row = Mapping[str, Any]

# Nova starts and stops a server between a resize and the word about it, too, and stops a rescued one.
_STOPPED = ("SHUTOFF", "VERIFY_RESIZE")
_RUNNING = ("ACTIVE", "VERIFY_RESIZE", "RESCUE")


def start(server: Row, _: object) -> tuple[str, int]:
    effect.check(server, "start", *_STOPPED)
    effect.one(server, "start", "powering-on", translate.start(server["instance"]))
    return "", 202


def stop(server: Row, _: object) -> tuple[str, int]:
    """The guest is asked to power off; after shutdown_timeout seconds it is switched off."""
    effect.check(server, "stop", *_RUNNING)
    effect.one(server, "stop", "powering-off", translate.stop(server["instance"], _timeout()))
    return "", 202


def reboot(server: Row, argument: object) -> tuple[str, int]:
    """HARD does not ask the guest."""
    kind = schema.reboot_type(argument)
    effect.check(server, "reboot", *_RUNNING)
    task = "rebooting_hard" if kind == "HARD" else "rebooting"
    effect.one(server, "reboot", task, translate.reboot(server["instance"], kind, _timeout()))
    return "", 202


def _timeout() -> int:
    return context.services().settings.front.shutdown_timeout
