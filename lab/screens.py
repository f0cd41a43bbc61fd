"""The guests' screens and serial logs in the lab: set up as docs/console.md says."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from ganeti_ext.command import run
from lab import ROOT, wires
from lab.node import Node

PORT = 6080
PACKAGES = ("novnc", "python3-websockify")
_KVM = "/usr/sbin/ganeti-ext-kvm"
_HYPERVISOR = "/var/lib/ganeti/ssconf_hvparams_kvm"


def section(front: Node) -> str:
    """Of the front's configuration."""
    return f"[console]\nurl = http://{front.address}:{PORT}\nlisten = 0.0.0.0:{PORT}\n"


def up(nodes: Sequence[Node], front: Node) -> None:
    """Let the nodes know the front, and Ganeti start guests with a screen and a log. Safe to repeat."""
    master = nodes[0]
    qemu = re.findall(r"^kvm_path=(.*)$", master.read(_HYPERVISOR), re.MULTILINE)
    known = front.run("ganeti-ext-manage", "console-certificate")
    for node in nodes:
        node.write("/etc/ganeti-ext/console-clients.pem", known)
        if qemu and qemu != [_KVM]:
            node.write("/etc/ganeti-ext/console.conf", f"[kvm]\npath = {qemu[0]}\n")
        node.run("systemctl", "restart", "ganeti-ext-consoled")
    master.run("gnt-cluster", "modify", "-H", f"kvm:vnc_bind_address=127.0.0.1,kvm_path={_KVM}")


def look(url: str) -> tuple[int, int, int]:
    """What a browser gets behind the address that a tenant was given: width, height and number of colours."""
    command = ["ip", "netns", "exec", wires.SWITCHES, sys.executable, "-I", str(ROOT / "lab/vnc.py")]
    width, height, colours = run(command, stdin=url).split()
    return int(width), int(height), int(colours)
