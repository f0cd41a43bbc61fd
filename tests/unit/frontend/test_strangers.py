"""What is another project's shows nowhere: every route is asked for it, with every kind of token."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from frontend import routes
from frontend.database import db
from frontend.routes import ADMIN, MEMBER, OPEN, ROUTES, USER
from frontend.settings import Front
from tests.unit.frontend import strangers
from tests.unit.frontend.conftest import FOREIGN, MINE, Api, FakeRapi, serve
from tests.unit.frontend.strangers import BODIES, COMMON, FILTERS, FOREIGN_IDS, NEVER, SECRETS

Callers = dict[str | None, Api]

NAMES = re.compile(r"<(?:\w+:)?(\w+)>")
KEYS = [f"{method} {url}" for method, url, *_ in ROUTES]
BODILESS = ("POST", "PUT", "PATCH")
# What everybody is told the same has nothing of anybody's in it.
LISTS = [
    url
    for method, url, _, access in ROUTES
    if method == "GET" and access != OPEN and not set(NAMES.findall(url)) - {"tenant"}
]
VERSIONS = ("compute 2.1", "compute latest, volume latest")
LATEST = {"OpenStack-API-Version": VERSIONS[-1]}
SEEN = (
    *("hush-name", "hush-value", "hush-image", "hush-volume", "hush-snapshot"),
    *(strangers.TRANSFER, strangers.ATTACHMENT),
)
TABLES = (
    *(db.server, db.image, db.keypair, db.server_group, db.flavor, db.application_credential, db.project, db.user),
    *(db.port, db.volume, db.volume_transfer, db.volume_snapshot, db.network, db.tenant_network),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, seeded: Path) -> Api:
    """One for all tests, as none of them may change anything."""
    folder = tmp_path_factory.mktemp("strangers")
    shutil.copy(seeded, folder / "front.db")
    api = serve(Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret"), FakeRapi())
    strangers.furnish(api)
    strangers.furnish_own(api)
    return api


@pytest.fixture(scope="module")
def callers(world: Api) -> Callers:
    """By name; None has no token, and `unscoped` one for no project."""
    named: Callers = {name: world.become(name) for name in ("alice", "rita", "ada")}
    return {None: world, "unscoped": world.become("alice", None), "bob": world.become("bob", "foreign"), **named}


@pytest.fixture(scope="module")
def before(world: Api, callers: Callers) -> tuple[str, ...]:
    """What stays as it is, whoever asks."""
    return theirs(world)


def asked(url: str, kind: str) -> str:
    return NAMES.sub(lambda match: strangers.ids(kind)[match[1]], url)


def at(url: str, project: str) -> str:
    """A list's address for a token of a project."""
    return url.replace("<tenant>", project)


def bodies(key: str) -> tuple[strangers.Body | None, ...]:
    return BODIES.get(key, (None,))


def call(api: Api, key: str, kind: str, body: strangers.Body | None, version: str = VERSIONS[-1]) -> TestResponse:
    method, url = key.split(" ", 1)
    sent = {} if body is None else {"json": body(strangers.ids(kind))}
    return api.call(method, asked(url, kind), headers={"OpenStack-API-Version": version}, **sent)


def told(answer: TestResponse) -> str:
    """All that an answer says, but for its own number and what differs with the clock."""
    own = ("x-openstack-request-id", "x-compute-request-id", "Date", "Content-Length", "X-Subject-Token")
    headers = sorted(f"{name}: {value}" for name, value in answer.headers if name not in own)
    return "\n".join([answer.status, *headers, answer.text])


def without(text: str, values: Any) -> str:
    """A text in which all of these read alike: what the stranger has sent himself tells him nothing."""
    for value in sorted(set(values), key=len, reverse=True):
        text = text.replace(value, "IT")
    return text


def leaked(text: str) -> set[str]:
    return {secret for secret in SECRETS if secret in text}


def theirs(api: Api) -> tuple[str, ...]:
    """Their rows, as the driver gives them: they are read after each test, and SQLAlchemy takes ten times as long."""
    with api.engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        rows = [repr(row) for table in TABLES for row in raw.execute(f"SELECT * FROM {table.name} ORDER BY rowid")]
    return tuple(row for row in rows if is_theirs(row))


@cache
def is_theirs(row: str) -> bool:
    return bool(leaked(row))


def test_every_part_of_a_url_is_known() -> None:
    found = {name for key in KEYS for name in NAMES.findall(key)}
    assert found <= set(FOREIGN_IDS), "tests/unit/frontend/strangers.py FOREIGN_IDS needs another project's of these"


def test_every_route_that_takes_a_body_is_sent_one() -> None:
    needy = {key for key in KEYS if key.startswith(BODILESS)}
    assert needy == set(BODIES), "tests/unit/frontend/strangers.py BODIES needs these"


