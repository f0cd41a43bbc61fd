"""Consoles with the real programs: QEMU by its wrapper, the nodes' daemon, websockify with noVNC, a browser."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from frontend import settings
from frontend.app import create_app
from frontend.effect import remote as remote_of
from lab.vnc import Refused, Websocket, picture
from tests.contract.console_node import KVM, PATIENCE, QEMU, TREE, Node, certificate, command_lines, sector, until_read
from tests.contract.services import free_ports
from tests.unit.frontend import conftest as fixtures
from tests.unit.frontend import remote

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a Debian 13 in namespaces, which root alone may")

LINE = b"a line of the guest's\r\n"


class Site:
    """Two nodes, of which the first one is the front, too, and a remote API that tells where the guests are."""

    def __init__(self, folder: Path, undo: contextlib.ExitStack) -> None:
        self.answers: dict[str, Any] = {}
        url = undo.enter_context(remote.serving(folder, self.answers))
        pair = certificate()
        port, self.port = free_ports(2)
        self.nodes = []
        for number in (1, 2):
            self.answers[f"nodes/node{number}"] = {"pip": f"127.0.0.{number}"}
            self.nodes.append(Node(f"node{number}", f"127.0.0.{number}", port, "", pair))
            undo.callback(self.nodes[-1].close)
        # Boxes have the host's /dev: this is the same path inside.
        shared = undo.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm"))
        self._front(folder, Path(shared), url, port, pair)

    def _front(self, folder: Path, shared: Path, url: str, port: int, pair: str) -> None:
        box = self.nodes[0].box
        (shared / "rapi.pem").write_text((folder / "rapi.pem").read_text())
        (shared / "nodes.pem").write_text(pair[pair.index("-----BEGIN CERTIFICATE") :])
        conf = shared / "frontend.conf"
        conf.write_text(
            f"[front]\ndatabase = sqlite:///{shared}/front.db\nsecret_file = {shared}/secret\n"
            f"[rapi]\nurl = {url}\nuser = front\npassword = secret\nca = {shared}/rapi.pem\n"
            f"[console]\nurl = http://127.0.0.1:{self.port}\nlisten = 127.0.0.1:{self.port}\nport = {port}\n"
            f"certificate = {shared}/console.pem\nca = {shared}/nodes.pem\n"
        )
        self.settings = settings.read(str(conf))
        known = box.run(f"{TREE}/frontend/ganeti-ext-manage", "--config", str(conf), "console-certificate")
        for node in self.nodes:
            node.box.write("/etc/ganeti-ext/console-clients.pem", known)
        self.proxy = box.start(f"{TREE}/frontend/ganeti-ext-consoleproxy", "--config", str(conf))
        self.proxy.says("listening on")
        app = create_app(self.settings, remote_of.of(self.settings))
        engine = app.extensions["ganeti-ext"].engine
        fixtures.seed(engine)
        client: FlaskClient = app.test_client()
        self.api = fixtures.Api(client, engine, None).become("alice")  # type: ignore[arg-type]

    def server(self, node: int, disk: bytes, program: str = KVM) -> dict[str, Any]:
        """A server that runs on a node."""
        server = self.api.server()
        self.lives(server, node)
        self.nodes[node - 1].guest(server["instance"], disk, program=program)
        return server

    def lives(self, server: dict[str, Any], node: int) -> None:
        self.answers[f"instances/{server['instance']}"] = {"pnode": f"node{node}"}

    def url(self, server: dict[str, Any]) -> str:
        body = {"remote_console": {"protocol": "vnc", "type": "novnc"}}
        answer: Any = self.api.call("POST", f"/compute/v2.1/servers/{server['id']}/remote-consoles", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json["remote_console"]["url"])

    def output(self, server: dict[str, Any], **argument: object) -> str:
        path = f"/compute/v2.1/servers/{server['id']}/action"
        answer: Any = self.api.call("POST", path, json={"os-getConsoleOutput": argument})
        assert answer.status_code == 200, answer.text
        return str(answer.json["output"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with contextlib.ExitStack() as undo:
        yield Site(tmp_path_factory.mktemp("site"), undo)


@pytest.fixture(scope="module")
def server(site: Site) -> dict[str, Any]:
    return site.server(1, sector(LINE))


def test_novnc_is_what_the_address_shows(site: Site, server: dict[str, Any]) -> None:
    with urllib.request.urlopen(site.url(server), timeout=PATIENCE) as page:
        text = page.read().decode()
    assert "noVNC" in text
    assert "'path'" in text  # it asks for the websocket by the address's path


def test_a_browser_sees_the_screen_once(site: Site, server: dict[str, Any]) -> None:
    with site.nodes[0].serial(server["instance"]) as port:
        until_read(port, LINE)  # the BIOS changes the screen's size no more
    url = site.url(server)
    with Websocket(url) as stream:
        shown = picture(stream)
    assert len(shown.pixels) == shown.width * shown.height * 4
    assert len(set(shown.pixels)) > 1  # the BIOS has written something
    with pytest.raises(Refused, match="403"):
        Websocket(url)


def test_what_the_guest_writes_is_its_log(site: Site, server: dict[str, Any]) -> None:
    with site.nodes[0].serial(server["instance"]) as port:
        until_read(port, LINE * 4)
    lines = site.output(server, length=4).split("\n")
    assert len(lines) == 4
    assert lines[:2] == [LINE.decode().strip()] * 2
    assert site.output(server).startswith(LINE.decode().strip())


def test_the_log_is_roots_alone(site: Site, server: dict[str, Any]) -> None:
    path = site.nodes[0].box.path(f"/run/ganeti-ext/console/log/{server['instance']}.log")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_screen_is_on_no_port(site: Site, server: dict[str, Any]) -> None:
    """Ganeti asked for the loopback's, 5900 + 5102."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 5900 + 5102), PATIENCE)
    path = site.nodes[0].box.path(f"/run/ganeti-ext/vnc/{server['instance']}.vnc")
    assert path.is_socket()
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_questions_of_ganetis_are_qemus(site: Site) -> None:
    """hv_kvm/__init__.py, _KVMOPTS_CMDS."""
    run = site.nodes[0].box.run
    for question in (("--help",), ("-machine", "?"), ("-device", "?")):
        assert run(KVM, *question) == run(QEMU, *question)


