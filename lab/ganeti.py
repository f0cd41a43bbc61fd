"""Ganeti on the nodes: a cluster as its documentation says, with the settings that tiny guests need."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lab import BASES, storage, wires
from lab.node import SHARED, Node
from lab.step import step

NETWORK = "public"
_POLICY = (
    "min:cpu-count=1,disk-count=1,disk-size=1,memory-size=64,nic-count=0,spindle-use=1"
    "/max:cpu-count=4,disk-count=8,disk-size=102400,memory-size=4096,nic-count=8,spindle-use=4"
)
USER = "ganeti-ext"
_DAEMON_UTIL = "/usr/lib/ganeti/daemon-util"

# Ends as soon as the verdict is there: a guest whose emulation failed would stand still for ever.
_WATCHED = """
{qemu} </dev/null >/run/probe.log 2>&1 & pid=$!
for turn in $(seq 100); do
  grep -E 'GUEST booted|emulation failure|failed to initialize' /run/probe.log && break
  kill -0 $pid || break
  sleep 0.2
done
kill $pid; true
"""


class Site(NamedTuple):
    """What a cluster is called, and the one network that it begins with."""

    cluster: str = "cluster.lab"
    network: str = NETWORK
    subnet: str = wires.SUBNET
    gateway: str = wires.GATEWAY
    subnet6: str = wires.SUBNET6


LAB = Site()


def up(nodes: Sequence[Node], image: Path, site: Site = LAB) -> None:
    """Initialise the cluster on the first node, add the others, make a network and a RAPI user."""
    master, *others = nodes
    for node in nodes:
        node.write("/etc/ganeti/file-storage-paths", "")
        node.run("sed", "-i", 's/^RAPI_ARGS=.*/RAPI_ARGS="-b 0.0.0.0 --require-authentication"/', "/etc/default/ganeti")
    hardware = kvm_works(master, image)
    with step(f"Initialising Ganeti (guests run by {'KVM' if hardware else 'software emulation: no usable KVM here'})"):
        master.run(*_init(hardware, site.cluster), timeout=180)
    for node in others:
        with step(f"Adding {node.name}"):
            add(master, node)
    with step("Making a network and a user of the remote API"):
        _network(master, site)
        _rapi_user(master)


def add(master: Node, node: Node) -> None:
    """`gnt-node add`, of a node that the master may log in to."""
    key = master.run("sh", "-c", "cat /root/.ssh/*.pub")
    node.run("sh", "-c", "umask 077; mkdir -p /root/.ssh; cat >> /root/.ssh/authorized_keys", stdin=key)
    master.run("gnt-node", "add", "--no-ssh-key-check", node.name, timeout=180)


def kvm_works(node: Node, image: Path) -> bool:
    """Whether the guests' image boots by hardware here; that /dev/kvm opens, or runs a little, does not tell."""
    verdict = BASES / f"kvm-{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
    if not verdict.exists():
        copy = storage.SHARED / "probe.raw"
        shutil.copy(image, copy)
        machine = "-accel kvm -m 128 -display none -monitor none -serial stdio -nic none"
        drive = f"-drive file={SHARED}/probe.raw,format=raw,if=virtio"
        command = _WATCHED.format(qemu=f"qemu-system-x86_64 {machine} {drive}")
        verdict.write_text(node.run("sh", "-c", command))
        copy.unlink()
    return "GUEST booted" in verdict.read_text()


def stop_rapi(master: Node) -> None:
    master.run(_DAEMON_UTIL, "stop", "ganeti-rapi")


def start_rapi(master: Node) -> None:
    master.run(_DAEMON_UTIL, "start", "ganeti-rapi")


def rapi_password(master: Node) -> str:
    """The password of the front's user, from where only root reads it."""
    return master.read("/root/rapi-password").strip()


def _init(hardware: bool, name: str) -> list[str]:
    hypervisor = [
        "kernel_path=",  # boot from the disk, as a tenant's image does
        "serial_console=true",
        "vhost_net=false",  # there may be no /dev/vhost-net
    ]
    if not hardware:
        # The default /usr/bin/kvm insists on hardware.
        hypervisor += ["kvm_flag=disabled", "kvm_path=/usr/bin/qemu-system-x86_64"]
    return [
        "gnt-cluster",
        "init",
        "--enabled-hypervisors=kvm",
        "--enabled-disk-templates=ext",
        f"--hypervisor-parameters=kvm:{','.join(hypervisor)}",
        "--nic-parameters=mode=bridged,link=br0",
        "--master-netdev=eth0",
        "--no-etc-hosts",
        f"--ipolicy-bounds-specs={_POLICY}",
        "--ipolicy-std-specs=cpu-count=1,disk-count=1,disk-size=1024,memory-size=128,nic-count=1,spindle-use=1",
        "--ipolicy-vcpu-ratio=16",
        "--default-iallocator=hail",
        name,
    ]


def _network(master: Node, site: Site) -> None:
    master.run(
        "gnt-network",
        "add",
        f"--network={site.subnet}",
        f"--gateway={site.gateway}",
        f"--network6={site.subnet6}",
        f"--gateway6={wires.ROUTER6}",
        "--tags=nfdhcpd",
        site.network,
    )
    master.run("gnt-network", "connect", "--nic-parameters=mode=bridged,link=br0", site.network)


def _rapi_user(master: Node) -> None:
    password = secrets.token_urlsafe(24)
    # Ganeti's own form of a stored password (ganeti-doc, rapi.rst).
    digest = hashlib.md5(f"{USER}:Ganeti Remote API:{password}".encode(), usedforsecurity=False).hexdigest()
    master.write("/var/lib/ganeti/rapi/users", f"{USER} {{HA1}}{digest} write\n", "640")
    master.run("chown", "gnt-rapi:gnt-masterd", "/var/lib/ganeti/rapi/users")
    # It may have looked before the file was its own to read.
    stop_rapi(master)
    start_rapi(master)
    master.run("gnt-cluster", "copyfile", "/var/lib/ganeti/rapi/users")
    master.write("/root/rapi-password", password + "\n", "600")
