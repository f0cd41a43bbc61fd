"""The part of a move that is done on the instance's node, asked for by the master.

The configuration and Ganeti's jobs are the master's, QEMU's socket is the node's. The master may go to every node by
ssh, with Ganeti's own keys and known hosts (ssh.py, _BuildSshOptions); a node may not go to the master since Ganeti
2.16. So `migrate` is said on the master, and runs `ganeti-ext-storage mirror` on the node.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING

from extstorage.inventory_ganeti import Disk
from extstorage.mirror_qemu import Pair
from ganeti_ext.errors import CommandError, ContractError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from extstorage.inventory_ganeti import Ganeti


def command(ganeti: Ganeti, node: str, words: Sequence[str]) -> list[str]:
    """A command line that runs words without blanks on another node."""
    options = ["EscapeChar=none", "HashKnownHosts=no", f"GlobalKnownHostsFile={ganeti.data}/known_hosts"]
    options += ["UserKnownHostsFile=/dev/null", "CheckHostIp=no", "ConnectTimeout=10", "BatchMode=yes"]
    options += ["ServerAliveInterval=15", "ServerAliveCountMax=4"]  # a node that died ends it
    with open(f"{ganeti.data}/ssconf_cluster_name", encoding="ascii") as file:
        options += ["StrictHostKeyChecking=yes", f"HostKeyAlias={file.read().strip()}"]
    return ["ssh", "-q", *(f"-o{option}" for option in options), f"root@{node}", *words]


def ask(node: str, argv: Sequence[str], pair: Pair) -> dict[str, Any]:
    """Have it done; its stderr is ours. The other side undoes all when this process dies: its stdin ends then."""
    with subprocess.Popen(list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        with contextlib.suppress(BrokenPipeError):  # it has ended, and says why
            process.stdin.write(f"{to_text(pair)}\n".encode())
        told = process.stdout.read()
        code = process.wait()
    if code:
        raise CommandError(f"on node {node} it came to nothing (exit code {code})")
    found: dict[str, Any] = json.loads(told)
    return found


def to_text(pair: Pair) -> str:
    """A line."""
    return json.dumps({"old": pair.old._asdict(), "new": pair.new._asdict()})


def from_text(text: str) -> Pair:
    """What `to_text` made; ContractError for anything else."""
    try:
        found = json.loads(text)
        return Pair(Disk(**found["old"]), Disk(**found["new"]))
    except (ValueError, KeyError, TypeError) as err:
        raise ContractError(f"stdin should say which disk is to take which one's place: {err!r}") from err


def wanted() -> bool:
    """Whether whoever wrote to our stdin has not closed it."""
    return not (select.select([sys.stdin], [], [], 0)[0] and not os.read(sys.stdin.fileno(), 1))
