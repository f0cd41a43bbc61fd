"""What Ganeti's hvparam kvm_path names: starts QEMU with its screen on a unix socket and a log of the serial port.

Whatever is wrong with these, the guest is started. QEMU takes this process's place: its pid, its files and its
command line are what Ganeti and the interface scripts expect.
"""

from __future__ import annotations

import os
import sys

from console import kvmargs
from console.settings import PATH, Kvm, load
from ganeti_ext import files
from ganeti_ext.errors import ExtError
from ganeti_ext.guestname import is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(conf: str = PATH) -> NoReturn:
    """Never returns: QEMU runs in its place, or it ends with exit code 127."""
    arguments, program = sys.argv[1:], Kvm().path
    try:
        console, kvm = load(conf)
        program = kvm.path
        arguments = with_screen(arguments, console.screens)
        arguments = with_log(arguments, console.logs)
    except (ExtError, OSError) as err:
        sys.stderr.write(f"ganeti-ext-kvm: no log of the serial port: {err}\n")
    try:
        os.execv(program, [program, *arguments])  # noqa: S606 (Ganeti's own words)
    except OSError as err:
        sys.stderr.write(f"ganeti-ext-kvm: {program}: {err.strerror}\n")
        raise SystemExit(127) from err


def with_screen(arguments: Sequence[str], folder: str) -> list[str]:
    """The arguments with VNC in this folder; the same ones where no guest is started, or there is no such folder."""
    name = kvmargs.name(arguments)
    if not is_name(name) or not os.path.isdir(folder):
        return list(arguments)
    return kvmargs.screened(arguments, os.path.join(folder, f"{name}.vnc"))


def with_log(arguments: Sequence[str], folder: str) -> list[str]:
    """The arguments with a log in this folder; the same ones where no guest is started, or there is no such folder.

    Without the folder there is no ganeti-ext-consoled, which keeps logs short.
    """
    name = kvmargs.name(arguments)
    if not is_name(name) or not kvmargs.has_serial(arguments) or not os.path.isdir(folder):
        return list(arguments)
    log = os.path.join(folder, f"{name}.log")
    if kvmargs.arrives(arguments):
        # What stands there is of a time before the guest left this node.
        for path in (log, os.path.join(folder, f"{name}.old")):
            files.remove(path)
    # QEMU would make it readable for a group.
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    return kvmargs.logged(arguments, log)
