"""Which microversion an answer is by, and how it says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.web import microversion
from frontend.web.fault import BadRequest, NotAcceptable
from tests.unit.frontend.conftest import COMPUTE, Api

SERVERS = f"{COMPUTE}/servers"


@pytest.mark.parametrize(
    ("headers", "used"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.1"}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.26"}, "2.26"),
        ({"OpenStack-API-Version": "Compute  2.9 "}, "2.9"),
        ({"OpenStack-API-Version": "compute latest"}, "2.26"),
        ({"OpenStack-API-Version": "volume 3.0, compute 2.3"}, "2.3"),
        ({"OpenStack-API-Version": "volume 3.60"}, "2.1"),
        ({"X-OpenStack-Nova-API-Version": "2.10"}, "2.10"),
        ({"X-OpenStack-Nova-API-Version": "latest"}, "2.26"),
        ({"X-OpenStack-Nova-API-Version": "2.5", "OpenStack-API-Version": "compute 2.6"}, "2.6"),
        ({"X-OpenStack-Nova-API-Version": "2.5", "OpenStack-API-Version": "volume 3.1"}, "2.5"),
    ],
)
def test_the_answer_says_by_which_version_it_is(api: Api, headers: dict[str, str], used: str) -> None:
    answer = api.get(SERVERS, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["OpenStack-API-Version"] == f"compute {used}"
    assert answer.headers["X-OpenStack-Nova-API-Version"] == used
    assert {"OpenStack-API-Version", "X-OpenStack-Nova-API-Version"} <= set(answer.headers["Vary"].split(", "))


@pytest.mark.parametrize("version", ["2.0", "2.27", "2.96", "1.1", "3.0", "3.5", "2.100"])
def test_a_version_that_there_is_not(api: Api, version: str) -> None:
    for name, value in (("OpenStack-API-Version", f"compute {version}"), ("X-OpenStack-Nova-API-Version", version)):
        answer = api.get(SERVERS, headers={name: value})
        message = f"Version {version} is not supported by the API. Minimum is 2.1 and maximum is 2.26."
        assert (answer.status_code, answer.json) == (406, {"computeFault": {"code": 406, "message": message}})
        assert answer.headers["OpenStack-API-Version"] == "compute 2.1"


@pytest.mark.parametrize(
    "version", ["two", "", "2", "2.", ".1", "2.01", "02.1", "2.1.1", "-2.1", "2x1", "\u0662.1", "9" * 99]
)
def test_what_is_no_version(api: Api, version: str) -> None:
    answer = api.get(SERVERS, headers={"OpenStack-API-Version": f"compute {version}".encode().decode("latin-1")})
    assert answer.status_code == 400
    assert "Must be of format MajorNum.MinorNum" in answer.json["badRequest"]["message"]  # type: ignore[index]


def test_a_stranger_is_not_negotiated_with(nobody: Api) -> None:
    assert nobody.get(SERVERS, headers={"OpenStack-API-Version": "compute 9.9"}).status_code == 401


def test_other_services_and_discovery_have_no_microversion(api: Api) -> None:
    headers = {"OpenStack-API-Version": "compute 9.9"}
    assert api.get("/network/v2.0/networks", headers=headers).status_code == 200
    assert "OpenStack-API-Version" not in api.get("/network/v2.0/networks").headers
    assert api.get(COMPUTE, headers=headers).status_code == 200


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_header_is_one_of_the_three(standard: str, legacy: str) -> None:
    try:
        version = microversion.negotiate(standard, legacy)
    except (BadRequest, NotAcceptable):
        return
    assert microversion.MINIMUM <= version <= microversion.MAXIMUM
