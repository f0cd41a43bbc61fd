"""Our packages' settings on the nodes, RabbitMQ, and the front with its first tenant.

The front, its consumer, PostgreSQL and RabbitMQ run on the last node, apart from Ganeti's master: what a large site
would choose. tests/lab/test_single.py tries what needs neither.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ganeti_ext.command import run
from ganeti_ext.errors import CommandError
from lab import RUN, STATE, base, ganeti, guest, pool, screens, storage, wires
from lab.node import DEBS, SHARED, Node
from lab.step import step, until

PORT = 8774
LOOPBACK_PORT = 18774
OPENRC = STATE / "openrc"
IMAGE, FLAVOR, PROJECT = "lab-guest", "tiny", "demo"
DNS, DNS6 = "10.99.0.1", "fd00:99::1"
_EVERYWHERE = ("common", "nfdhcpd", "network", "extstorage", "eventd", "console")
_FRONT_NODE = 3
_PRODUCTION = """\
database = postgresql+psycopg2:///ganeti-ext?host=/run/postgresql

[broker]
url = {broker}

[images]
max_upload = 67108864

[volumes]
types = cow, rbd
"""
_UPLOADS = f"[Service]\nReadWritePaths={SHARED}/images\n"
_CONF = "/etc/ganeti-ext/frontend.conf"
_OF_FRONT = ("consumer", "api", "importer", "consoleproxy")
_PROXY = RUN / "proxy.pid"


def packages(node: Node) -> str:
    """Shell words: the package files that a node needs."""
    names = (*_EVERYWHERE, "frontend") if node.number == _FRONT_NODE else _EVERYWHERE
    return " ".join(f"{DEBS}/ganeti-ext-{name}_*.deb" for name in names)


def prepare(nodes: Sequence[Node]) -> None:
    """Start what takes long to start."""
    front = nodes[_FRONT_NODE - 1]
    password = secrets.token_urlsafe(24)
    front.write("/root/broker-password", password + "\n", "600")
    # RabbitMQ makes this user at its first start; no password passes a command line.
    front.write("/etc/rabbitmq/rabbitmq.conf", f"default_user = ganeti-ext\ndefault_pass = {password}\n", "640")
    front.run("chgrp", "rabbitmq", "/etc/rabbitmq/rabbitmq.conf")
    front.run("systemctl", "start", "--no-block", "rabbitmq-server", "postgresql")


def up(nodes: Sequence[Node]) -> None:
    """Configure and start everything of ours; make a tenant, flavors and an image."""
    master, front = nodes[0], nodes[_FRONT_NODE - 1]
    address = broker(front)
    with step("Starting RabbitMQ and PostgreSQL"):
        front.run("systemctl", "start", "rabbitmq-server", "postgresql@17-main", timeout=180)
        # The front's system user is let in by name over the unix socket: no password.
        for command in (["createuser", "ganeti-ext"], ["createdb", "--owner=ganeti-ext", "ganeti-ext"]):
            front.run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command)
    with step("Configuring our daemons"):
        for node in nodes:
            daemons(node, address)
        for unit in ("api", "importer"):
            front.write(f"/etc/systemd/system/ganeti-ext-{unit}.service.d/images.conf", _UPLOADS)
        front.run("sh", "-c", f"systemctl daemon-reload; cd {SHARED}; chgrp ganeti-ext images; chmod 2775 images")
        pool.let(front)
        configure_front(master, front, _PRODUCTION.format(broker=address))
        screens.up(nodes, front)
    with step("Making a tenant, flavors and an image"):
        _tenant(front, nodes)
    _forward()


def broker(front: Node) -> str:
    """The address of RabbitMQ on the front's node, with its password."""
    return f"amqp://ganeti-ext:{front.read('/root/broker-password').strip()}@{front.address}:5672//"


def daemons(node: Node, address: str) -> None:
    """Configure and start what runs on every node; eventd publishes to a broker."""
    node.write("/etc/ganeti-ext/nfdhcpd.conf", f"[guests]\nnameservers = {DNS} {DNS6}\ndomain = lab.example\n")
    node.write("/etc/ganeti-ext/eventd.conf", f"[eventd]\nbroker = {address}\n", "640")
    node.run("systemctl", "restart", "nfdhcpd", "ganeti-ext-reaper", "ganeti-ext-eventd")
    node.run("systemctl", "enable", "--now", "ganeti-ext-exporter")


def configure_front(master: Node, front: Node, more: str) -> None:
    """Point the front on a node to the cluster; `more` is the end of its configuration file, from [front] on."""
    front.write("/etc/ganeti-ext/rapi-ca.pem", master.run("openssl", "x509", "-in", "/var/lib/ganeti/rapi.pem"))
    text = f"""\
[rapi]
url = https://{wires.address(0)}:5080
user = ganeti-ext
password = {ganeti.rapi_password(master)}
ca = /etc/ganeti-ext/rapi-ca.pem
# Three nodes and their guests share this machine's processors, maybe with other tests.
timeout = 20

{screens.section(front)}
[front]
listen = 0.0.0.0:{PORT}
shutdown_timeout = 2
tenant_link = br0
{more}"""
    _configured(front, text)


