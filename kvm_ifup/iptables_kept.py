"""Whether our rules of iptables stand as they were put last: to ask python-iptables takes 60 ms, to ask here 10.

What `iptables-legacy-save` says of ours once they are put is kept, with the profiles that they are of; while it says
the same, nothing has to be put again.
"""

from __future__ import annotations

import json
import os

from ganeti_ext import command, files
from kvm_ifup.profile import MASK
from kvm_ifup.profile_iptables import DISPATCH, FAMILIES, chains, ours
from kvm_ifup.state import DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kvm_ifup.profile import Profile

_TOOLS = ("iptables-legacy-save", "ip6tables-legacy-save")


class Kept:
    """The file DIRECTORY/iptables: {"rules": lines of ours, "profiles": {number: its chains}}, gone with a reboot."""

    def __init__(self, directory: str = DIRECTORY, run: Callable[..., str] = command.run) -> None:
        self._path = os.path.join(directory, "iptables")
        self._run = run

    def stands(self, profiles: Mapping[int, Profile], mask: int = MASK) -> bool:
        """Whether all of these profiles, by number, were put and nobody has changed anything of ours since."""
        rules, known = self._read()
        wanted = _texts(profiles, mask)
        return wanted.items() <= known.items() and rules == self._rules()

    def intact(self) -> bool:
        """Whether nobody has changed anything of ours since. Ask it and `keep` under the lock of iptables."""
        return self._read()[0] == self._rules()

    def keep(self, profiles: Mapping[int, Profile], mask: int = MASK, *, others: bool) -> None:
        """These were put; `others`: those that were put before stand, too."""
        known = self._read()[1] if others else {}
        text = json.dumps({"rules": self._rules(), "profiles": {**known, **_texts(profiles, mask)}})
        os.makedirs(os.path.dirname(self._path), 0o755, exist_ok=True)
        files.replace(self._path, text + "\n")

    def _rules(self) -> list[str]:
        return [f"{tool} {line}" for tool in _TOOLS for line in _own(self._run([tool, "-t", "filter"]))]

    def _read(self) -> tuple[list[str], dict[str, str]]:
        """Nothing when there is no file, or none that we can read: then all is put again."""
        try:
            with open(self._path, encoding="utf-8") as file:
                found = json.load(file)
            return found["rules"], found["profiles"]
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return [], {}


def _texts(profiles: Mapping[int, Profile], mask: int) -> dict[str, str]:
    found = {}
    for number, each in profiles.items():
        parts = [sorted(chains({number: each}, family, mask).items()) for family in FAMILIES]
        found[str(number)] = repr(parts)
    return found


def _own(saved: str) -> Iterator[str]:
    """Our chains and rules, what leads to them, and what stands first in FORWARD, where nothing but that may stand."""
    is_first = True
    for line in saved.splitlines():
        words = line.split()
        if line.startswith(":") and ours(words[0][1:]):
            yield words[0]
        elif words[:2] == ["-A", "FORWARD"]:
            if is_first or words[-1] == DISPATCH:
                yield line
            is_first = False
        elif words[:1] == ["-A"] and ours(words[1]):
            yield line
