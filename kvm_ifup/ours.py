"""All rules of this node that are ours, whatever they are for: to list them, and to take them away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganeti_ext import command
from ganeti_ext.errors import CommandError
from kvm_ifup import iptables

if TYPE_CHECKING:
    from collections.abc import Callable

_TABLES = ("netdev ganeti_ext", "bridge ganeti_ext", "inet ganeti_ext")


def listed(run: Callable[..., str] = command.run) -> list[str]:
    """What `nft list table` and `iptables -S` print of ours, a line each."""
    lines = []
    for table in _TABLES:
        try:
            lines += run(["nft", "list", "table", *table.split()]).splitlines()
        except CommandError as err:
            if "No such file" not in str(err):
                raise
    return lines + iptables.found()


def remove(run: Callable[..., str] = command.run) -> None:
    """Take all of them away, those of nftables in one transaction. Taps are judged no more; records stay."""
    # A table is added first, as one that is not there cannot be deleted.
    run(["nft", "-f", "-"], stdin="".join(f"add table {table}\ndelete table {table}\n" for table in _TABLES))
    if iptables.remove():
        from kvm_ifup import ipset  # noqa: PLC0415 (to ask for sets loads a module of the kernel)

        ipset.remove_all()
