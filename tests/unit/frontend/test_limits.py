"""Requests that are too long, too deep, too many or no text: a 4xx in the service's own shape, and never a 500."""

from __future__ import annotations

import io
import json
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from frontend.routes import OPEN, ROUTES
from frontend.settings import Front
from tests.unit.frontend import strangers
from tests.unit.frontend.conftest import COMPUTE, Api, FakeRapi, serve
from tests.unit.frontend.test_strangers import NAMES


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, seeded: Path) -> Api:
    """One for all tests: what is refused changes nothing."""
    folder = tmp_path_factory.mktemp("limits")
    shutil.copy(seeded, folder / "front.db")
    front = Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret")
    return serve(front, FakeRapi()).become("alice")


SERVERS = f"{COMPUTE}/servers"
WRITERS = [(method, url) for method, url, *_ in ROUTES if method in ("POST", "PUT", "PATCH")]
READERS = [url for method, url, _, access in ROUTES if method == "GET" and access != OPEN]
ENTRIES = {"compute": None, "network": "NeutronError"}


def good(url: str) -> str:
    """With ids of nothing in particular."""
    return NAMES.sub(lambda match: strangers.ids("never")[match[1]], url)


def shaped(answer: TestResponse, url: str) -> None:
    """A refusal, as the clients of the service know it."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.mimetype == "application/json"
    ((key, said),) = (answer.json or {}).items()
    service = url.split("/")[1]
    if service == "network":
        assert (key, set(said)) == ("NeutronError", {"type", "message", "detail"})
    elif service in ("compute", "volume"):
        assert set(said) == {"code", "message"}
    else:
        assert (key, set(said)) == ("error", {"code", "message", "title"})
    assert said.get("code", answer.status_code) == answer.status_code
    assert said["message"]
    assert answer.headers["x-openstack-request-id"].startswith("req-")


BAD = {
    "deep lists": b"[" * 50_000,
    "deep objects": b'{"server": ' * 5_000,
    "deep and whole": b'{"server": ' * 900 + b"1" + b"}" * 900,
    "a long list": b'{"server": [' + b"1," * 50_000 + b"1]}",
    "many keys": json.dumps({f"k{number}": 1 for number in range(9_000)}).encode(),
    "a huge number": b'{"server": {"name": "x", "min_count": ' + b"9" * 6_000 + b"}}",
    "a number that no column holds": b'{"server": {"name": "x", "min_count": 99999999999999999999}}',
    "infinity": b'{"server": Infinity}',
    "a NUL": rb'{"server": {"name": "a\u0000b"}, "addFloatingIp": "\u0000"}',
    "half a surrogate pair": rb'{"server": {"name": "\ud800"}}',
    "no UTF-8": b'{"server": {"name": "\xff"}}',
    "another encoding": '{"server": {}}'.encode("utf-16"),
    "a scalar": b"7",
    "null": b"null",
}


@pytest.mark.parametrize(("method", "url"), WRITERS)
def test_bad_bodies(api: Api, method: str, url: str) -> None:
    for data in BAD.values():
        shaped(api.call(method, good(url), data=data, content_type="application/json"), url)
    assert api.rapi.calls == []


@pytest.mark.parametrize(("method", "url"), WRITERS)
def test_a_body_above_the_limit(api: Api, method: str, url: str) -> None:
    answer = api.call(method, good(url), data=b" " * 114_689, content_type="application/json")
    shaped(answer, url)
    if answer.status_code not in (403, 404, 415):
        assert answer.status_code == 413


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "", "99999999999999999999"])
def test_lengths_that_are_none(api: Api, length: str) -> None:
    answer = api.call(
        "POST", SERVERS, input_stream=io.BytesIO(b"{}"), content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": length},
    )  # fmt: skip
    shaped(answer, SERVERS)


@pytest.mark.parametrize(("said", "sent"), [(50, b'{"server": {}}'), (5, b'{"server": {}}')])
def test_a_body_that_is_not_as_long_as_it_says(api: Api, said: int, sent: bytes) -> None:
    answer = api.call(
        "POST", SERVERS, input_stream=io.BytesIO(sent), content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": str(said)},
    )  # fmt: skip
    shaped(answer, SERVERS)
    assert answer.status_code == 400


ADDRESSES = {
    "many parameters": "&".join(f"p{number}=1" for number in range(2_000)),
    "one many times": "&".join(["status=ACTIVE"] * 2_000),
    "a long value": "name=" + "x" * 100_000,
    "a long expression": "name=" + "a*" * 2_000,
    "a huge number": "limit=" + "9" * 5_000,
    "a NUL": "name=%00&id=%00&marker=%00",
    "a NUL in a key": "na%00me=1",
    "no UTF-8": "name=%ff%fe&marker=%ff&id=%c3",
    "half a surrogate pair": "name=%ed%a0%80&marker=%ed%a0%80",
    "a time beyond all clocks": "changes-since=9999-12-31T23:59:59-23:59&limit=1",
    "a time before all clocks": "changes-since=0001-01-01T00:00:00%2B23:59",
    "digits of other scripts": "limit=%D9%A3&minDisk=%D9%A3&size_min=%D9%A3",
    "numbers that no column holds": "limit=1&minRam=99999999999999999999&min_ram=9&size_max=99999999999999999999",
    "no sense": "limit=1&sort_key=%27%3B--&sort_dir=up&status=%25&flavor=%25&image=_&fields=&=&&=x&;",
}


@pytest.mark.parametrize("url", READERS)
def test_bad_queries(api: Api, url: str) -> None:
    for what, query in ADDRESSES.items():
        answer = api.get(f"{good(url)}?{query}")
        assert answer.status_code < 500, what
        if answer.status_code >= 400:
            shaped(answer, url)
    assert not (api.rapi.calls or api.rapi.asked)


PARTS = ("%00", "%ff", "%ed%a0%80", "x" * 5_000, "%2e%2e", "%F0%9F%98%80", "9" * 400, "-1")


@pytest.mark.parametrize(("method", "url"), [(method, url) for method, url, *_ in ROUTES if NAMES.search(url)])
def test_bad_parts_of_addresses(api: Api, method: str, url: str) -> None:
    body: Any = {"data": b"{}", "content_type": "application/json"} if method in ("POST", "PUT", "PATCH") else {}
    for part in PARTS:
        answer = api.call(method, NAMES.sub(part, url), **body)
        assert answer.status_code < 500, part
        if answer.status_code >= 400:
            shaped(answer, url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Auth-Token", "x" * 100_000),
        ("X-Auth-Token", "\xff"),
        ("X-Auth-Token", "eyJ" + "." * 50),
        ("OpenStack-API-Version", "compute " + "2." * 5_000),
        ("OpenStack-API-Version", "compute 2." + "9" * 5_000),
        ("OpenStack-API-Version", ",".join(["compute 2.1"] * 5_000)),
        ("X-OpenStack-Nova-API-Version", "\xb2.1"),
        ("Content-Type", "application/json; " + "charset=x;" * 5_000),
        ("Host", "a" * 300),
        ("Host", "bad host/<script>"),
        ("Accept", "x/" + "y" * 10_000),
        ("Cookie", "a=b; " * 5_000),
        ("If-Modified-Since", "never"),
        ("Range", "bytes=0-" + "9" * 400),
        ("X-Subject-Token", "x" * 100_000),
    ],
)
def test_bad_headers(api: Api, name: str, value: str) -> None:
    for method, url in (("GET", SERVERS), ("GET", "/identity/v3/auth/tokens"), ("POST", SERVERS)):
        answer = api.call(method, url, headers={name: value}, **({"data": b"{}"} if method == "POST" else {}))
        assert answer.status_code < 500
        if answer.status_code >= 400:
            shaped(answer, url)


def test_what_is_refused_costs_no_memory(api: Api) -> None:
    for data in BAD.values():  # once, so that what stays stays before it is measured
        api.call("POST", SERVERS, data=data, content_type="application/json")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10):
        for data in BAD.values():
            api.call("POST", SERVERS, data=data, content_type="application/json")
        api.get(f"{SERVERS}?{ADDRESSES['a long value']}")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_384  # KiB
