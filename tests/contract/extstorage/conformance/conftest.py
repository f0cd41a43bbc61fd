"""The providers that the suite is run against: to add one is to add a line to SITES."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.contract.extstorage.choice import ALL
from tests.contract.extstorage.conformance import cow_site, rbd_site
from tests.contract.extstorage.conformance.site import Site

# Called with a directory of its own and pytest's request, for fixtures that tests of the provider share.
SITES: dict[str, Callable[[Path, pytest.FixtureRequest], AbstractContextManager[Site]]] = {
    "cow-xfs": partial(cow_site.site, "xfs"),
    "cow-btrfs": partial(cow_site.site, "btrfs"),
    "cow-ext4": partial(cow_site.site, "ext4"),
    "rbd": rbd_site.site,
}
# Of these, what a provider does the same way on each of its file systems is tested on another one alone, unless all is
# asked for; here is where it differs: how a volume is made, copied and taken away, and what a store is short of.
SPARED = ("cow-btrfs", "cow-ext4")
DIFFERS = re.compile(
    r"test_the_life_of|test_a_snapshot_keeps|test_a_chain|test_an_origin|test_sixteen|test_a_full_store|test_a_store_that"
    r"|test_create_start|(test_killed|test_after_a_kill).*(create|snapshot|remove)|test_two_verbs.*(create-remove|snapshot-)"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        which = (
            item.callspec.params.get("store") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ""
        )
        if which in SPARED and not ALL and not DIFFERS.search(item.name):
            item.add_marker(pytest.mark.skip(reason="as on another file system: EXTSTORAGE_ALL=1"))


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
