"""Records: what was set up for a tap, written before it is done, so that it can be undone from it alone.

/run/ganeti-ext/taps/TAP, lines of KEY=VALUE. /run and the kernel's rules are lost together at a reboot.
"""

from __future__ import annotations

import os
from collections import namedtuple

from ganeti_ext import files
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = "/run/ganeti-ext"


class RecordError(ExtError):
    """A record that cannot be read."""


class Record(namedtuple("Record", "tap ifindex instance nic binding elements")):
    """What one tap has: `nic` is the NIC's UUID, `binding` a file's path or None, `elements` see ruleset.allow."""

    __slots__ = ()
    tap: str
    ifindex: int
    instance: str
    nic: str
    binding: str | None
    elements: tuple[tuple[str, str], ...]


class Records:
    """The records of this node, and the locks of its taps."""

    def __init__(self, directory: str = DIRECTORY) -> None:
        self._taps = os.path.join(directory, "taps")
        self._locks = os.path.join(directory, "locks")

    def lock(self, tap: str) -> files.Lock:
        """Whoever touches anything of a tap holds this.

        Lock files stay: to remove one that another process waits for would make two locks of one name.
        """
        os.makedirs(self._locks, 0o755, exist_ok=True)
        return files.Lock(os.path.join(self._locks, tap))

    def write(self, record: Record) -> None:
        os.makedirs(self._taps, 0o755, exist_ok=True)
        files.replace(os.path.join(self._taps, record.tap), render(record))

    def read(self, tap: str) -> Record | None:
        """The record of a tap, or None; RecordError when it is damaged."""
        path = os.path.join(self._taps, tap)
        try:
            with open(path, encoding="utf-8") as file:
                return parse(tap, file.read())
        except FileNotFoundError:
            return None
        except (OSError, KeyError, ValueError) as err:
            raise RecordError(f"{path}: not a record: {err!r}") from err

    def remove(self, tap: str) -> None:
        files.remove(os.path.join(self._taps, tap))

    def taps(self) -> Iterator[str]:
        """Names of the taps that have a record; drafts (dot-files) are not theirs."""
        try:
            names = os.listdir(self._taps)
        except FileNotFoundError:
            return
        yield from (name for name in names if not name.startswith("."))


def render(record: Record) -> str:
    """The record's text."""
    lines = [
        f"IFINDEX={record.ifindex}",
        f"INSTANCE={record.instance}",
        f"NIC={record.nic}",
        f"BINDING={record.binding or ''}",
    ]
    lines += [f"ELEMENT={name} {value}".rstrip() for name, value in record.elements]
    return "\n".join(lines) + "\n"


def parse(tap: str, text: str) -> Record:
    """What a record's text says; KeyError or ValueError when it lacks something."""
    found: dict[str, str] = {}
    elements = []
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "ELEMENT":
            name, _, rest = value.partition(" ")
            elements.append((name, rest))
        else:
            found[key] = value
    return Record(
        tap=tap,
        ifindex=int(found["IFINDEX"]),
        instance=found["INSTANCE"],
        nic=found["NIC"],
        binding=found["BINDING"] or None,
        elements=tuple(elements),
    )
