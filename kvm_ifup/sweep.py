"""Undoes what taps have, and gives an account of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ganeti_ext import binding, command
from ganeti_ext.errors import ExtError
from kvm_ifup import links
from kvm_ifup.apply import Host
from kvm_ifup.reaper import Reaper

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Record, Records


class Accountant(Host):
    """The node, and an account of what has been undone on it."""

    def __init__(
        self,
        records: Records,
        run: Callable[..., str] = command.run,
        index: Callable[[str], int | None] = links.ifindex,
    ) -> None:
        super().__init__(records, self._noted, index)
        self._start = run
        self._ran: list[str] = []
        self.account: list[dict[str, Any]] = []

    def undo(self, record: Record) -> None:
        self._ran = []
        super().undo(record)
        done = [*self._ran, f"{len(record.elements)} elements and the chain of nftables"]
        done += [f"firewall profile {record.firewall.profile}"] if record.firewall else []
        done += [f"binding {record.binding}"] if record.binding else []
        self.account.append({"tap": record.tap, "instance": record.instance, "undone": done})

    def _noted(self, argv: list[str], *, stdin: str = "") -> str:
        """Run a program; what fails has been undone before."""
        said = self._start(argv, stdin=stdin)
        self._ran += [" ".join(argv)] if argv[0] != "nft" else []
        return said


def sweep(settings: Settings, records: Records, host: Accountant) -> tuple[list[dict[str, Any]], list[str]]:
    """Undo what belongs to taps that are gone: an account of it, and the taps for which it failed."""
    before = _bound(settings)
    Reaper(records, host, settings).sweep()
    still, taps = _bound(settings), {one["tap"] for one in host.account}
    alone = [
        {"tap": tap, "instance": instance, "undone": ["its binding"]}
        for tap, instance in sorted(before.items())
        if tap not in taps and tap not in still
    ]
    return host.account + alone, sorted(tap for tap in records.taps() if _gone(records, host, tap))


def undo(tap: str, records: Records, host: Accountant, *, force: bool) -> list[dict[str, Any]]:
    """Undo what one tap has: an account of it; ExtError when it stands and that is not forced."""
    if tap not in records.taps():
        raise ExtError(f"there is no record of a tap {tap!r}")
    with records.lock(tap):
        record = records.read(tap)
        if record is None:
            raise ExtError(f"{tap} has been undone by another just now")
        if not host.gone(tap, record.ifindex) and not force:
            raise ExtError(
                f"{tap} stands, and {record.instance} uses it: --force takes it off the network, "
                "until the instance is restarted or migrated"
            )
        host.undo(record)
    return host.account


def _gone(records: Records, host: Host, tap: str) -> bool:
    try:
        record = records.read(tap)
    except ExtError:
        return True
    return record is not None and host.gone(tap, record.ifindex)


def _bound(settings: Settings) -> dict[str, str]:
    """The instances of bindings that can be read, by tap."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for tap in binding.taps(settings.binding_directory):
            with contextlib.suppress(binding.BindingError):
                found[tap] = binding.read(tap, settings.binding_directory).instance
    return found
