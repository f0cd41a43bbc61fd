"""The client of Ganeti's remote API, against a real server with a certificate of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ganeti_ext.errors import ConfigError, RapiError, RapiUnavailable
from ganeti_ext.rapi import Rapi

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """A self-signed one as Ganeti makes it: its name is no host's."""
    key, cert = str(folder / f"{name}.key"), str(folder / f"{name}.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=ganeti.example.com", "-days", "2", "-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return key, cert


@dataclass
class Cluster:
    """What the server is to answer, and what it was asked."""

    url: str = ""
    ca: str = ""
    status: int = 200
    answer: bytes = b"{}"
    asked: list[tuple[str, str, dict[str, str], object]] = field(default_factory=list)

    def rapi(self, **changes: str) -> Rapi:
        known = {"url": self.url, "user": "front", "password": "s3cret", "ca": self.ca, **changes}
        return Rapi(known["url"], known["user"], known["password"], known["ca"])


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    certificate(folder, "cluster")
    certificate(folder, "other")
    return folder


@pytest.fixture
def cluster(pki: Path) -> Iterator[Cluster]:
    found = Cluster(ca=str(pki / "cluster.pem"))

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            found.asked.append((self.command, self.path, dict(self.headers), body))
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(found.answer)))
            self.end_headers()
            self.wfile.write(found.answer)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """The test's output is not its log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(pki / "cluster.pem"), str(pki / "cluster.key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_good_answer_is_decoded(cluster: Cluster) -> None:
    cluster.answer = b'[{"id": "gx-1"}]'
    assert cluster.rapi().get("instances", {"bulk": 1}) == [{"id": "gx-1"}]
    ((method, path, headers, body),) = cluster.asked
    assert (method, path, body) == ("GET", "/2/instances?bulk=1", None)
    assert headers["Authorization"] == "Basic ZnJvbnQ6czNjcmV0"


def test_a_job_is_submitted_with_its_body(cluster: Cluster) -> None:
    cluster.answer = b'"1234"'
    assert cluster.rapi().submit("POST", "instances", {"name": "é"}, {"dry-run": 0}) == 1234
    ((method, path, headers, body),) = cluster.asked
    assert (method, path, body) == ("POST", "/2/instances?dry-run=0", {"name": "é"})
    assert headers["Content-Type"] == "application/json"


def test_objects_are_asked_for_with_their_fields(cluster: Cluster) -> None:
    cluster.answer = b'{"fields": [], "data": [[[0, "web"], [0, {"a": 1}]], [[0, "db"], [4, null]]]}'
    found = cluster.rapi().query("instance", ("name", "nic.ips"))
    assert found == [{"name": "web", "nic.ips": {"a": 1}}, {"name": "db", "nic.ips": None}]
    ((method, path, _, body),) = cluster.asked
    assert (method, path, body) == ("GET", "/2/query/instance?fields=name%2Cnic.ips", None)


def test_jobs_are_asked_for_by_a_filter(cluster: Cluster) -> None:
    cluster.answer = b'{"fields": [], "data": []}'
    assert cluster.rapi().query("job", ("id",), ["=", "id", 7]) == []
    ((method, path, _, body),) = cluster.asked
    assert (method, path, body) == ("PUT", "/2/query/job", {"fields": ["id"], "qfilter": ["=", "id", 7]})


def test_names_are_quoted_in_the_path(cluster: Cluster) -> None:
    cluster.rapi().get("instances/a b?c#d")
    assert cluster.asked[0][1] == "/2/instances/a%20b%3Fc%23d"


@pytest.mark.parametrize("answer", [b"null", b'"x"', b"[1, 2]", b"{}"])
def test_a_submission_without_a_job_number_is_not_trusted(cluster: Cluster, answer: bytes) -> None:
    cluster.answer = answer
    with pytest.raises(RapiUnavailable, match="expected a job id, got"):
        cluster.rapi().submit("DELETE", "instances/gx-1")


def test_a_refusal_carries_ganetis_words_and_status(cluster: Cluster) -> None:
    cluster.status = 404
    cluster.answer = b'{"code": 404, "message": "Not Found", "explain": "Instance gx-1 not known"}'
    with pytest.raises(RapiError) as caught:
        cluster.rapi().get("instances/gx-1")
    assert (caught.value.code, str(caught.value)) == (404, "RAPI GET /2/instances/gx-1: Instance gx-1 not known")


@pytest.mark.parametrize(
    ("answer", "words"),
    [(b'{"message": "Unauthorized"}', "Unauthorized"), (b'"plain"', "plain"), (b"{}", "status 401")],
)
def test_a_refusal_without_an_explanation(cluster: Cluster, answer: bytes, words: str) -> None:
    cluster.status, cluster.answer = 401, answer
    with pytest.raises(RapiError, match=f"RAPI GET /2/info: {words}$") as caught:
        cluster.rapi().get("info")
    assert caught.value.code == 401


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_master_that_is_busy_is_unavailable(cluster: Cluster, status: int) -> None:
    cluster.status, cluster.answer = status, b'{"message": "try again"}'
    with pytest.raises(RapiUnavailable, match="try again"):
        cluster.rapi().get("info")


@pytest.mark.parametrize("status", [200, 404, 502])
def test_an_answer_that_is_not_json_is_not_trusted(cluster: Cluster, status: int) -> None:
    cluster.status, cluster.answer = status, b"<html>a proxy</html>"
    with pytest.raises(RapiUnavailable, match=f"status {status} without JSON"):
        cluster.rapi().get("info")


def test_another_certificate_is_refused_before_the_password_is_sent(cluster: Cluster, pki: Path) -> None:
    with pytest.raises(RapiUnavailable, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        cluster.rapi(ca=str(pki / "other.pem")).get("info")
    assert cluster.asked == []


def test_nobody_there(cluster: Cluster) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(RapiUnavailable, match=rf"^RAPI 127\.0\.0\.1:{port}: .*refused"):
            cluster.rapi(url=f"https://127.0.0.1:{port}").get("info")


def test_a_server_that_says_nothing(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        rapi = Rapi(url, "u", "p", cluster.ca, timeout=0.2)
        with pytest.raises(RapiUnavailable, match="timed out"):
            rapi.get("info")


def test_an_address_that_nobody_has_is_soon_given_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel drops what comes to a listener whose queue is full: as if no machine were there."""
    monkeypatch.setattr("ganeti_ext.rapi._CONNECT", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as fillers:
        for _ in range(2):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        rapi = Rapi(f"https://127.0.0.1:{full.getsockname()[1]}", "u", "p", cluster.ca, timeout=60)
        began = time.monotonic()
        with pytest.raises(RapiUnavailable, match="timed out"):
            rapi.get("info")
        assert time.monotonic() - began < 30


def test_a_server_that_breaks_off(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            client, _ = rude.accept()
            client.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(RapiUnavailable):
            cluster.rapi(url=f"https://127.0.0.1:{rude.getsockname()[1]}").get("info")
        thread.join()


@pytest.mark.parametrize(
    ("status", "answer", "ca"),
    [
        (401, b'{"message": "Unauthorized"}', "cluster.pem"),
        (404, b'{"explain": "not known"}', "cluster.pem"),
        (503, b'{"message": "try again"}', "cluster.pem"),
        (200, b"<html>", "cluster.pem"),
        (200, b"null", "cluster.pem"),
        (200, b"1", "other.pem"),
    ],
)
def test_no_failure_tells_the_password(cluster: Cluster, pki: Path, status: int, answer: bytes, ca: str) -> None:
    cluster.status, cluster.answer = status, answer
    with pytest.raises((RapiError, RapiUnavailable)) as caught:
        cluster.rapi(ca=str(pki / ca)).submit("POST", "instances", {"name": "gx-1"})
    words = "".join(traceback.format_exception(caught.value))  # its causes and contexts too, as a log shows them
    assert "s3cret" not in words
    assert "ZnJvbnQ6czNjcmV0" not in words


def test_an_unreachable_server_does_not_make_us_tell_the_password(cluster: Cluster) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(RapiUnavailable) as caught:
            cluster.rapi(url=f"https://127.0.0.1:{bound.getsockname()[1]}").get("info")
    words = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in words
    assert "ZnJvbnQ6czNjcmV0" not in words


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1:5080", "192.0.2.1:5080", "https://", "", "https://h:port", "https://[::1"]
)
def test_only_an_https_address_will_do(cluster: Cluster, url: str) -> None:
    with pytest.raises(ConfigError, match=r"expected https://HOST:PORT") as caught:
        cluster.rapi(url=url)
    assert repr(url) in str(caught.value)


def test_a_certificate_that_cannot_be_read_is_named(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=f"^RAPI certificate {tmp_path / name}: "):
            cluster.rapi(ca=str(tmp_path / name))


def test_credentials_beyond_ascii(cluster: Cluster) -> None:
    cluster.rapi(user="jörg", password="ü:ü").get("info")
    assert cluster.asked[0][2]["Authorization"] == "Basic asO2cmc6w7w6w7w="
