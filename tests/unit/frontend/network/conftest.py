"""Tenants that make networks, before a Ganeti that does at once what jobs on networks ask."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frontend.settings import Front
from tests.unit.frontend.conftest import Api
from tests.unit.frontend.ports import Pools, add_own
from tests.unit.frontend.tenantnets import Ganeti


@pytest.fixture
def front(front: Front) -> Front:
    return replace(front, tenant_link="br0")


@pytest.fixture
def ganeti(api: Api) -> Ganeti:
    return Ganeti(api)


@pytest.fixture
def pools(api: Api) -> Pools:
    """In place of `ganeti`: of networks that are there, with their addresses."""
    return Pools(api)


@pytest.fixture
def own(api: Api, pools: Pools) -> str:
    return add_own(api, pools)
