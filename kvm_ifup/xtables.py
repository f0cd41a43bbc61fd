"""python-iptables, mended where it has to be, under the lock that iptables itself takes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time

from ganeti_ext.errors import CommandError
from ganeti_ext.files import taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LOCK = "/run/xtables.lock"
PATIENCE = 10.0


@contextlib.contextmanager
def library() -> Iterator[Any]:
    """The library, while nobody else changes the tables; its errors become CommandError.

    To import it takes 300 ms. Tables are opened inside the block: what was read before may be history.
    """
    if sys.flags.no_site:  # scripts start without Debian's packages, which nothing else of theirs needs
        import site  # noqa: PLC0415 (what it is not needed for starts faster)

        site.main()
    try:
        import iptc  # noqa: PLC0415 (see above)
        import iptc.xtables  # noqa: PLC0415
    except (ImportError, AttributeError) as err:  # the latter when there is no libip4tc
        raise CommandError(f"python3-iptables is not there, or does not find its libraries: {err}") from err
    # For the target of each rule it opens all tables, and so would call that of nat into being.
    for kind in (iptc.Table, iptc.Table6):
        kind.ALL = ["filter"]
    _mend(iptc.xtables)
    with locked():
        try:
            yield iptc
        except (iptc.IPTCError, iptc.XTablesError) as err:
            raise CommandError(f"iptables: {err}") from err


def _mend(xtables: Any) -> None:
    """Let it find more than the first option of a match.

    libxtables 1.8.11 made `struct xt_option_entry` longer, which python-iptables 1.0.1 does not know
    (https://github.com/ldx/python-iptables/issues/353): it takes the new field, zero, for the end of the list.
    """
    entry = xtables.xt_option_entry
    known = ctypes.sizeof(entry)
    first = ctypes.addressof(xtables.xtables(xtables.NFPROTO_IPV4).find_match("multiport")[0].x6_options[0])
    if ctypes.c_void_p.from_address(first + known).value:
        return  # the name of the second option: the list is as it is known
    length = known + ctypes.alignment(entry)

    def look_up(_self: Any, entries: Any, name: bytes) -> Any:
        address = ctypes.addressof(entries[0])
        while (found := entry.from_address(address)).name:
            if found.name == name:
                return found
            address += length
        return None

    xtables.xtables._option_lookup = look_up  # noqa: SLF001 (there is no other place)


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """iptables' own lock (iptables/xshared.c); CommandError when another holds it for too long."""
    end = time.monotonic() + PATIENCE
    try:
        file = os.open(LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise CommandError(f"iptables: {LOCK}: {err.strerror}") from err
    try:
        while not taken(file):
            if time.monotonic() > end:
                raise CommandError(f"iptables: another has held {LOCK} for {PATIENCE:g} s")
            time.sleep(0.02)
        yield
    finally:
        os.close(file)
