"""What the OpenAPI document promises, against what the API does: examples that schemathesis makes of the document.

SCHEMATHESIS_EXAMPLES=200 looks at more of each route, HYPOTHESIS_ROAM=1 at others each time.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontend.effect import awaited
from frontend.routes import ROUTES
from frontend.settings import Front
from frontend.web import openapi
from tests.unit.frontend import strangers
from tests.unit.frontend.conftest import Api, FakeRapi, serve

schemathesis = pytest.importorskip("schemathesis")
# JSON, whatever it is called.
schemathesis.serializer("application/openstack-images-v2.1-json-patch")(lambda _, value: json.dumps(value).encode())
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3"))
# Nobody, a member, a reader, an administrator, and a member who has no project in hand.
TOKENS = (None, "alice", "rita", "ada", "unscoped")
# They get as far as what is sent, and are asked with every example; the others with the first.
LET_IN = ("alice", "ada")
# A 500 is in no document, so the first of them finds it.
CHECKS = ("status_code_conformance", "response_schema_conformance", "content_type_conformance")
OWN = {name: value or strangers.COMMON[name] for name, value in strangers.FOREIGN_IDS.items()}


@pytest.fixture(scope="module", autouse=True)
def impatient() -> Iterator[None]:
    """Nobody tells of jobs here: what an answer would wait for never comes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(awaited, "PATIENCE", 0.0)
        yield


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory, seeded: Path) -> dict[str | None, Api]:
    folder = tmp_path_factory.mktemp("schemathesis")
    shutil.copy(seeded, folder / "front.db")
    api = serve(Front(database=f"sqlite:///{folder}/front.db", secret_file=f"{folder}/secret"), FakeRapi())
    strangers.furnish(api)
    strangers.furnish_own(api)
    named: dict[str | None, Api] = {name: api.become(name) for name in ("alice", "rita", "ada")}
    return {None: api, "unscoped": api.become("alice", None), **named}


@pytest.fixture(scope="module")
def schema() -> Any:
    return schemathesis.openapi.from_dict(openapi.document(ROUTES))


# In one id of two the examples are of something that there is: a row of the database, another's or the caller's.
def real(name: str) -> st.SearchStrategy[str]:
    known = [OWN.get(name, "x"), strangers.OWN_IDS.get(name, OWN.get(name, "x"))]
    return st.sampled_from(known)


@pytest.mark.parametrize(("method", "url"), [(method, url) for method, url, *_ in ROUTES])
def test_a_route_does_what_the_document_says(
    schema: Any, callers: dict[str | None, Api], method: str, url: str
) -> None:
    operation = schema[openapi.path(url)][method]
    asked = set[str | None]()
    checks = [schemathesis.checks.CHECKS.get_one(name) for name in CHECKS]

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None, deadline=None)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy())
        for name in list(case.path_parameters or {}):
            if data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(real(name))
        for who in LET_IN if asked else TOKENS:
            asked.add(who)
            api = callers[who]
            headers = {"X-Auth-Token": api.token} if api.token else {}
            case.call_and_validate(base_url="http://localhost", app=api.client.application, headers=headers,
                                   checks=checks)  # fmt: skip

    holds()
