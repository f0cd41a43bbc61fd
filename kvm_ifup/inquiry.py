"""What the node's files tell of taps and profiles: records, profiles, numbers. It reads, and changes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ganeti_ext import config
from ganeti_ext.errors import ConfigError, ExtError
from kvm_ifup import describe, firewall, links, profile_words, profiles
from kvm_ifup.state import DIRECTORY, Records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Record


class Inquiry:
    """`directory` is where records and numbers are, unless at their usual place."""

    def __init__(self, settings: Settings, directory: str = "") -> None:
        self._settings = settings
        self._directory = directory or DIRECTORY
        self.records = Records(self._directory)
        self._rules: dict[str, list[str]] = {}

    def record(self, tap: str) -> Record:
        """The record of a tap; ExtError when there is none."""
        found = self.records.read(tap) if tap in self.records.taps() else None
        if found is None:
            raise ExtError(f"there is no record of a tap {tap!r}; ganeti-ext-net list tells which there are")
        return found

    def taps(self) -> Iterator[dict[str, Any]]:
        """All that is known of each tap; of one whose record is damaged, its name and what is wrong."""
        for tap in sorted(self.records.taps()):
            try:
                record = self.records.read(tap)
                if record:
                    yield self._facts(record)
            except (ExtError, OSError) as err:
                yield {"tap": tap, "error": str(err)}

    def tap(self, tap: str) -> dict[str, Any]:
        """All that is known of a tap."""
        return self._facts(self.record(tap))

    def _facts(self, record: Record) -> dict[str, Any]:
        found = describe.tap(record, self._settings)
        index = links.ifindex(record.tap)
        found["state"] = "up" if index == record.ifindex else "gone" if index is None else "other"
        found["since"] = os.stat(os.path.join(self._directory, "taps", record.tap)).st_mtime
        if found["profile"]:
            found["profile"]["rules"] = self._words(found["profile"]["name"])
        return found

    def profiles(self) -> Iterator[dict[str, Any]]:
        """All profiles: those that have a file, and those that taps have."""
        numbers = firewall.numbers(self._directory).all()
        used = [record.firewall.profile for record in self._readable() if record.firewall]
        files = profiles.paths()
        for name in sorted({*files, *used}):
            found = {"profile": name, "number": numbers.get(name), "taps": used.count(name), "file": files.get(name)}
            try:
                profile = profiles.load(name)
            except ConfigError as err:
                yield {**found, "error": str(err)}
            else:
                yield {**found, "description": profile.description, "rules": list(profile_words.rules(profile))}

    def _words(self, profile: str) -> list[str]:
        """The rules of a profile in words, each file read once."""
        if profile not in self._rules:
            try:
                self._rules[profile] = list(profile_words.rules(profiles.load(profile)))
            except ConfigError as err:
                self._rules[profile] = [f"its file cannot be read: {err}"]
        return self._rules[profile]

    def _readable(self) -> Iterator[Record]:
        for tap in self.records.taps():
            try:
                record = self.records.read(tap)
            except ExtError:
                continue
            if record:
                yield record


def errors(path: str) -> Iterator[str]:
    """All that is wrong with the file of a profile: of each section the first error."""
    name, ending = os.path.splitext(os.path.basename(path))
    if ending != ".conf":
        yield f"{path}: the name of a profile's file ends in .conf"
    if not os.path.exists(path):
        yield f"{path}: there is no such file"
        return
    try:
        sections = config.sections(path)
    except ConfigError as err:
        yield str(err)
        return
    # Each section by itself, then all together: they may contradict each other.
    alone = [{"profile": {}, title: keys} for title, keys in sections.items()]
    seen: list[str] = []
    for some in (*alone, sections):
        try:
            profiles.build(name, path, some)
        except ConfigError as err:
            seen.append(str(err))
    yield from dict.fromkeys(seen)
