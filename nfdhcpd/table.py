"""Whom to serve: bindings joined with the interfaces that exist, by the tap's ifindex."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext.binding import BindingError
from nfdhcpd.client import Client, client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ganeti_ext.binding import Binding
    from nfdhcpd.client import Link
    from nfdhcpd.settings import Settings

log = logging.getLogger(__name__)


class Change(NamedTuple):
    """A guest whose service began, changed or ended."""

    before: Client | None
    after: Client | None


class Table:
    """The join. `look` gives the interface of a name as it is now, None when there is none.

    A binding waits as long as its tap is missing, and is stale when it was written for another tap of that name:
    its IFINDEX tells. A tap whose binding is bad is refused: what it asks is not for the wire either. Every method
    yields what it changed, after it has changed it.
    """

    def __init__(self, settings: Settings, look: Callable[[str], Link | None]) -> None:
        self.settings = settings
        self.by_index: dict[int, Client] = {}
        self.refused: dict[int, str] = {}  # ifindex → tap, of those that have a bad binding
        self.stale: dict[str, str] = {}  # tap → why its binding is not served
        self._look = look
        self._bindings: dict[str, Binding | BindingError] = {}
        self._served: dict[str, Client] = {}
        self._used_by: dict[str, set[str]] = {}  # interface → taps whose bindings name it
        self._seen: dict[str, tuple[Link | None, Link | None]] = {}  # tap → what it was joined with

    def __iter__(self) -> Iterator[Client]:
        return iter(self._served.values())

    def taps(self) -> set[str]:
        """Every tap that has a binding, served or not."""
        return set(self._bindings)

    def put(self, tap: str, binding: Binding | BindingError) -> Iterator[Change]:
        """Take a new or changed binding, or what is wrong with its file."""
        if self._bindings.get(tap) == binding:
            return
        self._forget(tap)
        self._bindings[tap] = binding
        for name in _names(tap, binding):
            self._used_by.setdefault(name, set()).add(tap)
        yield from self._join(tap)

    def drop(self, tap: str) -> Iterator[Change]:
        """The binding is gone."""
        self._forget(tap)
        self._readmit(tap)
        yield from self._serve(tap, None)

    def changed(self, interfaces: Iterable[str]) -> Iterator[Change]:
        """Interfaces came, went or changed: join the bindings that name them again."""
        for tap in sorted({tap for name in interfaces for tap in self._used_by.get(name, ())}):
            if self._seen.get(tap) != self._links(tap):
                yield from self._join(tap)

    def reconfigure(self, settings: Settings) -> Iterator[Change]:
        """Prepare everything anew."""
        self.settings = settings
        for tap in sorted(self._bindings):
            yield from self._join(tap)

    def _links(self, tap: str) -> tuple[Link | None, Link | None]:
        binding = self._bindings[tap]
        indev = None if isinstance(binding, BindingError) else binding.indev
        return self._look(tap), self._look(indev) if indev else None

    def _forget(self, tap: str) -> None:
        binding = self._bindings.pop(tap, None)
        self._seen.pop(tap, None)
        self.stale.pop(tap, None)
        if binding is not None:
            for name in _names(tap, binding):
                self._used_by[name].discard(tap)
                if not self._used_by[name]:
                    del self._used_by[name]

    def _join(self, tap: str) -> Iterator[Change]:
        self._readmit(tap)
        self._seen[tap] = self._links(tap)
        made, why = None, self._waits(tap)
        if not why:
            try:
                made = self._client(tap)
            except BindingError as err:
                why = str(err)
                log.error("not served: %s", err)
            except Exception as err:  # one binding must not end the service of all
                why = f"bug: {err!r}"
                log.exception("bug: %s is not served", tap)
            if made is None:
                self._refuse(tap)
        if why:
            self.stale[tap] = why
        else:
            self.stale.pop(tap, None)
        yield from self._serve(tap, made)

    def _waits(self, tap: str) -> str:
        """Why a good binding is not for the interfaces that there are; nothing when it is."""
        binding, link = self._bindings[tap], self._seen[tap][0]
        if isinstance(binding, BindingError):
            return ""
        if link is None:
            return "the tap does not exist"
        if binding.ifindex not in (None, link.ifindex):
            return f"it was written for ifindex {binding.ifindex}, the tap of that name has {link.ifindex} now"
        return ""

    def _client(self, tap: str) -> Client:
        binding, (link, indev) = self._bindings[tap], self._seen[tap]
        if isinstance(binding, BindingError):
            raise binding
        assert link is not None
        return client(binding, link, indev, self.settings)

    def _readmit(self, tap: str) -> None:
        self.refused = {index: name for index, name in self.refused.items() if name != tap}

    def _refuse(self, tap: str) -> None:
        link = self._seen[tap][0]
        if link is not None:
            self.refused[link.ifindex] = tap

    def _serve(self, tap: str, after: Client | None) -> Iterator[Change]:
        before = self._served.pop(tap, None)
        if before is not None and self.by_index.get(before.ifindex) is before:
            del self.by_index[before.ifindex]
        if after is not None:
            self._served[tap] = self.by_index[after.ifindex] = after
        if before is not None or after is not None:
            yield Change(before, after)


def _names(tap: str, binding: Binding | BindingError) -> set[str]:
    """Interfaces that a binding names."""
    return {tap} if isinstance(binding, BindingError) else {tap, binding.indev or tap}
