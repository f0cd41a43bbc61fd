"""QEMU's arguments as Ganeti makes them (hv_kvm/__init__.py), with the serial port written into a log, too. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_KEPT = "unix:"


def guest(arguments: Sequence[str]) -> tuple[str, bool] | None:
    """The guest's name and whether it arrives by migration; None where nothing with a serial socket is started.

    Ganeti asks the same program for its help and its devices.
    """
    name = _after(arguments, "-name")
    serial = _after(arguments, "-serial")
    if name is None or serial is None or not serial.startswith(_KEPT):
        return None
    return name.split(",")[0], _after(arguments, "-incoming") is not None


def logged(arguments: Sequence[str], log: str) -> list[str]:
    """The same with a log of all that the guest writes: QEMU's short form of a serial port has none.

    The port stays the same device with the same socket and the same name in the monitor: neither the guest, nor a live
    migration from or to a QEMU without a log, nor `gnt-instance console` sees a difference.
    """
    place = arguments.index("-serial")
    path, _, options = arguments[place + 1].removeprefix(_KEPT).partition(",")
    device = f"socket,id=serial0,path={path},{_plain(options)},logfile={log.replace(',', ',,')},logappend=on"
    return [*arguments[:place], "-chardev", device, "-serial", "chardev:serial0", *arguments[place + 2 :]]


def _plain(options: str) -> str:
    """Ganeti 3.0 and 3.1 write `server,nowait`, which QEMU takes of the short form alone."""
    words = {"server": "server=on", "nowait": "wait=off", "wait": "wait=on"}
    return ",".join(words.get(option, option) for option in options.split(","))


def _after(arguments: Sequence[str], option: str) -> str | None:
    """What stands behind an option; None when it is not there."""
    try:
        return arguments[arguments.index(option) + 1]
    except (ValueError, IndexError):
        return None
