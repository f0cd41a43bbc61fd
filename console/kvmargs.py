"""QEMU's arguments as Ganeti makes them (hv_kvm/__init__.py), with a screen and a log for the front. Pure.

Ganeti asks the same program for its help and its devices: those arguments name no guest.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SOCKET, _LOOPBACK = "unix:", "127.0.0.1:"
_LONGEST = 107  # octets of a socket's path (unix(7))


def name(arguments: Sequence[str]) -> str | None:
    """The guest's; None where none is started."""
    found = _after(arguments, "-name")
    return found and found.split(",")[0]


def arrives(arguments: Sequence[str]) -> bool:
    """Whether the guest comes by a live migration."""
    return _after(arguments, "-incoming") is not None


def has_serial(arguments: Sequence[str]) -> bool:
    """Whether it has a serial port on a socket."""
    return (_after(arguments, "-serial") or "").startswith(_SOCKET)


def logged(arguments: Sequence[str], log: str) -> list[str]:
    """The same with a log of all that the guest writes: QEMU's short form of a serial port has none.

    The port stays the same device with the same socket and the same name in the monitor: neither the guest, nor a live
    migration from or to a QEMU without a log, nor `gnt-instance console` sees a difference.
    """
    place = arguments.index("-serial")
    path, _, options = arguments[place + 1].removeprefix(_SOCKET).partition(",")
    device = f"socket,id=serial0,path={path},{_plain(options)},logfile={log.replace(',', ',,')},logappend=on"
    return [*arguments[:place], "-chardev", device, "-serial", "chardev:serial0", *arguments[place + 2 :]]


def screened(arguments: Sequence[str], path: str) -> list[str]:
    """The same with VNC on a unix socket where Ganeti puts it on the loopback, for whoever is on the node.

    Ganeti 3.1 takes no path for vnc_bind_address (netutils.IsValidInterface fails of it). An address of another kind
    is an administrator's wish, and so is a password: both stay.
    """
    asked = _after(arguments, "-vnc") or ""
    if not asked.startswith(_LOOPBACK) or "," in asked or "," in path or len(path.encode()) > _LONGEST:
        return list(arguments)
    place = arguments.index("-vnc")
    return [*arguments[:place], "-vnc", f"{_SOCKET}{path}", *arguments[place + 2 :]]


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