@pytest.mark.parametrize("program", [KVM, QEMU])
def test_a_server_that_moves_opens_with_the_token_from_before(site: Site, program: str) -> None:
    """A live migration, from a QEMU without a log, too; the log starts anew on the other node."""
    first, second = site.nodes
    server = site.server(1, sector(LINE), program)
    name = server["instance"]
    url = site.url(server)
    with first.serial(name) as port:
        until_read(port, LINE)
    (place,) = free_ports(1)
    second.box.write(f"/run/ganeti-ext/console/log/{name}.log", "of another time\n", 0o600)
    second.guest(name, sector(LINE), "-incoming", f"tcp:127.0.0.2:{place}")
    assert second.log(name) == b""
    with first.qmp(name) as monitor:
        monitor.do("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        monitor.do("migrate", uri=f"tcp:127.0.0.2:{place}")
        monitor.event("MIGRATION", status="completed")
        monitor.do("quit")
    site.lives(server, 2)
    with second.serial(name) as port:
        until_read(port, LINE)
    with Websocket(url) as stream:
        assert picture(stream).width > 0
    assert LINE.decode().strip() in site.output(server)
    assert "another time" not in site.output(server)
    site.lives(server, 1)
    with pytest.raises(Refused, match="404"):
        Websocket(site.url(server))


def test_a_flood_is_cut_short(site: Site) -> None:
    server = site.server(2, sector(b"0123456789abcdef" * 16, flood=True))
    node, name = site.nodes[1], server["instance"]
    before = node.status()["trimmed"]
    with node.serial(name) as port:
        while node.status()["trimmed"] < before + 3:
            port.recv(1 << 16)
    assert node.box.path(f"/run/ganeti-ext/console/log/{name}.old").stat().st_size <= 32 * 1024
    assert len(site.output(server)) <= 102_400
    with node.qmp(name) as monitor:
        monitor.do("quit")


def test_a_guest_runs_on_without_the_daemon_and_the_daemon_finds_its_log(site: Site, server: dict[str, Any]) -> None:
    node = site.nodes[0]
    node.daemon.stop()
    path = f"/compute/v2.1/servers/{server['id']}/action"
    answer = site.api.call("POST", path, json={"os-getConsoleOutput": {}})
    assert answer.status_code == 503
    with node.serial(server["instance"]) as port:
        until_read(port, LINE)
    node.daemon = node.start()
    assert LINE.decode().strip() in site.output(server)


def test_a_stranger_gets_nothing_from_a_node(site: Site, server: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "stranger.pem").write_text(certificate())
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    node = site.nodes[0]
    refused = node.status()["refused"]
    for shown in (False, True):
        if shown:
            context.load_cert_chain(tmp_path / "stranger.pem")
        found = b""
        with contextlib.suppress(OSError), _knock(context, site) as sock:
            sock.sendall(b"\0\x02{}")
            found = sock.recv(1)
        assert found == b""
    node.daemon.says("refused: ")
    node.daemon.says("refused: ")
    assert node.status()["refused"] == refused + 2
    assert server["instance"] not in node.daemon.everything().rpartition("refused: ")[2]


def _knock(context: ssl.SSLContext, site: Site) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(("127.0.0.1", site.settings.console.port), PATIENCE))


def test_no_token_is_in_a_log_or_a_list_of_processes(site: Site, server: dict[str, Any]) -> None:
    urls = [site.url(server) for _ in range(3)]
    with Websocket(urls[0]) as stream:
        picture(stream)
        listed = "".join(command_lines(node.box.pid) for node in site.nodes)
    with urllib.request.urlopen(urls[1], timeout=PATIENCE) as page:
        page.read()
    told = site.proxy.everything() + "".join(node.daemon.everything() for node in site.nodes)
    assert f"screen of {server['instance']} opened" in told
    for url in urls:
        token = url.rpartition("%3D")[2]
        assert len(token) >= 43
        assert token not in told + listed
