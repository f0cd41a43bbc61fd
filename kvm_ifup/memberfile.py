"""The addresses of groups' members as this node was told them last: `group-members` writes the file, rules go by it.

/run/ganeti-ext/members/told: when that was said, then what (ganeti_ext/members.py). A node that was not told, or whose
file cannot be read, knows no members.
"""

from __future__ import annotations

import os

from ganeti_ext import files, members
from ganeti_ext.env import need
from ganeti_ext.errors import ContractError
from kvm_ifup.told import checked, is_late

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY = "/run/ganeti-ext/members"
_NAME = "told"


def main(_verb: str, env: Mapping[str, str]) -> None:
    """Keep what this environment tells, unless something newer is known."""
    told, text = need(env, members.TIME, checked), members.of_environment(env)
    try:
        members.parse(text)
    except ValueError as err:
        raise ContractError(f"{members.NAME}: {err}") from err
    os.makedirs(DIRECTORY, 0o755, exist_ok=True)
    with files.Lock(os.path.join(DIRECTORY, ".lock")):
        before, _ = _said()
        if not (before and is_late(told, before)):
            files.replace(path(), f"{told}\n{text}", sync=False)


def path() -> str:
    return os.path.join(DIRECTORY, _NAME)


def stamp() -> object:
    """Which file it is now (files.stamp)."""
    return files.stamp(path())


def read() -> dict[str, tuple[str, ...]]:
    """Addresses by the keys of groups; of none where nothing was told, or it cannot be read."""
    try:
        return members.parse(_said()[1])
    except (OSError, ValueError):
        return {}


def _said() -> tuple[str, str]:
    """When, and what; nothing where there is no file, or none of ours."""
    try:
        with open(path(), encoding="utf-8") as file:
            told, text = file.readline().rstrip("\n"), file.read()
        return checked(told), text
    except (FileNotFoundError, ValueError):
        return "", ""
