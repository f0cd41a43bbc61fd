"""changePassword through the real daemon on a node: agents good and bad as QEMU serves them, and Debian's own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from frontend.app import create_app
from frontend.compute import changepassword
from frontend.compute.changepassword import Turns
from frontend.console import consolecert
from frontend.database import db
from frontend.settings import Console, Front, RapiAccess, Settings
from lab import layer
from tests.contract.services import free_ports
from tests.lab.clients.box import Box
from tests.unit.console.agent import FLOOD, GARBAGE, LOST, REFUSES, SILENT, Agent
from tests.unit.console.node import certificate
from tests.unit.frontend import conftest as fixtures
from tests.unit.frontend.conftest import COMPUTE, IMAGE, Api
from tests.unit.frontend.consoles import Cluster

ROOT = Path(os.environ.get("GANETI_EXT_ROOT", Path(__file__).parents[2]))
SECRET = "correct-hörse battery"
CTRL = "/run/ganeti/kvm-hypervisor/ctrl"
# In the box: whether the password, from stdin, is root's.
_RIGHT = 'chomp($p = <STDIN>); $h = (getpwnam("root"))[1]; print crypt($p, $h) eq $h ? "yes" : "no"'


class Site:
    """A node's daemon, and a front whose servers are all there."""

    def __init__(self, folder: Path, agents: str) -> None:
        self.folder, self.agents = folder, Path(agents)
        (self.port,) = free_ports(1)
        certificate(folder, "node")
        console = Console(certificate=f"{folder}/console.pem", ca=f"{folder}/node.crt", port=self.port)
        consolecert.ensure(console.certificate)
        (folder / "clients.pem").write_text(_public(Path(console.certificate)))
        (folder / "instances").write_text("")
        (folder / "console.conf").write_text(
            f"[console]\naddress = 127.0.0.1\nport = {self.port}\ncertificate = {folder}/node.pem\n"
            f"clients = {folder}/clients.pem\nscreens = {folder}\nagents = {agents}\nlogs = {folder}/log\n"
            f"control = {folder}/control\ninstances = {folder}/instances\n"
        )
        self.said = folder / "said"
        with self.said.open("w") as said:
            command = [f"{ROOT}/console/ganeti-ext-consoled", "--config", f"{folder}/console.conf"]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=said)
        self.hears("listening on port")
        front = Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret")
        self.app: Flask = create_app(Settings(front=front, console=console, rapi=RapiAccess()), Cluster())
        fixtures.seed(self.app.extensions["ganeti-ext"].engine)
        self.api = self.client()

    def client(self) -> Api:
        """For one thread."""
        engine = self.app.extensions["ganeti-ext"].engine
        return Api(self.app.test_client(), engine, Cluster()).become("alice")

    def hears(self, words: str) -> None:
        end = time.monotonic() + 20
        while words not in self.said.read_text():
            assert time.monotonic() < end, self.said.read_text()
            assert self.process.poll() is None, self.said.read_text()
            time.sleep(0.02)

    def close(self) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0

    def agent(self, server: dict[str, Any], how: str = "well") -> contextlib.closing[Agent]:
        return contextlib.closing(Agent(self.agents / f"{server['instance']}.qga", how))

    def shown(self) -> str:
        """All that anybody but the guest may read of this: files, what the daemon says, its command line."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        words = Path(f"/proc/{self.process.pid}/cmdline").read_bytes()
        words += Path(f"/proc/{self.process.pid}/environ").read_bytes()
        return b"\n".join([words, *(path.read_bytes() for path in files)]).decode(errors="replace")


def _public(path: Path) -> str:
    text = path.read_text()
    return text[text.index("-----BEGIN CERTIFICATE") :]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:  # a socket's path must be short
        yield Path(made)


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    (folder / "ctrl").mkdir()
    with contextlib.closing(Site(folder, f"{folder}/ctrl")) as made:
        yield made


def ask(api: Api, server: dict[str, Any], action: str = "changePassword") -> Any:
    argument = {"adminPass": SECRET} if action == "changePassword" else {}
    return api.call("POST", f"{COMPUTE}/servers/{server['id']}/action", json={action: argument})


def told(answer: Any) -> str:
    assert answer.status_code == 409, answer.text
    return str(answer.json["conflictingRequest"]["message"]).partition(" because ")[2]


def test_it_reaches_the_agent_and_nobody_else(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    server = site.api.server()
    with site.agent(server) as agent:
        assert ask(site.api, server).status_code == 202
    assert agent.users == [("root", SECRET)]
    site.hears("a password was set")
    shown = site.shown() + caplog.text
    assert server["instance"] in shown
    for form in (SECRET, "correct-h", "Y29ycmVjd", "b3JyZWN0", "cnJlY3Qt"):
        assert form not in shown


def test_bad_guests_at_once_and_a_log_meanwhile(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real time-outs. Whoever asks for something else does not wait for them."""
    monkeypatch.setattr(changepassword, "_TURNS", Turns(9, 9))
    hows = (SILENT, LOST, GARBAGE, FLOOD, REFUSES)
    servers = [site.api.server() for _ in hows]
    other = site.api.server()
    (site.folder / f"log/{other['instance']}.log").write_text("here\n")
    clients = [site.client() for _ in hows]
    with contextlib.ExitStack() as undo, ThreadPoolExecutor() as pool:
        agents = [undo.enter_context(site.agent(*one)) for one in zip(servers, hows, strict=True)]
        asked = [pool.submit(ask, *one) for one in zip(clients, servers, strict=True)]
        answer = ask(site.api, other, "os-getConsoleOutput")
        assert (answer.status_code, answer.json) == (200, {"output": "here\n"})
        assert not asked[0].done()
        words = [told(one.result()) for one in asked]
    silent = "no guest agent answers in it"
    unsure = "its guest agent did not say whether it has; look whether it is set"
    assert words[:4] == [silent, unsure, unsure, silent]
    assert words[4].startswith("its guest agent said: Child process has failed to set user password: ")
    assert [agent.users for agent in agents] == [[]] * 5
    assert SECRET not in site.shown()


