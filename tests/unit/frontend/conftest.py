"""The API in this process, its database in a file of the test's, and a remote API that writes down its calls."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, insert, select, update
from sqlalchemy.engine import Engine
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from frontend.app import create_app
from frontend.database import db, migration
from frontend.identity.tokens import load_secret
from frontend.settings import Front, Settings
from ganeti_ext.errors import RapiError
from ganeti_ext.rapi import Query

COMPUTE = "/compute/v2.1"
MINE, FOREIGN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
ALICE, BOB, EVE, RITA = "a-alice", "b-bob", "e-eve", "r-rita"
SMALL, TINY, HUGE = "f-small", "f-tiny", "f-huge"
IMAGE, SECRET_IMAGE = "0aaaaaaa-0000-4000-8000-000000000001", "0aaaaaaa-0000-4000-8000-000000000002"
NET = "0bbbbbbb-0000-4000-8000-000000000001"
PASSWORD = "correct horse"
GIB = 1 << 30


class FakeRapi:
    """Writes down what is submitted; `fails` is raised instead, when set, and `get_fails` at a GET.

    `jobs` are the statuses of jobs that it knows, `tags` those of instances, and `found` is its answer to a query.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any, Any]] = []
        self.asked: list[str] = []
        self.fails: Exception | None = None
        self.get_fails: Exception | None = None
        self.job = 100
        self.jobs: dict[int, str] = {}
        self.tags: dict[str, list[str]] = {}
        self.canceled: list[int] = []
        self.found: list[dict[str, Any]] = []
        self.queried: list[tuple[Any, ...]] = []
        self.on_submit: Any = None

    def get(self, path: str, query: Query | None = None) -> Any:
        assert query is None
        self.asked.append(path)
        if self.get_fails:
            raise self.get_fails
        kind, _, name = path.partition("/")
        if path.endswith("/tags"):
            return self.tags.get(name.removesuffix("/tags"), [])
        if kind in ("instances", "nodes"):  # where a guest is, which cannot be asked
            return {"pnode": "node1", "name": name, "offline": True}
        if kind != "jobs":
            return {}
        if int(name) not in self.jobs:
            raise RapiError(f"RAPI GET /2/{path}: no such job", 404)
        return {"id": int(name), "status": self.jobs[int(name)]}

    def query(self, what: str, fields: Sequence[str], wanted: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        self.queried.append((what, tuple(fields), wanted))
        return self.found

    def cancel(self, job: int) -> bool:
        self.canceled.append(job)
        return True

    def submit(self, method: str, path: str, body: object = None, query: Query | None = None) -> int:
        if self.fails:
            raise self.fails
        self.calls.append((method, path, body, query))
        self.job += 1
        if self.on_submit:
            self.on_submit(self.job)
        return self.job


class Api:
    """A client with the token of one user."""

    def __init__(self, client: FlaskClient, engine: Engine, rapi: FakeRapi) -> None:
        self.client, self.engine, self.rapi = client, engine, rapi
        self.token: str | None = None

    def login(self, name: str, project: str | None, password: str = PASSWORD) -> TestResponse:
        auth: dict[str, Any] = {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": name, "domain": {"id": "default"}, "password": password}},
            }
        }
        if project:
            auth["scope"] = {"project": {"name": project, "domain": {"name": "Default"}}}
        return self.client.post("/identity/v3/auth/tokens", json={"auth": auth})

    def become(self, name: str, project: str | None = "mine") -> Api:
        answer = self.login(name, project)
        assert answer.status_code == 201, answer.text
        other = Api(self.client, self.engine, self.rapi)
        other.token = answer.headers["X-Subject-Token"]
        return other

    def call(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = {"X-Auth-Token": self.token} if self.token else {}
        return self.client.open(path, method=method, headers={**headers, **kwargs.pop("headers", {})}, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("GET", path, **kwargs)

    def server(self, **changes: Any) -> dict[str, Any]:
        """Put a server's row in; a plain running one of project `mine` unless changed."""
        number = len(self.rows())
        ident = changes.get("id", f"{number:08x}-0000-4000-8000-000000000000")
        row = {
            "id": ident,
            "instance": f"gx-{ident}",
            "project_id": MINE,
            "user_id": ALICE,
            "name": f"web-{number}",
            "flavor_id": SMALL,
            "image_id": IMAGE,
            "vcpus": 1,
            "ram": 512,
            "disk": 5,
            "status": "ACTIVE",
            "nics": [{"network": "net1", "ip": f"10.0.0.{number + 2}", "ip6": None, "mac": "aa:00:00:00:00:01",
                      "uuid": f"0ccccccc-0000-4000-8000-{number:012x}"}],
            "created": 1_700_000_000.0 + number,
            "updated": 1_700_000_000.0 + number,
            "job": 50,
            **changes,
        }  # fmt: skip
        with self.engine.begin() as connection:
            connection.execute(insert(db.server).values(row))
        return row

    def change(self, ident: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(db.server).where(db.server.c.id == ident).values(values))

    def rows(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(db.server).order_by(db.server.c.created))

    def owed(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            return db.rows(connection, select(db.owed))

    def row(self, ident: str) -> dict[str, Any]:
        return next(row for row in self.rows() if row["id"] == ident)


def seed(engine: Engine) -> None:
    now = time.time()
    hashed = generate_password_hash(PASSWORD, "pbkdf2:sha256:1")
    users = ((ALICE, "alice", True), (BOB, "bob", True), (EVE, "eve", False), (RITA, "rita", True))
    image = {"size": 2 * GIB, "sha256": "0" * 64, "min_disk": 3, "min_ram": 256, "created": now}
    with engine.begin() as connection:
        for ident, name in ((MINE, "mine"), (FOREIGN, "foreign")):
            quota = {"max_servers": 3, "max_cores": 4, "max_ram": 4096}
            connection.execute(insert(db.project).values(id=ident, name=name, **quota))
        for ident, name, enabled in users:
            connection.execute(insert(db.user).values(id=ident, name=name, password_hash=hashed, enabled=enabled))
        for user, project, role in (
            (ALICE, MINE, "member"),
            (BOB, FOREIGN, "member"),
            (EVE, MINE, "member"),
            (RITA, MINE, "reader"),
        ):
            connection.execute(insert(db.membership).values(user_id=user, project_id=project, role=role))
        for ident, name, vcpus, ram, disk in (
            (SMALL, "small", 1, 512, 5),
            (TINY, "tiny", 1, 128, 1),
            (HUGE, "huge", 5, 512, 5),
        ):
            connection.execute(insert(db.flavor).values(id=ident, name=name, vcpus=vcpus, ram=ram, disk=disk))
        public = {"id": IMAGE, "name": "debian", "visibility": "public", "properties": {"os_distro": "debian"}}
        private = {"id": SECRET_IMAGE, "name": "own", "visibility": "private", "owner_id": FOREIGN, "properties": {}}
        connection.execute(insert(db.image).values(**public, **image))
        connection.execute(insert(db.image).values(**private, **image))
        connection.execute(
            insert(db.network).values(
                id=NET, name="net1", subnet="10.0.0.0/24", gateway="10.0.0.1", subnet6="fd00::/64", gateway6=None,
                tags=["nfdhcpd"], updated=now,
            )
        )  # fmt: skip


@pytest.fixture(scope="session")
def opened() -> list[Engine]:
    """The engines that a test has opened."""
    return []


@pytest.fixture(autouse=True)
def closed(opened: list[Engine]) -> Iterator[None]:
    """Its files are closed when a test ends, not when Python happens to look: select(2) knows no more than 1,024."""
    yield
    for engine in opened:
        engine.dispose()
    opened.clear()


@pytest.fixture(scope="session", autouse=True)
def compiled_once(opened: list[Engine]) -> Iterator[None]:
    """What SQLAlchemy has made of a statement for one SQLite serves all others: else that is most of a test's time."""
    first = create_engine("sqlite://")
    first.connect().close()  # the dialect learns what this SQLite can do
    cache: dict[Any, Any] = {}

    def create(url: str, **options: Any) -> Engine:
        engine = create_engine(url, **options)
        opened.append(engine)
        if engine.dialect.name == "sqlite":
            engine.dialect = first.dialect  # part of the cache's keys
            engine.update_execution_options(compiled_cache=cache)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "create_engine", create)
        yield
    first.dispose()


@pytest.fixture(scope="session")
def tables(compiled_once: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without a row."""
    path = tmp_path_factory.mktemp("tables") / "front.db"
    db.connect(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture(autouse=True)
def copied(tables: Path) -> Iterator[None]:
    """A new database is a copy of an empty one: to make its tables takes longer than most tests."""
    ensure = migration.ensure

    def copy(engine: Engine) -> None:
        path = engine.url.database
        if engine.dialect.name == "sqlite" and path and not Path(path).exists():
            shutil.copy(tables, f"{path}.new")
            Path(f"{path}.new").rename(path)
        ensure(engine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migration, "ensure", copy)
        yield


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """The consumer's, of a database without a row."""
    return db.connect_writer(f"sqlite:///{tmp_path}/front.db")


@pytest.fixture
def rapi() -> FakeRapi:
    return FakeRapi()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all that `seed` puts in, made once: a copy is quicker than its tables. Beside it is a secret."""
    path = tmp_path_factory.mktemp("seeded") / "front.db"
    engine = db.connect(f"sqlite:///{path}")
    seed(engine)
    engine.dispose()
    load_secret(str(path.with_name("secret")))
    return path


@pytest.fixture(scope="session")
def token(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a member of project `mine`, signed with the secret beside `seeded`: a login takes as long as many a test."""
    folder = tmp_path_factory.mktemp("token")
    shutil.copytree(seeded.parent, folder, dirs_exist_ok=True)
    front = Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret")
    return serve(front, FakeRapi()).become("alice").token or ""


@pytest.fixture
def front(tmp_path: Path, seeded: Path) -> Front:
    """The settings; a test may override this fixture or pass others to `serve`."""
    shutil.copytree(seeded.parent, tmp_path, dirs_exist_ok=True)
    return Front(database=f"sqlite:///{tmp_path}/front.db", secret_file=f"{tmp_path}/secret")


@pytest.fixture
def nobody(front: Front, rapi: FakeRapi) -> Api:
    """The API, called without a token."""
    return serve(front, rapi)


@pytest.fixture
def api(nobody: Api, front: Front, seeded: Path, token: str) -> Api:
    """The API, called by a member of project `mine`."""
    if Path(front.secret_file).read_bytes() != seeded.with_name("secret").read_bytes():
        return nobody.become("alice")
    member = Api(nobody.client, nobody.engine, nobody.rapi)
    member.token = token
    return member


def serve(front: Front, rapi: Any, settings: Settings | None = None) -> Api:
    app = create_app(settings or Settings(front=front), rapi)
    engine = app.extensions["ganeti-ext"].engine
    with engine.connect() as connection:
        empty = not db.rows(connection, select(db.project))
    if empty:
        seed(engine)
    return Api(app.test_client(), engine, rapi)
