"""The kernel's block devices of RBD images (/sys/bus/rbd), for disks without access=userspace."""

from __future__ import annotations

import os

from ganeti_ext.errors import CommandError, ExtError
from ganeti_ext.files import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extstorage.rbd_settings import Settings

DEVICES = "/sys/bus/rbd/devices"


def mapped(settings: Settings, name: str) -> list[str]:
    """This node's devices of a volume."""
    try:
        numbers = sorted(os.listdir(DEVICES), key=lambda text: (len(text), text))
    except FileNotFoundError:
        return []  # the module is not loaded
    wanted = (settings.pool, "", name, "-")
    return [f"/dev/rbd{number}" for number in numbers if _identity(f"{DEVICES}/{number}") == wanted]


def attach(settings: Settings, name: str) -> str:
    """The device of a volume that exists; mapped when this node has none yet."""
    with _lock(settings):
        found = mapped(settings, name)
        return found[0] if found else _map(settings, name)


def detach(settings: Settings, name: str) -> None:
    """Unmap every device of a volume; an error while one is open."""
    if mapped(settings, name):
        with _lock(settings):
            for device in mapped(settings, name):
                _run(settings, "unmap", device)


def flush(settings: Settings, name: str) -> None:
    """Have all written that this node's page cache holds back of a volume."""
    for device in mapped(settings, name):
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _map(settings: Settings, name: str) -> str:
    try:
        # Else all images of a node are one client's, and who blocks it for one of them blocks it for all.
        _run(settings, "map", "--options=noshare", f"{settings.pool}/{name}")
    except CommandError as err:
        if os.path.isdir(os.path.dirname(DEVICES)):
            raise
        raise ExtError(
            f"volume {name!r}: this kernel maps no RBD images (it has no module rbd, which access=kernelspace needs);"
            f" use access=userspace: gnt-group modify --disk-parameters ext:access=userspace GROUP ({err})"
        ) from err
    found = mapped(settings, name)
    if not found:
        raise ExtError(f"volume {name!r} was mapped, but {DEVICES} does not show it")
    return found[0]


def _identity(path: str) -> tuple[str, ...]:
    try:
        return tuple(_read(f"{path}/{key}") for key in ("pool", "pool_ns", "name", "current_snap"))
    except FileNotFoundError:  # unmapped meanwhile
        return ()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except FileNotFoundError:
        if path.endswith("/pool_ns"):  # kernels before 4.19 know no namespaces
            return ""
        raise


def _run(settings: Settings, *words: str) -> None:
    from ganeti_ext.command import run  # noqa: PLC0415 (13 ms, which userspace access need not pay)

    run(["rbd", "--conf", settings.conf, "--id", settings.user, "device", *words], timeout=4.0 * settings.timeout)


def _lock(settings: Settings) -> Lock:
    os.makedirs(settings.run_directory, exist_ok=True)
    return Lock(f"{settings.run_directory}/.map")
