"""The peer: Ganeti's own remote API on a real cluster of one node, with guests that only pretend.

One instance is made by Ganeti itself; the others are copies of it, put into the cluster's configuration while the
daemons are down, and into the directory in which the hypervisor `fake` has a file for each guest that runs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import PLACE
from bench.api import copies
from bench.remote import Remote
from bench.root import mounts
from bench.storage.box import ADDRESS, NAME, OS, Box
from lab import layer
from lab.step import step, until

PORT = 5080
PATH = "/2/instances?bulk=1"
_FIRST = "guest-0.example.org"
_DATA, _RUNNING = "/var/lib/ganeti/config.data", "/run/ganeti/fake-hypervisor"
_START = ("/usr/lib/ganeti/daemon-util", "start-all")
# Nobody buries them, which daemon-util would wait for: a dead one has no command line.
_STOP = """pids=$(cat /run/ganeti/ganeti-*.pid)
kill -KILL $pids
for pid in $pids; do while [ -n "$(tr -d '\\0' < /proc/$pid/cmdline)" ]; do sleep 0.02; done; done
rm /run/ganeti/*.pid"""
_HOSTS = f"127.0.0.1 localhost\n{ADDRESS} {NAME} node1\n10.0.0.9 cluster.example.org\n"
_INIT = (
    *("gnt-cluster", "init", "--no-ssh-init", "--no-etc-hosts", "--enabled-disk-templates=diskless"),
    *("--enabled-hypervisors=fake", "--master-netdev=eth0", "--nic-parameters=link=eth0", "cluster.example.org"),
)
_ADD = ("gnt-instance", "add", f"--node={NAME}", "--disk-template=diskless", "--os-type=none", _FIRST)


class Peer(NamedTuple):
    """A cluster with so many instances; `client` is a worker of bench.api.client beside it."""

    instances: int
    client: Remote


@contextlib.contextmanager
def peer(lowerdir: str, instances: int) -> Iterator[Peer]:
    """A cluster with so many instances that run, whose remote API speaks plain HTTP."""
    with (
        layer.mounted(lowerdir, PLACE / f"peer-{instances}") as root,
        mounts(root, ("tmpfs", "run")),
        contextlib.closing(_box(root)) as box,
    ):
        with step(f"Giving Ganeti {instances:,} instances"):
            _fill(box, instances)
        argv = box.enter("env", "PYTHONPATH=/opt/ganeti-ext", "python3", "-m", "bench.api.client")
        with contextlib.closing(Remote(argv, root / "var/log/bench-client.log")) as client:
            yield Peer(instances, client)


def _box(root: Path) -> Box:
    box = Box(root)
    try:
        box.write("/etc/hosts", _HOSTS)
        box.run("mkdir", "-p", "/run/lock", "/var/log/ganeti/os")
        for script in ("create", "export", "import", "rename"):
            box.write(f"{OS}/none/{script}", "#!/bin/sh\n", 0o755)
        box.write(f"{OS}/none/ganeti_api_version", "10\n")
        with step("Making a Ganeti of one node"):
            box.run(*_INIT)
            box.run(*_ADD)
    except BaseException:
        box.close()
        raise
    return box


def _fill(box: Box, instances: int) -> None:
    box.run("sh", "-c", _STOP)
    data = box.root / _DATA[1:]
    data.write_text(json.dumps(copies.many(json.loads(data.read_text(encoding="utf-8")), instances)))
    for number in range(1, instances):
        box.write(f"{_RUNNING}/{copies.name(_FIRST, number)}", "0\n128\n1\n")  # as hv_fake.py writes it
    box.write("/etc/default/ganeti", 'RAPI_ARGS="--no-ssl"\n')
    box.run(*_START)
    until("Ganeti lists them", lambda: _listed(box) == instances, 60)


def _listed(box: Box) -> int:
    return len(box.run("gnt-instance", "list", "--no-headers", "--output=name").split())
