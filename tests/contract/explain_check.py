"""What `ganeti-ext-net check` finds on a node, and what it says is to be done."""

from __future__ import annotations

import json

from lab import layer
from tests.contract.explain_node import COMMAND, Node

_RESTORE = f"""
import sys; sys.path.insert(0, {layer.HERE!r})
from kvm_ifup import settings
from kvm_ifup.apply import Host
from kvm_ifup.reaper import Reaper
from kvm_ifup.state import Records
records = Records()
Reaper(records, Host(records), settings.load()).restore()
"""


def check(node: Node) -> list[dict[str, str]]:
    said = node.run("sh", "-c", f"{COMMAND} check --json; echo $?").splitlines()
    found = [json.loads(line) for line in said[:-1]]
    assert said[-1] == ("1" if found else "0")
    return found


def mend(node: Node, findings: list[dict[str, str]]) -> None:
    """Do what is said, once each. To reload the reaper is to let it look over all."""
    for todo in dict.fromkeys(one["todo"] for one in findings):
        for step in todo.split("; "):
            if step == "systemctl reload ganeti-ext-reaper":
                node.run("/usr/bin/python3", "-c", _RESTORE)
            elif not step.startswith("modprobe"):
                node.run("sh", "-c", step)