def test_an_agent_that_comes_back(site: Site) -> None:
    """What it was told while it was away is not done later."""
    server = site.api.server()
    assert told(ask(site.api, server)) == "QEMU guest agent is not enabled"
    with site.agent(server, SILENT) as agent:
        assert told(ask(site.api, server)) == "no guest agent answers in it"
        agent.how = "well"
        assert ask(site.api, server).status_code == 202
        assert agent.users == [("root", SECRET)]


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    if os.geteuid() != 0:
        pytest.skip("starts a Debian 13 in namespaces, which root alone may")
    packages = ("qemu-guest-agent",)
    with contextlib.closing(Box("guest", layer.lower("agent", packages), network=False)) as made:
        made.run("mkdir", "-p", "-m", "700", CTRL)
        yield made


def test_debians_agent(box: Box, folder: Path) -> None:
    """The program that runs in guests; here it listens where QEMU would."""
    with contextlib.closing(Site(folder, str(box.path(CTRL)))) as site:
        server = site.api.server()
        path = f"{CTRL}/{server['instance']}.qga"
        agent = box.start("qemu-ga", "--method=unix-listen", f"--path={path}", "--verbose")
        while not box.path(path).exists():
            time.sleep(0.02)
            agent.everything()
        assert _is_roots(box) == "no"
        assert ask(site.api, server).status_code == 202
        assert _is_roots(box) == "yes"
        with site.app.extensions["ganeti-ext"].engine.begin() as connection:
            values = {"properties": {"os_admin_user": "who-is-not-there"}}
            connection.execute(update(db.image).where(db.image.c.id == IMAGE).values(values))
        assert "who-is-not-there" in told(ask(site.api, server))
        agent.stop()


def _is_roots(box: Box) -> str:
    return box.run("perl", "-e", _RIGHT, stdin=f"{SECRET}\n")
