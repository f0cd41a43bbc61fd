"""Undoes what taps have, and gives an account of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganeti_ext import binding
from ganeti_ext.errors import ExtError
from kvm_ifup import links
from kvm_ifup.apply import Host
from kvm_ifup.reaper import Reaper

if TYPE_CHECKING:
    from typing import Any

    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Record, Records


class Accountant(Host):
    """The node, and what has been undone on it."""

    def __init__(self, records: Records) -> None:
        super().__init__(records, index=links.ifindex)
        self.undone: list[Record] = []

    def undo(self, record: Record) -> None:
        super().undo(record)
        self.undone.append(record)


def sweep(settings: Settings, records: Records) -> tuple[list[dict[str, Any]], list[str]]:
    """Undo what belongs to taps that are gone: an account of it, and the taps for which it failed."""
    before = _bound(settings)
    host = Accountant(records)
    Reaper(records, host, settings).sweep()
    taps = {record.tap for record in host.undone}
    alone = [
        {"tap": tap, "instance": before[tap], "undone": ["its binding"]} for tap in sorted(before) if tap not in taps
    ]
    still = _bound(settings)
    found = [account(record) for record in host.undone] + [one for one in alone if one["tap"] not in still]
    return found, [tap for tap in records.taps() if _gone(records, tap)]


def undo(tap: str, records: Records, *, force: bool) -> dict[str, Any]:
    """Undo what one tap has; ExtError when it stands and that is not forced."""
    host = Accountant(records)
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
    return account(record)


def account(record: Record) -> dict[str, Any]:
    """What was undone for a record."""
    done = [f"{program} {line}" for program, line in record.undo]
    done += [f"{len(record.elements)} elements and the chain of nftables"]
    done += [f"firewall profile {record.firewall.profile}"] if record.firewall else []
    done += [f"binding {record.binding}"] if record.binding else []
    return {"tap": record.tap, "instance": record.instance, "undone": done}


def _gone(records: Records, tap: str) -> bool:
    try:
        record = records.read(tap)
    except ExtError:
        return True
    return record is not None and links.ifindex(tap) != record.ifindex


def _bound(settings: Settings) -> dict[str, str]:
    """The instances of bindings, by tap."""
    found = {}
    try:
        for tap in binding.taps(settings.binding_directory):
            found[tap] = binding.read(tap, settings.binding_directory).instance
    except (FileNotFoundError, binding.BindingError):
        pass
    return found
