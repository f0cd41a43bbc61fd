"""Images downloaded by the importer from a web server with TLS: whom it believes, and what the tenant is told."""

from __future__ import annotations

import contextlib
import functools
import http.server
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from frontend import settings
from tests.contract.manage_site import ENVIRONMENT, ROOT, Manage, site
from tests.contract.test_importer import CONTENT
from tests.unit.console.node import certificate
from tests.unit.frontend.conftest import Api, FakeRapi, serve
from tests.unit.frontend.images import IMAGES, make, shown
from tests.waiting import until

IMPORTER = ROOT / "frontend" / "ganeti-ext-importer"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


class Web:
    """A server of one image on the loopback; its certificate is for `localhost` alone."""

    def __init__(self, folder: Path) -> None:
        (folder / "web").mkdir()
        (folder / "web" / "disk.raw").write_bytes(CONTENT)
        self.ca = certificate(folder, "localhost", "-addext", "subjectAltName=DNS:localhost").with_suffix(".crt")
        self._server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder / "web"))
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "localhost.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def url(self, host: str) -> str:
        return f"https://{host}:{self._server.server_address[1]}/disk.raw"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    made = Web(tmp_path)
    yield made
    made.close()


@pytest.fixture
def manage() -> Iterator[Manage]:
    with site() as made:
        more = f"[images]\nstaging = {made.folder}/staging\nimport_hosts = *:*\nimport_networks = 127.0.0.0/8\n"
        made.config.write_text(made.config.read_text().replace("[images]\n", more))
        yield made


@pytest.fixture
def api(manage: Manage) -> Api:
    config = settings.read(str(manage.config))
    return serve(config.front, FakeRapi(), config).become("alice")


@contextlib.contextmanager
def importer(manage: Manage, **environment: str) -> Iterator[None]:
    """The daemon, with more in its environment."""
    argv = [sys.executable, "-I", str(IMPORTER), "--config", str(manage.config)]
    with subprocess.Popen(argv, env={**ENVIRONMENT, **environment}, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def download(api: Api, url: str) -> str:
    ident = make(api)
    sent = {"method": {"name": "web-download", "uri": url}}
    assert api.call("POST", f"{IMAGES}/{ident}/import", json=sent).status_code == 202
    return ident


def task(api: Api, ident: str) -> dict[str, str]:
    (found,) = api.get(f"{IMAGES}/{ident}/tasks").json["tasks"]  # type: ignore[index]
    return {name: found[name] for name in ("status", "message")}


def test_an_image_comes_from_a_server_whose_certificate_is_good(manage: Manage, api: Api, web: Web) -> None:
    ident = download(api, web.url("localhost"))
    with importer(manage, SSL_CERT_FILE=str(web.ca)):
        until(lambda: shown(api, ident)["status"] == "active")
    assert api.get(f"{IMAGES}/{ident}/file").data == CONTENT


@pytest.mark.parametrize(
    ("host", "trusts", "why"),
    [
        ("localhost", False, "self-signed certificate"),
        ("127.0.0.1", True, "IP address mismatch, certificate is not valid for '127.0.0.1'."),
    ],
)
def test_nothing_comes_from_one_that_is_not_who_it_says(
    manage: Manage, api: Api, web: Web, host: str, trusts: bool, why: str
) -> None:
    ident = download(api, web.url(host))
    with importer(manage, **({"SSL_CERT_FILE": str(web.ca)} if trusts else {})):
        until(lambda: task(api, ident)["status"] == "failure")
    assert task(api, ident)["message"] == f"uri: the certificate of {host} is not believed: {why}"
    assert (shown(api, ident)["status"], manage.stored()) == ("queued", [])
