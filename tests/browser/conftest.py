"""A browser before the real front, whose Ganeti is pretended: what the page does is done by the API's own code."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert
from werkzeug.security import generate_password_hash
from werkzeug.serving import make_server

from frontend.app import create_app
from frontend.database import db
from frontend.identity.settings_identity import Federation
from frontend.image.settings_images import Images
from frontend.settings import Console, Credits, Front, Quota, Settings
from tests.browser.person import ROOT, Account, Person, chromium, there
from tests.contract.manage_site import Manage, site
from tests.unit.frontend.pretended import Pretended

PASSWORD = "correct horse"
TRUSTED, GRACE = "s" * 40, "grace@uni.example"
SERVERS = 600  # that physics may have
if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REQUIRED = bool(os.environ.get("CI") or os.environ.get("CHECK"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser they are skipped, unless CI or CHECK says that all must be there."""
    for item in items:
        if not REQUIRED and not there() and ROOT / "tests/browser" in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="there is no chromium, or no playwright"))


@dataclass
class Cloud:
    """The front, and an account's token for what a test plants by the API."""

    base: str
    ganeti: Pretended
    store: Manage
    """The real one, of images."""
    projects: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: object = None, project: str = "physics") -> Any:
        """A call of ada's; what it answers."""
        if project not in self.tokens:
            user = {"name": "ada", "password": PASSWORD, "domain": {"name": "Default"}}
            auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
            scope = {"project": {"id": self.projects[project]}}
            answer = self._send("POST", "/identity/v3/auth/tokens", {"auth": {**auth, "scope": scope}}, "")
            self.tokens[project] = answer.headers["X-Subject-Token"]
        text = self._send(method, path, body, self.tokens[project]).read()
        return json.loads(text) if text else None

    def content(self, path: str) -> bytes:
        """What a GET answers, as it is."""
        return bytes(self._send("GET", path, None, self.tokens["physics"]).read())

    def _send(self, method: str, path: str, body: object, token: str) -> Any:
        headers = {"X-Auth-Token": token, "Content-Type": "application/json", "OpenStack-API-Version": "compute 2.26"}
        data = None if body is None else json.dumps(body).encode()
        try:
            return urllib.request.urlopen(urllib.request.Request(self.base + path, data, headers, method=method))
        except urllib.error.HTTPError as err:
            raise AssertionError(f"{method} {path}: {err.code} {err.read().decode()}") from err

    def server(self, name: str, **more: Any) -> str:
        """The id of one that is made."""
        image = self.call("GET", "/image/v2/images?visibility=public")["images"][0]["id"]
        flavor = self.call("GET", "/compute/v2.1/flavors")["flavors"][0]["id"]
        wish = {"name": name, "imageRef": image, "flavorRef": flavor, **more}
        return str(self.call("POST", "/compute/v2.1/servers", {"server": wish})["server"]["id"])


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """One for the tests of a file."""
    subprocess.run([ROOT / "debian/page-libraries"], check=True, stdin=subprocess.DEVNULL)
    with site() as store:
        yield from _cloud(store)


def _cloud(store: Manage) -> Iterator[Cloud]:
    ganeti = Pretended()
    server = make_server("127.0.0.1", 0, _unready, threaded=True)
    made = Cloud(f"http://127.0.0.1:{server.server_port}", ganeti, store)
    app = create_app(_settings(store.folder, made.base), ganeti)
    server.app = _web_server(app.wsgi_app)
    engine = ganeti.engine = app.extensions["ganeti-ext"].engine
    ganeti.network("public", "10.64.0.0/20", "nfdhcpd", "ganeti-ext:external:1")
    _fill(made)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    engine.dispose()


def _settings(folder: Path, base: str) -> Settings:
    (folder / "federation").write_text(TRUSTED)
    (folder / "map").write_text("group:(\\w+) \\1 member\n")
    front = Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret", tenant_link="br0")
    origins = (f"{base}/page/",)
    return Settings(
        front=front,
        console=Console(url="http://console.example/"),
        credits=Credits(vcpu=0.5),
        quota=Quota(ports=-1),
        images=Images(f"{folder}/image-command", max_upload=1 << 20, staging=f"{folder}/staging"),
        federation=Federation(secret_file=f"{folder}/federation", map_file=f"{folder}/map", origins=origins),
    )


def _unready(_environ: WSGIEnvironment, _start: StartResponse) -> list[bytes]:
    raise AssertionError("asked before the front is made")


def _web_server(front: WSGIApplication) -> WSGIApplication:
    """What is before a front with a federation (docs/federation.md): it has logged grace in."""

    def passed(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if "/OS-FEDERATION/" in environ["PATH_INFO"]:
            told = {"FEDERATION_SECRET": TRUSTED, "REMOTE_USER": GRACE, "ENTITLEMENT": "group:physics;group:chemistry"}
            environ.update({f"HTTP_X_{key}": value for key, value in told.items()})
        return front(environ, start)

    return passed


def _fill(cloud: Cloud) -> None:
    """Two projects with one member, flavors, images and a node."""
    assert cloud.ganeti.engine is not None
    with cloud.ganeti.engine.begin() as connection:
        ada = str(uuid.uuid4())
        hashed = generate_password_hash(PASSWORD, "pbkdf2:sha256:1")
        connection.execute(insert(db.user).values(id=ada, name="ada", password_hash=hashed, enabled=True))
        for name, servers in (("physics", SERVERS), ("chemistry", 3)):
            ident = cloud.projects[name] = str(uuid.uuid4())
            most = {"max_servers": servers, "max_cores": 2 * servers, "max_ram": 2048 * servers}
            connection.execute(insert(db.project).values(id=ident, name=name, **most))
            connection.execute(insert(db.membership).values(user_id=ada, project_id=ident, role="member"))
        for name, vcpus, ram, disk in (("small", 1, 512, 5), ("large", 2, 4096, 20), ("huge", 64, 1 << 22, 100)):
            size = {"vcpus": vcpus, "ram": ram, "disk": disk}
            connection.execute(insert(db.flavor).values(id=str(uuid.uuid4()), name=name, **size))
        for name in ("debian-13", "fedora-44"):
            facts = {"size": 1 << 20, "sha256": "0" * 64, "min_disk": 1, "min_ram": 64, "created": time.time()}
            row = {"id": str(uuid.uuid4()), "name": name, "visibility": "public", "properties": {}, **facts}
            connection.execute(insert(db.image).values(**row))
        node = {"name": "node1", "zone": "default", "offline": False, "drained": False, "vm_capable": True}
        connection.execute(insert(db.node).values(**node, updated=time.time()))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture
def person(browser: Any, cloud: Cloud) -> Iterator[Person]:
    one = Person(browser, Account(cloud.base, "ada", PASSWORD, "physics", SERVERS))
    yield one
    one.context.close()
    assert not one.wrong, "\n".join(one.wrong)


@pytest.fixture
def ada(person: Person) -> Person:
    """Signed in."""
    person.sign_in()
    return person
