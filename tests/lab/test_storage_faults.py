"""What tenants begin with images and volumes, broken off in the middle, on the real cluster: all is whole or gone.

Afterwards everything is in a state that is true and that its tenant can delete; then he uses nothing any more, and
nothing is left in Ganeti and in the stores but what `ganeti-ext-storage repair` and `image gc` take away at once.

LAB_SEED=7 repeats the moments. A few are always tried, all of them with LAB_ALL=1.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

from ganeti_ext.errors import CommandError
from lab import pool, services, wires
from lab.step import until
from lab.story import Story
from tests.lab.storage_breaks import (
    ceph_killed,
    consumer_killed,
    front_killed,
    importer_killed,
    master_dead,
    node_dead,
    nothing,
    provider_killed,
    share_gone,
)
from tests.lab.storage_operations import Attach, Create, Extend, Import, Operation, Retype, Save, Snapshot, Upload
from tests.lab.storage_site import Site

SEED = int(os.environ.get("LAB_SEED", "0")) or Random().randrange(1, 1 << 31)
SETTINGS = {
    # For a bomb: what is larger than it may be is no such.
    "images": {"import_hosts": "*:*", "import_networks": f"{wires.MANAGEMENT}/32", "max_upload": str(1 << 30)},
    "reconcile": {"seconds": "15"},  # which is five minutes
}
EVERYWHERE = (front_killed, consumer_killed, provider_killed, node_dead, master_dead)
ALWAYS = (
    (Upload, provider_killed, "cow"),
    (Snapshot, provider_killed, "cow"),
)

Fault = Callable[[Operation], None]
Case = tuple[type[Operation], Fault, str]


BROUGHT: tuple[type[Operation], ...] = (Upload, Import)
JOBS: tuple[type[Operation], ...] = (Create, Snapshot, Save, Attach, Extend, Retype)


def _cases() -> Iterator[Case]:
    for kind in BROUGHT:
        for fault in (front_killed, provider_killed, share_gone, node_dead):
            yield kind, fault, "cow"
    yield Import, importer_killed, "cow"
    yield Import, nothing, "cow"
    for kind in JOBS:
        for fault in EVERYWHERE:
            yield kind, fault, "cow"
        yield kind, share_gone, "cow"
        if kind is not Save:
            yield kind, ceph_killed, "rbd"
            yield kind, provider_killed, "rbd"
    yield Retype, ceph_killed, "cow"
    yield Retype, share_gone, "rbd"


def _name(case: Case) -> str:
    kind, fault, provider = case
    return f"{kind.__name__.lower()}-{provider}-{fault.__name__.replace('_', '-')}"


LONG = [case for case in _cases() if case not in ALWAYS]


@pytest.fixture(scope="module")
def site(story: Story, request: pytest.FixtureRequest, told: list[str]) -> Iterator[Site]:
    pool.let(story.nodes[2])
    cases = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
    providers = sorted({"cow", *(case[2] for case in cases if isinstance(case, tuple) and _wanted())})
    with services.settings(story.nodes[2], SETTINGS):
        found = Site(story, SEED, providers)
        try:
            yield found
        finally:
            told += [f"LAB_SEED={SEED}", *found.lines]
            found.clear()


@pytest.fixture(autouse=True)
def cleared(site: Site) -> Iterator[None]:
    """A test that failed leaves nothing to the next one."""
    yield
    site.clear()


def _wanted() -> bool:
    return os.environ.get("LAB_ALL", "") not in ("", "0")


@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param(case, id=_name(case)) for case in ALWAYS),
        *(pytest.param(case, id=_name(case), marks=pytest.mark.long) for case in LONG),
    ],
)
def test_all_is_whole_or_gone(site: Site, case: Case) -> None:
    kind, fault, provider = case
    operation = kind(site, provider)
    operation.prepare()
    begun = time.monotonic()
    fault(operation)
    operation.end()
    things = site.settle()
    seconds = time.monotonic() - begun
    states = ", ".join(f"{each.kind} {each.status}" for each in things)
    site.lines.append(f"{_name(case):32} {seconds:6.1f} s  {states}; answer: {operation.answer!s:.60}")
    site.check(things)
    site.clear()
    site.is_clean()


# How each is made, as NAME in the folder, and what its tenant is told.
HOSTILE = {
    "backing-file": ("qemu-img create -q -f qcow2 -b /etc/passwd -F raw NAME 1M", "has a backing file"),
    "data-file": (  # made with a file of its own, which qemu-img empties
        "qemu-img create -q -f qcow2 -o data_file=/tmp/shadow NAME 1M; sed -i s,/tmp/shadow,/etc/shadow, NAME",
        "keeps its data in another file",
    ),
    "sixteen-eib": (
        "qemu-img create -q -f qcow2 NAME 1M; printf '" + r"\377" * 6 + r"\376\0' > size;"
        " dd if=size of=NAME bs=1 seek=24 conv=notrunc status=none; truncate -s 1M NAME",
        "claims 18446744073709551104 octets",
    ),
    "bomb": (
        "head -c 192M /dev/zero | tr '\\0' '\\1' > plain; qemu-img convert -c -O qcow2 plain NAME; rm plain",
        "it is a bomb",
    ),
    "truncated": (
        "head -c 4M /dev/urandom > plain; qemu-img convert -O qcow2 plain NAME; rm plain; truncate -s -1M NAME",
        "cut off",
    ),
    "archive": ("echo hello > plain; tar -cf NAME plain; rm plain", "is an archive"),
}


@pytest.mark.parametrize(
    "kind",
    ["backing-file", *(pytest.param(kind, marks=pytest.mark.long) for kind in HOSTILE if kind != "backing-file")],
)
def test_a_hostile_image_is_refused_with_the_reason(site: Site, kind: str) -> None:
    """By the unmodified client, which is told why; the image is queued still, and can be deleted."""
    command, words = HOSTILE[kind]
    site.nodes[1].run("sh", "-c", f"mkdir -p /root/hostile; cd /root/hostile; {command.replace('NAME', kind)}")
    brought = ("image", "create", f"--file=/root/hostile/{kind}", "--disk-format=qcow2", "--container-format=bare")
    with pytest.raises(CommandError, match=words):
        site.story.tenant.run(*brought, kind)
    assert {each.status for each in site.settle()} <= {"queued"}
    site.clear()
    site.is_clean()


@pytest.mark.long
def test_an_upload_that_ends_too_early_leaves_nothing(site: Site) -> None:
    """The tenant has said how much was to come."""
    upload = Upload(site, "cow")
    upload.prepare()
    upload.start()
    until("half of it is there", lambda: upload.is_in_the_middle(0), 30)
    upload.break_off()
    upload.end()
    assert [each.status for each in site.settle()] == ["queued"]
    site.clear()
    site.is_clean()
