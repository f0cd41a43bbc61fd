"""Quotas of images against a model (see test_quota_model.py)."""

from __future__ import annotations

import os

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.unit.frontend.conftest import IMAGE, NET, SMALL
from tests.unit.frontend.images import IMAGES, NEW
from tests.unit.frontend.imagesite import FATES, GIGABYTES, MOST, WHICH, Act, Site
from tests.unit.frontend.mortal import Fate, Works
from tests.unit.frontend.shelf import SPARSE
from tests.unit.frontend.test_quota_model import WORKS
from tests.unit.frontend.volumes import VOLUMES

SERVERS = "/compute/v2.1/servers"
ROOM = 1000  # octets, beside the image that is there
DONE: Works = (0, set())
SIZES, TAILS = st.integers(1, 9), st.sampled_from(("file", "stage"))


class BroughtQuotas(Site):
    """Of images that tenants bring: how large they are is known before, at the end, or when they are unpacked."""

    formats: tuple[str, ...] = ("raw",)

    @initialize()
    def little_is_left(self) -> None:
        self.fill(ROOM)
        for which in range(2):
            self.make(which, None)

    @rule(which=WHICH, fate=FATES)
    def make(self, which: int, fate: Fate) -> None:
        sent = {**NEW, "disk_format": self.formats[which % len(self.formats)]}
        self.ask(fate, None, "POST", IMAGES, sent)

    @rule(which=WHICH, size=SIZES, tail=TAILS, announced=st.booleans(), fate=FATES, other=WHICH)
    def bring(self, which: int, size: int, tail: str, announced: bool, fate: Fate, other: int) -> None:
        if not self.has("queued"):
            self.make(which, None)
        ident = self.one(which, "queued")
        self.send(fate, ident, tail, self.content(size), announced, self.between(other, ident, size))

    @precondition(lambda self: self.has("queued"))
    @rule(which=WHICH, size=SIZES, fate=FATES)
    def download(self, which: int, size: int, fate: Fate) -> None:
        self.begin_import(fate, self.one(which, "queued"), f"http://a.example/{100 * size + which}")

    @precondition(lambda self: self.has("uploading"))
    @rule(which=WHICH, fate=FATES)
    def take(self, which: int, fate: Fate) -> None:
        self.begin_import(fate, self.one(which, "uploading"))

    @precondition(lambda self: self.has("importing"))
    @rule(fate=FATES)
    def importer(self, fate: Fate) -> None:
        self.imports(fate)

    @rule(which=WHICH, fate=FATES, works=WORKS)
    def delete(self, which: int, fate: Fate, works: Works) -> None:
        self.ask(fate, works, "DELETE", f"{IMAGES}/{self.one(which)}")

    @rule(less=st.integers(0, MOST - 1))
    def later_on(self, less: int) -> None:
        """Whoever died says no more that he is at it; and less may be, or as much as in the beginning."""
        self.later += 130.0
        self.allow(max_images=MOST - less, max_image_gigabytes=GIGABYTES - less)
        self.cares()

    def content(self, size: int) -> bytes:
        return bytes(100 * size)

    def between(self, other: int, ident: str, size: int) -> Act:
        """What somebody else does while an image is sent."""
        if other % 4 == 0:
            return lambda: self.api.call("DELETE", f"{IMAGES}/{ident}")
        if other % 4 == 1:
            return lambda: self.allow(max_images=1, max_image_gigabytes=1)
        tail = "stage" if other % 4 == 2 else "file"
        there = self.one(other, "queued")
        return lambda: self.send(None, there, tail, self.content(size), bool(other % 3), lambda: None)


class SavedQuotas(BroughtQuotas):
    """Of images of servers with one disk and with several, and of volumes, beside such as are brought."""

    formats = ("raw", "qcow2")

    @initialize()
    def little_is_left(self) -> None:
        """A server of 5 GiB with a volume of one."""
        server = {"name": "w", "flavorRef": SMALL, "imageRef": IMAGE, "networks": [{"uuid": NET}]}
        self.ask(None, DONE, "POST", SERVERS, {"server": server})
        self.ask(None, DONE, "POST", f"{VOLUMES}/volumes", {"volume": {"size": 1}})
        self.turn(None, DONE)

    @rule(fate=FATES, works=WORKS)
    def save(self, fate: Fate, works: Works) -> None:
        self.ask(fate, works, "POST", f"{SERVERS}/{self.server()}/action", {"createImage": {"name": "s"}})

    @rule(fate=FATES, works=WORKS)
    def save_volume(self, fate: Fate, works: Works) -> None:
        sent = {"os-volume_upload_image": {"image_name": "v", "force": True}}
        self.ask(fate, works, "POST", f"{VOLUMES}/volumes/{self.volume()}/action", sent)

    @rule(fate=FATES, works=WORKS)
    def turn(self, fate: Fate, works: Works) -> None:
        """The volume comes to the server, or leaves it."""
        path, key = f"{SERVERS}/{self.server()}/os-volume_attachments", self.volume()
        if any(disk.name == f"vol-{key}" for disk in self.ganeti.instances[f"gx-{self.server()}"].disks):
            self.ask(fate, works, "DELETE", f"{path}/{key}")
        else:
            self.ask(fate, works, "POST", path, {"volumeAttachment": {"volumeId": key}})

    @rule(which=WHICH, fate=FATES, works=WORKS)
    def delete_snapshot(self, which: int, fate: Fate, works: Works) -> None:
        self.ask(fate, works, "DELETE", f"{VOLUMES}/snapshots/{self.snapshot(which)}")

    @rule(works=WORKS)
    def goes_on(self, works: Works) -> None:
        self.work(works)

    def content(self, size: int) -> bytes:
        return SPARSE + bytes([size]) + bytes(100)


TestBrought, TestSaved = BroughtQuotas.TestCase, SavedQuotas.TestCase
TestBrought.settings = TestSaved.settings = settings(
    max_examples=200 if os.environ.get("HYPOTHESIS_ROAM") else 10,
    stateful_step_count=14,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