@pytest.mark.parametrize("key", KEYS)
def test_what_is_anothers_is_as_unknown_as_what_never_was(
    world: Api, callers: Callers, before: tuple[str, ...], key: str
) -> None:
    alice = callers["alice"]
    for body, version in itertools.product(bodies(key), VERSIONS):
        answers = [call(alice, key, kind, body, version) for kind in ("foreign", "never")]
        plain = [
            without(told(answer), strangers.ids(kind).values())
            for answer, kind in zip(answers, ("foreign", "never"), strict=True)
        ]
        assert plain[0] == plain[1]
        assert not leaked(plain[0])
        if body is not None or any(FOREIGN_IDS[name] for name in NAMES.findall(key)):
            assert 400 <= answers[0].status_code < 500
    assert world.rapi.calls == []
    assert theirs(world) == before


@pytest.mark.parametrize("url", LISTS)
def test_no_filter_finds_what_is_anothers(world: Api, callers: Callers, url: str) -> None:
    alice = callers["alice"]
    how = LATEST if url.startswith(routes.VOLUME) else {}

    @cache
    def told_of_it(name: str, value: str) -> str:
        answer = alice.get(at(url, MINE), query_string={name: value}, headers=how)
        return without(told(answer), (value, *escaped(value)))

    for name, foreign, never in FILTERS:
        told_of = [told_of_it(name, value) for value in (foreign, never)]
        assert not leaked(told_of[0]), f"{url}?{name}={foreign}"
        if "changes" not in name and not foreign.startswith(("^", ".")):
            assert told_of[0] == told_of[1], f"{url}?{name}={foreign}"
    assert not (world.rapi.calls or world.rapi.asked or world.rapi.queried)


def escaped(value: str) -> tuple[str, ...]:
    """As links of a next page have it."""
    return (value.replace(":", "%3A").replace(",", "%2C"), json.dumps(value)[1:-1])


@pytest.mark.parametrize("key", KEYS)
def test_nobody_without_a_token_gets_in(world: Api, callers: Callers, key: str) -> None:
    for body in bodies(key):
        answer = call(world, key, "foreign", body)
        if routes.ACCESS[key] != OPEN:
            assert answer.status_code == 401
            assert "WWW-Authenticate" in answer.headers
        assert not leaked(without(told(answer), strangers.ids("foreign").values()))


@pytest.mark.parametrize("key", KEYS)
def test_a_token_for_no_project_shows_no_projects_things(
    world: Api, callers: Callers, before: tuple[str, ...], key: str
) -> None:
    alice = callers["unscoped"]
    for body in bodies(key):
        answer = call(alice, key, "foreign", body)
        if routes.ACCESS[key] not in (OPEN, USER):
            assert answer.status_code == 403
            assert "not for a project" in answer.text
        assert not leaked(without(told(answer), strangers.ids("foreign").values()))
    assert (world.rapi.calls, theirs(world)) == ([], before)


@pytest.mark.parametrize(("key", "who"), [(key, who) for key in KEYS for who in ("rita", "alice")])
def test_a_role_may_do_no_more_than_its_own(
    world: Api, callers: Callers, before: tuple[str, ...], key: str, who: str
) -> None:
    barred = {"rita": (MEMBER, ADMIN), "alice": (ADMIN,)}[who]
    if routes.ACCESS[key] not in barred:
        return
    caller = callers[who]
    for kind in ("foreign", "never"):
        for body in bodies(key):
            answer = call(caller, key, kind, body)
            assert answer.status_code == 403
            assert "Your role" in answer.text
    assert (world.rapi.calls, theirs(world)) == ([], before)


@pytest.mark.parametrize("body", strangers.OWN_ACTIONS)
def test_an_own_server_becomes_nothing_that_is_anothers(
    world: Api, callers: Callers, before: tuple[str, ...], body: strangers.Body
) -> None:
    own = strangers.OWN
    alice = callers["alice"]
    answers = [
        alice.call("POST", f"{routes.COMPUTE}/servers/{own}/action", json=body(strangers.ids(kind)))
        for kind in ("foreign", "never")
    ]
    plain = [
        without(told(answer), strangers.ids(kind).values())
        for answer, kind in zip(answers, ("foreign", "never"), strict=True)
    ]
    assert plain[0] == plain[1]
    assert 400 <= answers[0].status_code < 500
    assert (world.rapi.calls, theirs(world)) == ([], before)


def test_the_owner_sees_all_of_it(world: Api, callers: Callers) -> None:
    """Else the tests above would find nothing to be hidden."""
    bob = callers["bob"]
    text = "".join(bob.get(at(url, FOREIGN), headers=LATEST).text for url in LISTS)
    text += bob.get(f"/compute/v2.1/servers/{strangers.SERVER}").text
    missing = {secret for secret in (*SEEN, "10.66.66.66") if secret not in text}
    assert not missing


def test_an_own_server_is_found_where_a_foreign_one_is_not(world: Api, callers: Callers) -> None:
    own = strangers.OWN
    alice = callers["alice"]
    for url in (f"{routes.COMPUTE}/servers", f"{routes.COMPUTE}/servers/detail"):
        assert [each["id"] for each in (alice.get(url).json or {})["servers"]] == [own]
    assert alice.get(f"{routes.COMPUTE}/servers/{own}").status_code == 200
    assert NEVER not in (own, FOREIGN, *COMMON.values())
