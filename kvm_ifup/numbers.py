"""Numbers for names, on this node until it reboots: a mark or a conntrack zone is a number, and has no room for a name.

/run/ganeti-ext/KIND, lines of NUMBER NAME. A number is never given to another name: rules that use it may stand.
"""

from __future__ import annotations

import os

from ganeti_ext import files
from ganeti_ext.errors import ExtError
from kvm_ifup.state import DIRECTORY


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
            found = self.all()
            if name not in found:
                number = max(found.values(), default=0) + 1
                if number > self._most:
                    raise ExtError(f"{self._path}: {name!r} would be number {number}, and {self._most} is the last")
                found[name] = number
                text = "".join(f"{given} {other}\n" for other, given in found.items())
                files.replace(self._path, text)
        return found[name]

    def all(self) -> dict[str, int]:
        """All names and their numbers; ExtError when the file is damaged."""
        try:
            with open(self._path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return {}
        try:
            return {name: int(number) for number, name in (line.split(" ", 1) for line in lines)}
        except ValueError as err:
            raise ExtError(f"{self._path}: {err}") from err