@contextlib.contextmanager
def settings(front: Node, changes: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """The front has other settings, by section and key, for the length of a `with` block."""
    before = front.read(_CONF)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(before)
    parser.read_dict(changes)
    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in parser[name].items()) for name in parser
    )
    try:
        _configured(front, text.removeprefix("[DEFAULT]\n"))
        yield
    finally:
        _configured(front, before)


def _configured(front: Node, text: str) -> None:
    front.write(_CONF, text, "640")
    front.run("chgrp", "ganeti-ext", _CONF)
    front.run("systemctl", "restart", *(f"ganeti-ext-{name}" for name in _OF_FRONT), timeout=180)


def _tenant(front: Node, nodes: Sequence[Node]) -> None:
    def manage(*words: str, stdin: str = "") -> None:
        front.run("ganeti-ext-manage", *words, stdin=stdin)

    password = secrets.token_urlsafe(16)
    manage("project-create", PROJECT, "--servers=10", "--cores=10", "--ram=2097152")
    manage("user-create", PROJECT, f"--project={PROJECT}", "--role=member", stdin=password + "\n")
    manage("flavor-create", FLAVOR, "--vcpus=1", "--ram=128", "--disk=1")
    manage("flavor-create", "small", "--vcpus=1", "--ram=256", "--disk=2")
    manage("flavor-create", "huge", "--vcpus=1", "--ram=1048576", "--disk=1")
    add_image(front, IMAGE, guest.image(base.root()))
    for node in nodes:
        node.write("/root/openrc", _openrc(f"{front.address}:{PORT}", password), "600")
    descriptor = os.open(OPENRC, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(_openrc(f"127.0.0.1:{LOOPBACK_PORT}", password))


def account(front: Node, user: str, project: str, role: str) -> str:
    """Make a user with a role in a project, unless they are there; the new password."""
    password = secrets.token_urlsafe(16)
    front.run("ganeti-ext-manage", "project-create", project, "--if-missing")  # with the quota that is everybody's
    try:
        words = (user, f"--project={project}", f"--role={role}")
        front.run("ganeti-ext-manage", "user-create", *words, stdin=password + "\n")
    except CommandError:  # of a run before this one
        front.run("ganeti-ext-manage", "user-password", user, stdin=password + "\n")
    return password


def add_image(front: Node, name: str, file: Path) -> str:
    """Make an image of the front from a file of this machine, unless there is one of that name; its id."""
    copy = storage.SHARED / "import.raw"
    run(["cp", "--sparse=always", str(file), str(copy)])
    words = (f"--name={name}", f"--file={SHARED}/import.raw", "--public", "--if-missing")
    ident = front.run("ganeti-ext-manage", "image-create", *words).strip()
    copy.unlink()
    return ident


def _openrc(where: str, password: str) -> str:
    return f"""\
export OS_AUTH_URL=http://{where}/identity/v3
export OS_IDENTITY_API_VERSION=3
export OS_PROJECT_NAME={PROJECT} OS_PROJECT_DOMAIN_NAME=Default
export OS_USERNAME={PROJECT} OS_USER_DOMAIN_NAME=Default
export OS_PASSWORD={password}
export OS_REGION_NAME=RegionOne
"""


def _forward() -> None:
    """Make the API reachable on this machine's loopback, which has no way into the namespaces."""
    proxyd = next(path for path in ("/usr/lib", "/lib") if Path(f"{path}/systemd/systemd-socket-proxyd").exists())
    command = [
        "systemd-socket-activate",
        f"--listen=127.0.0.1:{LOOPBACK_PORT}",
        "nsenter",
        f"--net=/run/netns/{wires.SWITCHES}",
        f"{proxyd}/systemd/systemd-socket-proxyd",
        f"{wires.address(_FRONT_NODE)}:{PORT}",
    ]
    null = subprocess.DEVNULL
    proxy = subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)
    _PROXY.write_text(str(proxy.pid))


def down() -> None:
    """End what `up` started outside of the nodes. Safe to repeat."""
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        pid = int(_PROXY.read_text())
        if f"127.0.0.1:{LOOPBACK_PORT}" in _words(pid) or "systemd-socket-proxyd" in _words(pid):
            os.kill(pid, signal.SIGTERM)
            until("the loopback proxy ends", lambda: not _words(pid), 5)
    _PROXY.unlink(missing_ok=True)


def _words(pid: int) -> str:
    """A process's command line; empty for one that is gone, a zombie included."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""
