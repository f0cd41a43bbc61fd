"""A real cluster of one node, for tests of what speaks to Ganeti: its daemons in a box, guests that only pretend."""

from __future__ import annotations

from lab import base, layer
from tests.lab.clients.box import Box, Program

NAME, ADDRESS = "node1.example.org", "10.0.0.1"
EVENTD = f"{layer.HERE}/eventd/ganeti-ext-eventd"
HOOKS = "/etc/ganeti/hooks/instance-tags-post.d"

_HOSTS = f"""127.0.0.1 localhost
{ADDRESS} {NAME} node1
10.0.0.9 cluster.example.org
"""
# They are sent to the hypervisor `fake`, which keeps a file for each and starts nothing.
_INIT = (
    *("gnt-cluster", "init", "--no-ssh-init", "--no-etc-hosts", "--enabled-disk-templates=diskless"),
    *("--enabled-hypervisors=fake", "--master-netdev=eth0", "--nic-parameters=link=eth0", "cluster.example.org"),
)
_OS = "/srv/ganeti/os/none"
_STOP_NODED = """kill -KILL $(cat /run/ganeti/ganeti-noded.pid)
while ss --no-header --tcp --listening sport = :1811 | grep -q .; do sleep 0.02; done"""
_CONFIG = "/etc/ganeti-ext/eventd.conf"


class GanetiNode(Box):
    """The master, which is the only node."""

    def __init__(self) -> None:
        super().__init__("node1", base.root())
        self.run("hostname", NAME)
        self.write("/etc/hosts", _HOSTS)
        self.run("mkdir", "-p", "/run/lock", "/var/lib/ganeti-ext/eventd", "/var/spool/ganeti-ext/notes")
        self.ip("link add eth0 type bridge", f"address add {ADDRESS}/24 dev eth0", "link set eth0 up")
        for script in ("create", "export", "import", "rename"):
            self.write(f"{_OS}/{script}", "#!/bin/sh\n", 0o755)
        self.write(f"{_OS}/ganeti_api_version", "10\n")
        self.run(*_INIT, patience=60)

    def instance(self, name: str, *more: str) -> None:
        """An instance that runs."""
        options = ("--disk-template=diskless", "--os-type=none")
        self.run("gnt-instance", "add", f"--node={NAME}", *options, *more, name, patience=60)

    def stop_noded(self) -> None:
        """It is gone, and its port with it; daemon-util would wait for a father that buries it."""
        self.run("sh", "-c", _STOP_NODED)

    def start_noded(self) -> None:
        self.run("ganeti-noded")

    def eventd(self, **keys: str) -> Program:
        """eventd, once it follows the queue."""
        self.write(_CONFIG, "\n".join(["[eventd]", *(f"{key} = {value}" for key, value in keys.items())]))
        program = self.start(EVENTD, "--config", _CONFIG)
        program.says("job queue read")
        return program

    def script(self, name: str, text: str) -> None:
        """A hook for tags."""
        self.write(f"{HOOKS}/{name}", f"#!/bin/sh\n{text}\n", 0o755)
