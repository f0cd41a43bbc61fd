"""/etc/ganeti-ext/console.conf. Read by a script at each start of a guest, hence no dataclasses."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext import config
from ganeti_ext.errors import ConfigError

PATH = "/etc/ganeti-ext/console.conf"


class Console(
    namedtuple(
        "Console",
        "address port certificate clients screens agents logs log_size connections control instances",
        defaults=(
            "",
            1819,
            "/var/lib/ganeti/rapi.pem",
            "/etc/ganeti-ext/console-clients.pem",
            "/run/ganeti-ext/vnc",
            "/run/ganeti/kvm-hypervisor/ctrl",
            "/run/ganeti-ext/console/log",
            1024,
            64,
            "/run/ganeti-ext/consoled/control",
            "/var/lib/ganeti/ssconf_instance_list",
        ),
    )
):
    """[console]: the daemon.

    `address` is where it listens, "" everywhere. `certificate` is what it shows, `clients` the certificates of the
    fronts that may ask; PEM files. `screens` is where the guests' VNC sockets are, `agents` where Ganeti has those of
    the agents in them; `logs` a directory in a file system of its own. `log_size` is KiB of one guest's log.
    `instances` is Ganeti's list of all instances' names.
    """

    __slots__ = ()
    address: str
    port: int
    certificate: str
    clients: str
    screens: str
    agents: str
    logs: str
    log_size: int
    connections: int
    control: str
    instances: str


class Kvm(namedtuple("Kvm", "path", defaults=("/usr/bin/kvm",))):
    """[kvm]: the wrapper. `path` is the QEMU that it starts."""

    __slots__ = ()
    path: str


def load(path: str = PATH) -> tuple[Console, Kvm]:
    """Both sections; ConfigError names the file and what is wrong."""
    found = config.load_all(path, {"console": Console, "kvm": Kvm})
    console: Console = found["console"]
    for key in ("log_size", "connections"):
        if getattr(console, key) < 1:
            raise ConfigError(f"{path}: [console] {key}: {getattr(console, key)} is not above 0")
    if not 0 <= console.port < 1 << 16:
        raise ConfigError(f"{path}: [console] port: {console.port} is none")
    return console, found["kvm"]
