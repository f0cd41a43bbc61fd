"""Cuts the connections that a guest has, by conntrack(8): a bit of their mark condemns them.

They are not deleted: Linux would take the next segment of a TCP connection for the start of one (tcp_loose), and what
the guest itself starts is allowed.
"""

from __future__ import annotations

from ganeti_ext import command
from ganeti_ext.errors import CommandError
from kvm_ifup.profile import CONDEMNED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kvm_ifup.state import Record


def condemn(record: Record, run: Callable[..., str] = command.run) -> None:
    """Cut all connections to and from the addresses of a tap."""
    for argv in commands(record):
        try:
            run(argv)
        except CommandError as err:
            if "0 flow entries" not in str(err):
                raise


def commands(record: Record) -> list[list[str]]:
    """Two for each address: of connections that the guest has started, and of those that others have."""
    zones = [element.text.partition(" : ")[2] for element in record.elements if element.set == "zones"]
    zone = ["--zone", zones[0]] if zones else []
    addresses = [
        element.text.partition(" . ")[2] for element in record.elements if element.set in ("ip4", "ip6_source")
    ]
    return [
        [
            *("conntrack", "--update", "--family", "ipv6" if ":" in address else "ipv4", *zone),
            *(side, address, "--mark", f"{CONDEMNED:#x}/{CONDEMNED:#x}"),
        ]
        for address in addresses
        for side in ("--src", "--dst")
    ]
