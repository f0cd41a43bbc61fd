"""Numbers for names, on this node until it reboots: a mark or a conntrack zone is a number, and has no room for a name.

/run/ganeti-ext/KIND, lines of NUMBER NAME. A number is not given to another name, as rules that use it may stand; but
for one that was freed (its name is =NUMBER then), once there is no other left.
"""

from __future__ import annotations

import os

from ganeti_ext import files
from ganeti_ext.errors import ExtError
from kvm_ifup.state import DIRECTORY

_FREE = "="


class Numbers:
    """Profiles (`profiles`, 1 to 4094) or zones (`zones`, 1 to 65535)."""

    def __init__(self, kind: str, most: int, directory: str = DIRECTORY) -> None:
        self._path = os.path.join(directory, kind)
        self._most = most

    def of(self, name: str) -> int:
        """The number of a name; a new name gets the next. ExtError when there is none left."""
        found = self.all()
        if name in found:
            return found[name]
        os.makedirs(os.path.dirname(self._path), 0o755, exist_ok=True)
        with files.Lock(self._path + ".lock"):
            given = self._given()
            if name not in given:
                given[name] = self._next(given, name)
                self._write(given)
        return given[name]

    def free(self, name: str) -> None:
        """No rule uses the number of this name, and nobody is about to make one."""
        with files.Lock(self._path + ".lock"):
            given = self._given()
            if name in given:
                number = given.pop(name)
                self._write({**given, f"{_FREE}{number}": number})

    def all(self) -> dict[str, int]:
        """All names and their numbers; ExtError when the file is damaged."""
        return {name: number for name, number in self._given().items() if not name.startswith(_FREE)}

    def _next(self, given: dict[str, int], name: str) -> int:
        number = max(given.values(), default=0) + 1
        if number <= self._most:
            return number
        for free in given:
            if free.startswith(_FREE):
                return given.pop(free)
        raise ExtError(f"{self._path}: {name!r} would be number {number}, and {self._most} is the last")

    def _given(self) -> dict[str, int]:
        try:
            with open(self._path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return {}
        try:
            return {name: int(number) for number, name in (line.split(" ", 1) for line in lines)}
        except ValueError as err:
            raise ExtError(f"{self._path}: {err}") from err

    def _write(self, given: dict[str, int]) -> None:
        files.replace(self._path, "".join(f"{number} {name}\n" for name, number in given.items()))
