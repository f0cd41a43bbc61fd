"""Records: what was set up for a tap, written before it is done, so that it can be undone from it alone.

/run/ganeti-ext/taps/TAP, lines of KEY=VALUE. /run and the kernel's rules are lost together at a reboot.
"""

from __future__ import annotations

import os
from collections import namedtuple

from ganeti_ext import files
from ganeti_ext.errors import ExtError
from kvm_ifup.elements import Element

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = "/run/ganeti-ext"


class RecordError(ExtError):
    """A record that cannot be read."""


class Assigned(namedtuple("Assigned", "profile number bridge addresses")):
    """A firewall profile by name and number, as profile_nft.assign has it: `bridge` is None for a tap on none.

    The number is 0 while the profile judges nothing: then there is nothing of it.
    """

    __slots__ = ()
    profile: str
    number: int
    bridge: str | None
    addresses: tuple[str, ...]


class Record(namedtuple("Record", "tap ifindex env told binding firewall elements undo")):
    """What one tap has.

    `env` is what Ganeti said of its NIC (nicenv.pick), with the tags as last told; `told` is when, by the master's
    clock, or "" for when the tap came up. `binding` is a file's path or None. `firewall` is None where no profile
    can be enforced. `undo` are (program, line) in the order in which they are to be run.
    """

    __slots__ = ()
    tap: str
    ifindex: int
    env: dict[str, str]
    told: str
    binding: str | None
    firewall: Assigned | None
    elements: tuple[Element, ...]
    undo: tuple[tuple[str, str], ...]

    @property
    def instance(self) -> str:
        return self.env["INSTANCE"]

    @property
    def nic(self) -> str:
        """The NIC's UUID."""
        return self.env["INTERFACE_UUID"]

    def shared(self) -> frozenset[tuple[str, str]]:
        """What there can be one of on a node for an address: proxy entries, and its profile behind a bridge."""
        found = {step for step in self.undo if step[1].startswith("neigh del proxy ")}
        if self.firewall and self.firewall.number and self.firewall.bridge:
            found |= {(self.firewall.bridge, address) for address in self.firewall.addresses}
        return frozenset(found)

    def without(self, shared: frozenset[tuple[str, str]]) -> Record:
        """Less these."""
        firewall = self.firewall
        if firewall:
            kept = tuple(address for address in firewall.addresses if (firewall.bridge, address) not in shared)
            firewall = firewall._replace(addresses=kept)
        return self._replace(undo=tuple(step for step in self.undo if step not in shared), firewall=firewall)

    def with_all_of(self, other: Record) -> Record:
        """And what another of the same tap has besides."""
        firewall = self.firewall or other.firewall
        if firewall and other.firewall:
            both = tuple(dict.fromkeys((*firewall.addresses, *other.firewall.addresses)))
            # The profile stays the one that was; by either number what stands is found and undone.
            firewall = firewall._replace(number=firewall.number or other.firewall.number, addresses=both)
        elements = tuple(dict.fromkeys((*self.elements, *other.elements)))
        return self._replace(binding=self.binding or other.binding, firewall=firewall, elements=elements)


class Records:
    """The records of this node in `directory`, and the locks of its taps."""

    def __init__(self, directory: str = DIRECTORY) -> None:
        self.directory = os.path.join(directory, "taps")
        self._locks = os.path.join(directory, "locks")

    def lock(self, tap: str) -> files.Lock:
        """Whoever touches anything of a tap holds this.

        Lock files stay: to remove one that another process waits for would make two locks of one name.
        """
        os.makedirs(self._locks, 0o755, exist_ok=True)
        return files.Lock(os.path.join(self._locks, tap))

    def shared(self) -> files.Lock:
        """Who notes what a tap shares with others, or undoes it, holds this, behind the tap's own lock."""
        os.makedirs(self._locks, 0o755, exist_ok=True)
        return files.Lock(os.path.join(self._locks, ":shared"))  # no interface can have this name

    def write(self, record: Record) -> None:
        os.makedirs(self.directory, 0o755, exist_ok=True)
        files.replace(os.path.join(self.directory, record.tap), render(record))

    def read(self, tap: str, *words: str) -> Record | None:
        """The record of a tap if it has one of the words, or none is given; RecordError when it is damaged."""
        path = os.path.join(self.directory, tap)
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            return parse(tap, text) if not words or any(word in text for word in words) else None
        except FileNotFoundError:
            return None
        except (OSError, KeyError, ValueError, TypeError) as err:
            raise RecordError(f"{path}: not a record: {err!r}") from err

    def remove(self, tap: str) -> None:
        files.remove(os.path.join(self.directory, tap))

    def all(self) -> Iterator[Record]:
        """The records of all taps, but for damaged ones."""
        for tap in self.taps():
            try:
                record = self.read(tap)
            except RecordError:
                continue
            if record:
                yield record

    def of_instance(self, instance: str) -> Iterator[Record]:
        """The records of an instance's taps; damaged ones are nobody's."""
        return (record for record in self.all() if record.instance == instance)

    def with_any_of(self, shared: frozenset[tuple[str, str]]) -> Iterator[Record]:
        """The records that share one of these with another; damaged ones share nothing."""
        words = [text for _, text in shared]
        for tap in self.taps():
            try:
                record = self.read(tap, *words)
            except RecordError:
                continue
            if record and not shared.isdisjoint(record.shared()):
                yield record

    def taps(self) -> Iterator[str]:
        """Names of the taps that have a record; drafts (dot-files) are not theirs."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return
        yield from (name for name in names if not name.startswith("."))


def render(record: Record) -> str:
    """The record's text; RecordError when a value does not fit on a line."""
    lines = [
        f"IFINDEX={record.ifindex}",
        f"TOLD={record.told}",
        f"BINDING={record.binding or ''}",
    ]
    if record.firewall:
        profile, number, bridge, addresses = record.firewall
        lines.append(f"FIREWALL={' '.join((profile, str(number), bridge or '-', *addresses))}")
    lines += [f"ENV={key}={value}" for key, value in record.env.items()]
    lines += [f"ELEMENT={' '.join(element)}" for element in record.elements]
    lines += [f"UNDO={program} {line}" for program, line in record.undo]
    for line in lines:
        if line.splitlines() != [line]:  # what follows the break would be a line of its own, and UNDO is run
            raise RecordError(f"{record.tap}: {line!r} cannot be recorded: it has a line break")
    return "\n".join(lines) + "\n"


def parse(tap: str, text: str) -> Record:
    """What a record's text says; KeyError or ValueError when it lacks something."""
    found: dict[str, list[str]] = {"ELEMENT": [], "UNDO": [], "ENV": []}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        found.setdefault(key, []).append(value)
    env = dict(line.split("=", 1) for line in found["ENV"])
    record = Record(
        tap=tap,
        ifindex=int(found["IFINDEX"][0]),
        env=env,
        told=found["TOLD"][0],
        binding=found["BINDING"][0] or None,
        firewall=_assigned(found["FIREWALL"][0]) if "FIREWALL" in found else None,
        elements=tuple(Element(*line.split(" ", 2)) for line in found["ELEMENT"]),
        undo=tuple((program, rest) for program, _, rest in (line.partition(" ") for line in found["UNDO"])),
    )
    if not (record.instance and record.nic):
        raise ValueError("no instance or NIC")
    return record


def _assigned(text: str) -> Assigned:
    profile, number, bridge, *addresses = text.split(" ")
    return Assigned(profile, int(number), None if bridge == "-" else bridge, tuple(addresses))
