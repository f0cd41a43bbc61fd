"""Two nodes of a cluster that use a real Ceph: one beside it, one across a wire. conftest.py starts it, once."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ganeti_ext.command import run
from lab import BASES, ceph, layer
from lab.ceph import Ceph
from lab.step import until
from tests.contract.extstorage.choice import ALL
from tests.contract.extstorage.forks import FORKS, PYTHON, Forks
from tests.contract.extstorage.rbd_eye import Eye

NEEDS = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts and network namespaces need root"),
    pytest.mark.skipif(not BASES.exists(), reason="the nodes' Debian 13 is made by: make lab-up"),
]
VERBS = f"{layer.HERE}/extstorage/rbd"
COMMAND = f"{layer.HERE}/extstorage/ganeti-ext-storage"
STEPS = f"{layer.HERE}/tests/contract/extstorage/rbd_steps.py"
MIB = 1 << 20
HERE, FAR = "10.93.0.1", "10.93.0.2"
# What is in a pool that nobody uses.
BARE = {"rbd_info", "rbd_directory", "rbd_trash", "rbd_children", "ganeti-ext.volumes"}


class Node(NamedTuple):
    """A node: `ceph` runs programs in its network namespace."""

    ceph: Ceph
    name: str
    eye: Eye
    forks: Forks | None = None

    @property
    def programs(self) -> Node:
        """The same, its programs called by their executables, as all are with EXTSTORAGE_ALL=1."""
        return self._replace(forks=None)

    @property
    def etc(self) -> str:
        return f"/etc/ganeti-ext-{self.name}"

    def forking(self, *, twin: bool = False) -> Node:
        """The same, its programs called as forks.py does; with a twin two at once."""
        command = self.ceph.enter(*PYTHON, FORKS)
        forks = Forks(command, twin=Forks(command) if twin else None)
        self.eye.spared |= forks.pids
        return self._replace(forks=forks)

    def configure(self, **more: object) -> None:
        """Write its rbd.conf, with more keys or other values, and Ganeti's word that both nodes are well."""
        keys = {
            "user": ceph.USER,
            "node": f"{self.name}.lab",
            "run_directory": f"/run/ganeti-ext-{self.name}",
            "data_directory": f"/var/lib/ganeti-{self.name}",
            "patience": 2,
            **more,
        }
        text = "[rbd]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
        self.write(f"{self.etc}/rbd.conf", text)
        self.ssconf()

    def ssconf(self, *offline: str) -> None:
        for name, words in (("node_list", ("a.lab", "b.lab")), ("offline_nodes", offline)):
            text = "".join(f"{word}\n" for word in words)
            self.write(f"/var/lib/ganeti-{self.name}/ssconf_{name}", text)

    def write(self, path: str, text: str) -> None:
        file = self.ceph.root / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def env(self, name: str, **env: str) -> dict[str, str]:
        return {"GANETI_EXT_CONFIG_DIR": self.etc, "VOL_NAME": name, "EXTP_ACCESS": "userspace", **env}

    def call(self, verb: str, name: str = "v", **env: str) -> subprocess.CompletedProcess[str]:
        return self.program(f"{VERBS}/{verb}", env=self.env(name, **env))

    def program(self, path: str, *words: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Call one that forks.py has."""
        if self.forks:
            return self.forks.call(Path(path).name, env, *words)
        python = ["/usr/bin/python3"] if path.endswith(".py") else []
        return subprocess.run(
            self.ceph.enter(*python, path, *words, env=env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def ok(self, verb: str, name: str = "v", **env: str) -> str:
        done = self.call(verb, name, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def direct(self, verb: str, name: str = "v", **env: str) -> str:
        """The same, without a process and a connection of its own: for what a test prepares and clears away."""
        if self.forks:
            return str(self.eye.ask("verb(word, env)", word=verb, env=self.env(name, **env)))
        return self.ok(verb, name, **env)

    def fails(self, verb: str, name: str = "v", **env: str) -> str:
        done = self.call(verb, name, **env)
        assert (done.returncode, done.stdout) == (1, ""), done
        return done.stderr

    def admin(self, expression: str) -> Any:
        """The value of an expression on extstorage.rbd_admin (as `a`) and the settings (as `s`)."""
        return self.eye.ask(f"(lambda s: {expression})(settings({self.etc!r}))")

    def uri(self, name: str = "v") -> str:
        return self.ok("attach", name).removeprefix("\nkvm:")

    def io(self, name: str, *commands: str) -> str:
        """Let QEMU's own driver read and write a volume; returns its words."""
        words = [word for command in commands for word in ("-c", command)]
        return self.ceph.run("qemu-io", "-f", "raw", "-t", "none", self.uri(name), *words)

    def has(self, name: str, byte: int, offset: int = 0) -> bool:
        """Whether 64 KiB of a volume from `offset` on are that byte."""
        return "verification failed" not in self.io(name, f"read -P {byte} {offset} 64k")

    def image(self, identity: str, mib: int = 4, byte: int = 7) -> None:
        """Put an image into the pool as docs/rbd.md says."""
        self.eye.ask(f"put('image.{identity}', bytes([{byte}]) * {MIB} + bytes({(mib - 1) * MIB}))")

    def names(self) -> list[str]:
        return list(self.eye.ask("names()"))

    def left(self) -> set[str]:
        """Objects and texts in the pool that a pool in nobody's use has not."""
        return set(self.eye.ask("objects() + texts()")) - BARE - self.eye.before


@contextlib.contextmanager
def started(place: Path) -> Iterator[tuple[Node, Node]]:
    """A Ceph, with a node beside it and another across a wire."""
    with contextlib.ExitStack() as undo:
        here, far = f"rbd-{os.getpid()}", f"far-{os.getpid()}"
        for name in (here, far):
            run(["ip", "netns", "add", name])
            undo.callback(run, ["ip", "netns", "delete", name])
            run(["ip", "-n", name, "link", "set", "lo", "up"])
        run(["ip", "-n", here, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", far])
        for name, address in ((here, HERE), (far, FAR)):
            run(["ip", "-n", name, "address", "add", f"{address}/24", "dev", "wire"])
            run(["ip", "-n", name, "link", "set", "wire", "up"])
        one = Ceph(place, address=HERE, namespace=here, store="memstore")
        undo.callback(one.down)
        one.up()
        eye = Eye(one)
        undo.callback(eye.close)
        eye.ask("tell('osd_mon_report_interval', 1)")  # of a full disk; else 5 s
        both = Node(one, "a", eye), Node(Ceph(place, address=HERE, namespace=far), "b", eye)
        if not ALL:
            both = both[0].forking(twin=True), both[1].forking()
        for node in both:
            if node.forks:
                undo.callback(node.forks.close)
        yield both


@pytest.fixture
def nodes(cluster: tuple[Node, Node]) -> Iterator[tuple[Node, Node]]:
    for node in cluster:
        node.configure()
    cluster[0].eye.ask("wipe()")  # an OSD may do what a client that was killed had sent after the end of the test
    # What only snapshots of images have that a test left without removing them is listed for ever.
    eye = cluster[0].eye
    eye.before = {name for name in eye.ask("objects()") if name.startswith("rbd_data.")}
    yield cluster
    empty(cluster[0])


@pytest.fixture
def node(nodes: tuple[Node, Node]) -> Node:
    return nodes[0]


def empty(node: Node) -> None:
    """End the clients that a test left, and take everything out of the pool."""
    for pid in set(node.ceph.pids()) - set(node.ceph.pids("mon") + node.ceph.pids("osd")) - node.eye.spared:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    node.eye.ask("wipe()")
    for folder in Path(node.ceph.root / "run").glob("ganeti-ext-*"):
        shutil.rmtree(folder)


def found(node: Node) -> list[tuple[str, str, str]]:
    """Kind, name and reason of what killed calls and lost nodes left."""
    return [tuple(leak) for leak in node.admin("[tuple(leak) for leak in a.leaks(s)]")]


def full(node: Node, *, is_so: bool) -> None:
    """Let the OSD say that it has no room, or that it has; returns when the monitor has heard."""
    node.eye.ask(
        "osd(prefix='injectfull', type='full', count=100000)" if is_so else "osd(prefix='injectfull', type='none')"
    )
    until(f"the monitor knows of a full OSD: {is_so}", lambda: ("full" in node.eye.ask("health()")) == is_so, 20)


@contextlib.contextmanager
def guest(node: Node, name: str = "v") -> Iterator[subprocess.Popen[str]]:
    """QEMU's driver with a volume open, that has written and can write more."""
    command = node.ceph.enter("qemu-io", "-f", "raw", "-t", "none", node.uri(name))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as qemu:
        try:
            assert "wrote 65536/65536" in write(qemu, 1)
            yield qemu
        finally:
            qemu.kill()


def write(qemu: subprocess.Popen[str], byte: int) -> str:
    """Let a guest write; its words."""
    assert qemu.stdin and qemu.stdout
    qemu.stdin.write(f"write -P {byte} 0 64k\n")
    qemu.stdin.flush()
    while line := qemu.stdout.readline():
        if "65536" in line or "failed" in line or "error" in line.lower():
            return line
    return "QEMU has ended"


@pytest.fixture
def quick_to_forget(node: Node) -> Iterator[None]:
    """Ceph and the node wait a second for the locks of a call that was killed."""
    node.configure(patience=1)
    node.eye.ask("tell('osd_client_watch_timeout', 1)")  # after which it lets the locks of a client go
    yield
    node.eye.ask("tell('osd_client_watch_timeout', 30)")


def steps(node: Node, when: str, number: int, verb: str, *pids: int, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a verb as rbd_steps.py can."""
    return node.program(STEPS, when, str(number), verb, *map(str, pids), env=node.env("v", **env))
