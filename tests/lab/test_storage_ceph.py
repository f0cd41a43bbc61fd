"""A front whose images and servers are in Ceph: what a tenant brings, boots, writes, saves and boots again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import guest, pool, server, services
from lab.ganeti import NETWORK
from lab.node import SHARED
from lab.step import until
from lab.story import Story, clear
from lab.story_storage import left

pytestmark = pytest.mark.long
NAME = "of-ceph"  # of all that is made
_FILL = "dd if=/dev/urandom of=/kept bs=1M count=2 2>/dev/null; sync; sha256sum < /kept"


@pytest.fixture(scope="module", autouse=True)
def in_ceph(story: Story) -> Iterator[None]:
    """Images that are brought go to Ceph; of all that is made nothing stays there."""
    front = story.nodes[2]
    pool.let(front)
    with services.settings(front, {"front": {"provider": "rbd"}}):
        clear(story)
        before = left(story)
        yield
        clear(story)
        until("nothing is left", lambda: left(story) == before, 60)


@pytest.fixture(scope="module")
def image(story: Story) -> str:
    """The guests' system, as a tenant brings it."""
    path = f"{SHARED}/images/{server.IMAGE}.raw"
    ident: str = story.tenant.openstack("image", "create", f"--file={path}", "--disk-format=raw", NAME)["id"]
    assert story.tenant.openstack("image", "show", ident)["status"] == "active"
    row = json.loads(story.nodes[2].run("ganeti-ext-storage", "image", "show", "--json", ident))
    assert row["provider"] == "rbd", row
    return ident


def test_an_image_comes_back_as_it_was_brought(story: Story, image: str) -> None:
    story.tenant.run("image", "save", f"--file=/root/{NAME}.raw", image)
    story.nodes[1].run("cmp", f"/root/{NAME}.raw", f"{SHARED}/images/{server.IMAGE}.raw")


def test_a_server_of_an_image_of_a_server_of_it(story: Story, image: str) -> None:
    _boot(story, "first", f"--image={image}")
    assert _providers(story, "first") == {"rbd"}
    with story.console("first") as console:
        assert console.report()["mark"] == guest.MARK
        written = console.ask(_FILL)
    saved = story.tenant.openstack("server", "image", "create", "--wait", f"--name={NAME}-saved", _called("first"))
    _boot(story, "second", f"--image={saved['id']}")
    assert _providers(story, "second") == {"rbd"}
    with story.console("second") as console:
        assert console.ask("sha256sum < /kept") == written
    story.tenant.run("server", "delete", "--wait", _called("first"), _called("second"))


def test_a_server_of_a_snapshot_of_the_volume_that_another_boots_from(story: Story, image: str) -> None:
    tenant = story.tenant
    tenant.run("volume", "create", f"--image={image}", "--size=1", "--type=rbd", NAME)
    _becomes(story, "volume", "available")
    _boot(story, "third", f"--volume={NAME}")
    assert _providers(story, "third") == {"rbd"}
    with story.console("third") as console:
        written = console.ask(_FILL)
    tenant.run("volume", "snapshot", "create", "--force", f"--volume={NAME}", NAME)
    _becomes(story, "volume snapshot", "available")
    _boot(story, "fourth", f"--snapshot={NAME}")
    with story.console("fourth") as console:
        assert console.ask("sha256sum < /kept") == written


def _called(name: str) -> str:
    return f"{NAME}-{name}"


def _boot(story: Story, name: str, source: str) -> None:
    words = ("server", "create", source, f"--flavor={services.FLAVOR}", f"--network={NETWORK}", "--wait")
    made = story.tenant.openstack(*words, _called(name), timeout=300)
    assert made["status"] == "ACTIVE", made
    story.ids[name] = made["id"]


def _becomes(story: Story, kind: str, status: str) -> None:
    def there() -> bool:
        shown: dict[str, Any] = story.tenant.openstack(*kind.split(), "show", NAME)
        return bool(shown["status"] == status)

    until(f"{kind} {NAME} becomes {status}", there, 90)


def _providers(story: Story, name: str) -> set[str]:
    """Of the disks that a server has in Ganeti."""
    config = json.loads(story.master.read("/var/lib/ganeti/config.data"))
    (mine,) = (each for each in config["instances"].values() if each["name"] == story.instance(name))
    return {config["disks"][uuid]["logical_id"][0] for uuid in mine["disks"]}
