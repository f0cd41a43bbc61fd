"""Volumes as a tenant has them: carried from server to server, booted from, snapshot while they are written to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import services
from lab.ganeti import NETWORK
from lab.step import until
from lab.story import Story, clear, create_words

DATA, ROOT, SNAPSHOT, IMAGE = "carried", "root-disk", "of-root", "brought"
_FILL = "dd if=/dev/urandom of={path} bs=1M count={mib} 2>/dev/null; sync; sha256sum < {path}"


@pytest.fixture(autouse=True)
def cleared(story: Story) -> Iterator[None]:
    """Nothing of these tests is there before one, nor behind it."""
    clear(story)
    yield
    clear(story)


def _boot(story: Story, name: str, *words: str) -> None:
    made = story.tenant.openstack(*words, "--wait", timeout=300)
    assert made["status"] == "ACTIVE", made
    story.ids[name] = made["id"]


def _volume(story: Story, name: str, status: str, timeout: float = 90) -> dict[str, object]:
    shown: dict[str, object] = {}

    def there() -> bool:
        shown.update(story.tenant.openstack("volume", "show", name))
        return shown["status"] == status

    until(f"volume {name} becomes {status}", there, timeout)
    return shown


@pytest.mark.long
@pytest.mark.parametrize("kind", ["cow", "rbd"])
def test_a_volume_is_carried_from_one_running_server_to_another(story: Story, kind: str) -> None:
    tenant = story.tenant
    tenant.run("volume", "create", "--size=1", f"--type={kind}", DATA)
    for name in ("carrier", "bearer"):
        _boot(story, name, *create_words(name))
    _volume(story, DATA, "available")
    tenant.run("server", "add", "volume", "carrier", DATA)
    _volume(story, DATA, "in-use")
    with story.console("carrier") as console:
        console.ask("until [ -b /dev/vdc ]; do usleep 50000; done", timeout=30)
        console.ask("dd if=/dev/urandom of=/dev/vdc bs=1M count=4 2>/dev/null; sync")
        before = console.ask("dd if=/dev/vdc bs=1M count=4 2>/dev/null | sha256sum")
        tenant.run("--os-volume-api-version=3.42", "volume", "set", "--size=2", DATA)
        console.ask("until [ $(cat /sys/block/vdc/size) = 4194304 ]; do usleep 50000; done", timeout=60)
        assert int(str(_volume(story, DATA, "in-use")["size"])) == 2
        tenant.run("server", "remove", "volume", "carrier", DATA)
        console.ask("until [ ! -e /sys/block/vdc ]; do usleep 50000; done", timeout=60)
    _volume(story, DATA, "available")
    tenant.run("server", "add", "volume", "bearer", DATA)
    _volume(story, DATA, "in-use")
    with story.console("bearer") as console:
        console.ask("until [ -b /dev/vdc ]; do usleep 50000; done", timeout=30)
        assert console.ask("dd if=/dev/vdc bs=1M count=4 2>/dev/null | sha256sum") == before
    tenant.run("server", "delete", "--wait", "bearer")
    _volume(story, DATA, "available")  # it stays, and its server is gone


@pytest.mark.long
def test_a_server_of_a_snapshot_of_the_volume_that_another_boots_from(story: Story) -> None:
    tenant = story.tenant
    tenant.run("volume", "create", f"--image={services.IMAGE}", "--size=1", ROOT)
    shown = _volume(story, ROOT, "available")
    assert shown["bootable"] in ("true", True), shown
    _boot(story, "booted", *_from("--volume", ROOT, "booted"))
    with story.console("booted") as console:
        written = console.ask(_FILL.format(path="/kept", mib=2))
    tenant.run("volume", "snapshot", "create", "--force", f"--volume={ROOT}", SNAPSHOT)
    snapshot = ("volume", "snapshot", "show", SNAPSHOT)
    until("the snapshot is there", lambda: tenant.openstack(*snapshot)["status"] == "available", 60)
    _boot(story, "again", *_from("--snapshot", SNAPSHOT, "again"))
    with story.console("again") as console:
        assert console.ask("sha256sum < /kept") == written
        assert console.report()["boots"] == "2"  # its own boot, and the one before it was snapshot


def _from(option: str, source: str, name: str) -> tuple[str, ...]:
    return ("server", "create", option, source, f"--flavor={services.FLAVOR}", f"--network={NETWORK}", name)


def test_an_image_comes_and_goes_as_it_was(story: Story) -> None:
    node, tenant = story.nodes[1], story.tenant
    node.run("dd", "if=/dev/urandom", "of=/root/brought.raw", "bs=1M", "count=8")
    made = tenant.openstack("image", "create", "--file=/root/brought.raw", "--disk-format=raw", IMAGE)
    assert tenant.openstack("image", "show", made["id"])["status"] == "active"
    tenant.run("image", "save", "--file=/root/saved.raw", made["id"])
    node.run("cmp", "/root/brought.raw", "/root/saved.raw")
