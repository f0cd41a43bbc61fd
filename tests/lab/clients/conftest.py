"""A host that serves, and guests behind its taps; what was said and seen is told when a test fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import layer
from tests.lab.clients import elder
from tests.lab.clients.box import PACKAGES
from tests.lab.clients.elder import Elder
from tests.lab.clients.guest import Guest
from tests.lab.clients.host import Host
from tests.lab.clients.keep import keep
from tests.lab.clients.wire import Seen, pcap

MakeGuest = Callable[..., Guest]
LOGS = Path(__file__).parents[3] / "build/lab-logs"


@pytest.fixture(scope="session")
def lowerdir() -> str:
    """A root with all the clients, for overlays."""
    return layer.lower("clients", PACKAGES)


@pytest.fixture(scope="session")
def seen() -> list[Seen]:
    """Every frame on the tap of any guest so far that is gone."""
    return []


@pytest.fixture(scope="module")
def host(lowerdir: str) -> Iterator[Host]:
    with contextlib.closing(Host(lowerdir)) as made:
        yield made


@pytest.fixture(scope="session", autouse=True)
def elders(request: pytest.FixtureRequest, lowerdir: str, seen: list[Seen]) -> Iterator[dict[str, Elder]]:
    """Clients whose leases age while other tests run, until test_times looks at them; none if it is not to run."""
    wanted = any(item.path.name == "test_times.py" for item in request.session.items)
    with contextlib.ExitStack() as undo:
        yield elder.start(undo, lowerdir, seen) if wanted else {}


@pytest.fixture
def make_guest(request: pytest.FixtureRequest, host: Host, lowerdir: str, seen: list[Seen]) -> Iterator[MakeGuest]:
    """Makes a guest whose tap has no binding yet."""
    with contextlib.ExitStack() as undo:
        made: list[Guest] = []

        def make(*, routed: bool = False) -> Guest:
            made.append(Guest(host, lowerdir, routed=routed))
            undo.callback(made[-1].close)
            return made[-1]

        yield make
        if request.node.stash.get(_FAILED, False):
            _leave(LOGS / request.node.name, host, made)
        client = getattr(request.node, "callspec", None) and request.node.callspec.params.get("client")
        for guest in made:
            guest.wire.read()
            seen += guest.wire.frames
            if client:
                keep(client.name, guest.wire.frames)


@pytest.fixture
def guest(make_guest: MakeGuest) -> Guest:
    """A guest that is served as all are."""
    made = make_guest()
    made.serve()
    return made


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed and report.when == "call":  # type: ignore[attr-defined]
        item.stash[_FAILED] = True
    return report


def _leave(folder: Path, host: Host, guests: list[Guest]) -> None:
    """Logs and captures, where those of the lab are left."""
    folder.mkdir(parents=True, exist_ok=True)
    for box in (host, *guests):
        for number, program in enumerate(box.programs):
            name = f"{box.name}-{number}-{Path(program.name.split()[0]).name}.txt"
            (folder / name).write_text(program.everything())
    for guest in guests:
        guest.wire.read()
        (folder / f"{guest.name}.pcap").write_bytes(pcap(guest.wire.frames))
