"""The providers that the suite is run against: to add one is to add a line to SITES."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.contract.extstorage.conformance import cow_site, rbd_site
from tests.contract.extstorage.conformance.site import Site

# Called with a directory of its own and pytest's request, for fixtures that tests of the provider share.
SITES: dict[str, Callable[[Path, pytest.FixtureRequest], AbstractContextManager[Site]]] = {
    "cow-xfs": partial(cow_site.site, "xfs"),
    "cow-btrfs": partial(cow_site.site, "btrfs"),
    "cow-ext4": partial(cow_site.site, "ext4"),
    "rbd": rbd_site.site,
}


@pytest.fixture(scope="session", params=SITES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("stores need root")
    if request.param.startswith("cow") and not os.path.exists("/dev/loop-control"):
        pytest.skip("this kernel has no loop devices")
    with SITES[request.param](tmp_path_factory.mktemp(request.param), request) as made:
        yield made


@pytest.fixture
def site(store: Site) -> Iterator[Site]:
    yield store
    store.empty()
