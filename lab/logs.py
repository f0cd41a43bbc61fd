"""What every daemon of every node said, in one folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from ganeti_ext.errors import CommandError
from lab.node import Node

# File of the folder, and the command that tells it.
_TOLD = {
    "journal": "journalctl --boot --no-pager --output=short-precise",
    "ganeti": "tail -n 2000 /var/log/ganeti/*.log /var/log/ganeti/extstorage/* /var/log/ganeti/kvm/* 2>/dev/null",
    "network": "ip -details address; bridge link; nft list ruleset; iptables-save -c; ip6tables-save -c",
    "state": "losetup --list; ls -lR /run/ganeti-ext /var/lib/nfdhcpd /var/spool/ganeti-ext; cat /var/lib/nfdhcpd/*",
    "jobs": "gnt-job list --no-headers -o id,status,ops,opresult 2>/dev/null; gnt-instance list 2>/dev/null",
    "processes": "ps -ef --forest",
}


def collect(nodes: Iterable[Node], folder: Path) -> None:
    """Write a file for each node and kind into the folder; a node that is down leaves its boot log alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        for kind, command in _TOLD.items():
            with contextlib.suppress(CommandError):
                (folder / f"node{node.number}-{kind}.txt").write_text(node.run("sh", "-c", f"{command}; true"))
        if (boot := node.folder / "boot.log").exists():
            (folder / f"node{node.number}-boot.txt").write_bytes(boot.read_bytes())
