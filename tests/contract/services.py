"""A real RabbitMQ and a real PostgreSQL out of the nodes' Debian 13, for tests to kill and to freeze.

RabbitMQ listens on ports of this machine's loopback that were free, PostgreSQL on a unix socket.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

from lab import base
from tests.lab.clients.box import Box, Program
from tests.unit.frontend import remote

_START = 120.0  # seconds, on a machine that does much else
_USER, _PASSWORD = "ganeti-ext", "Passw0rd"
_RABBIT = """\
listeners.tcp.local = 127.0.0.1:{port}
listeners.ssl.local = 127.0.0.1:{tls_port}
ssl_options.certfile = /etc/rabbitmq/localhost.pem
ssl_options.keyfile = /etc/rabbitmq/key.pem
default_user = {user}
default_pass = {password}
loopback_users = none
log.console = true
log.console.level = info
log.file = false
# A test's machine may have less than the usual share to spare.
disk_free_limit.absolute = 10MB
vm_memory_high_watermark.relative = 0.8
"""


class Service:
    """A server in a root of its own; `pids` are all its processes, as this machine counts them."""

    def __init__(self, name: str) -> None:
        self.box = Box(name, base.root(), network=False)
        self._program: Program | None = None

    def start(self) -> None:
        """Returns when it can be used."""

    def pids(self) -> list[int]:
        """All but the box's first one."""
        there = os.stat(f"/proc/{self.box.pid}/ns/pid").st_ino
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if entry.name.isdecimal() and os.stat(entry / "ns/pid").st_ino == there:
                    found.append(int(entry.name))
        return [pid for pid in found if pid != self.box.pid]

    def signal(self, number: signal.Signals) -> None:
        """A signal to all of its processes at once: SIGKILL, SIGSTOP, SIGCONT."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if self._program is not None and number != signal.SIGSTOP:
            self._program.follow()

    def kill(self) -> None:
        """As a loss of power does."""
        self.signal(signal.SIGKILL)
        if self._program is not None:
            self._program.ends()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It holds all its connections and says nothing."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)
            if self._program is not None:
                self._program.go_on()

    def close(self) -> None:
        self.box.close()


class RabbitMq(Service):
    """`url` and `tls_url` have a password in them; `certificate` is what vouches for the second."""

    def __init__(self) -> None:
        super().__init__("rabbit")
        port, tls_port, *self._ports = free_ports(4)
        self.url = f"amqp://{_USER}:{_PASSWORD}@127.0.0.1:{port}//"
        self.tls_url = f"amqps://{_USER}:{_PASSWORD}@localhost:{tls_port}//"
        text = _RABBIT.format(port=port, tls_port=tls_port, user=_USER, password=_PASSWORD)
        self.box.write("/etc/rabbitmq/rabbitmq.conf", text)
        self.certificate = remote.certificate(self.box.path("/etc/rabbitmq"), "localhost")
        self.box.path("/etc/rabbitmq/key.pem").chmod(0o644)  # a test's, for the user rabbitmq
        self.start()

    def start(self) -> None:
        calm = "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +S 2:2"
        self._program = self.box.start(*self._as_rabbitmq("rabbitmq-server"), env=(*self._names(), calm))
        self._program.says("Server startup complete", _START)

    @contextlib.contextmanager
    def without_memory(self) -> Iterator[None]:
        """It has more in its memory than it may have, as it sees it, and reads nothing of who publishes."""
        self._may_have("absolute", "1")
        try:
            if self._program is not None:
                self._program.says("Publishers will be blocked", _START)
            yield
        finally:
            self._may_have("0.8")

    def _may_have(self, *words: str) -> None:
        argv = ("env", *self._names(), *self._as_rabbitmq("rabbitmqctl"), "set_vm_memory_high_watermark", *words)
        self.box.run(*argv, patience=_START)

    def _names(self) -> tuple[str, ...]:
        distribution, names = self._ports
        return (
            *("HOME=/var/lib/rabbitmq", "RABBITMQ_NODENAME=rabbit@localhost"),
            *(f"RABBITMQ_DIST_PORT={distribution}", f"ERL_EPMD_PORT={names}", "ERL_EPMD_ADDRESS=127.0.0.1"),
        )

    def _as_rabbitmq(self, program: str) -> list[str]:
        who = ("setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--clear-groups")
        return [*who, f"/usr/lib/rabbitmq/bin/{program}"]


class PostgreSql(Service):
    """`database()` makes one that is empty."""

    def __init__(self) -> None:
        super().__init__("postgres")
        self._numbers = itertools.count(1)
        self._binaries = next(iter(sorted(self.box.path("/usr/lib/postgresql").iterdir()))).name
        self.box.run("install", "-d", "-o", "postgres", "/srv/data", "/run/postgresql")
        self.box.run(*self._as_postgres("initdb"), "--auth=trust", "--no-sync", "-D", "/srv/data", patience=_START)
        self.start()

    def start(self) -> None:
        settings = ("listen_addresses=", "unix_socket_directories=/run/postgresql", "fsync=off", "max_connections=60")
        words = [word for setting in settings for word in ("-c", setting)]
        self._program = self.box.start(*self._as_postgres("postgres"), "-D", "/srv/data", *words)
        self._program.says("ready to accept connections", _START)

    def database(self) -> str:
        """The URL of a new one."""
        name = f"test{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        # Through the box's root, as a socket's address has no namespace of its own.
        return f"postgresql+psycopg2://postgres@/{name}?host=/proc/{self.box.pid}/root/run/postgresql"

    def sql(self, *commands: str, database: str = "postgres") -> str:
        words = [word for command in commands for word in ("-c", command)]
        return self.box.run("psql", "-h", "/run/postgresql", "-U", "postgres", "-d", database, "-tA", *words)

    def _as_postgres(self, program: str) -> list[str]:
        path = f"/usr/lib/postgresql/{self._binaries}/bin/{program}"
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", path]


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody has just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
