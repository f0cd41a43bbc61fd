"""The OpenAPI document: valid, whole, and what the API does."""

from __future__ import annotations

from typing import Any

import pytest

from frontend.routes import OPEN, ROUTES
from frontend.web import openapi
from tests.unit.frontend.conftest import Api

validator = pytest.importorskip("openapi_spec_validator")
KEYS = [f"{method} {url}" for method, url, *_ in ROUTES]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document(ROUTES)


def test_it_is_valid(document: dict[str, Any]) -> None:
    validator.OpenAPIV31SpecValidator(document).validate()


def test_something_is_said_of_every_route_and_of_no_other() -> None:
    assert set(openapi.SAID) == set(KEYS), "frontend/openapi_*.py"


def test_every_route_is_in_it_once(document: dict[str, Any]) -> None:
    found = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(found) == len(KEYS)
    assert len({operation["operationId"] for operation in found}) == len(KEYS)


def test_what_takes_a_body_says_which(document: dict[str, Any]) -> None:
    for method, url, *_ in ROUTES:
        said = openapi.SAID[f"{method} {url}"]
        assert (said.body is not None or bool(said.data)) == (method in ("POST", "PUT", "PATCH")), url


def test_who_needs_a_token(document: dict[str, Any]) -> None:
    for method, url, _, access in ROUTES:
        operation = document["paths"][openapi.path(url)][method.lower()]
        assert bool(operation["security"]) == (access != OPEN)
        assert ("401" in operation["responses"]) or access == OPEN


def test_it_is_served_to_everybody(nobody: Api, document: dict[str, Any]) -> None:
    answer = nobody.get("/openapi.json")
    assert answer.status_code == 200
    served: Any = answer.json
    assert served.pop("servers") == [{"url": "http://localhost"}]
    assert served == document
