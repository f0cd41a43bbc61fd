"""RBD images that others make and remove between a look and its use: each is told as what it is. No Ceph."""

from __future__ import annotations

import contextlib
import errno
import io
from pathlib import Path
from typing import Any

import pytest

from extstorage import (
    image_dedup,
    image_rbd,
    origin,
    rbd_holding,
    rbd_image,
    rbd_origin,
    rbd_process,
    rbd_record,
    rbd_repair,
)
from extstorage.found import SNAPSHOT
from extstorage.image_report import Report
from extstorage.rbd_library import CephError
from extstorage.rbd_record import Record
from extstorage.rbd_settings import Settings
from ganeti_ext.errors import ExtError


class Pool:
    """A volume and its record, which another call removes after so many looks at one or the other; or nobody does."""

    def __init__(self, folder: Path, record: Record, looks: int | None = None) -> None:
        self.name = "rbd"
        self.settings = Settings(node="a", data_directory=str(folder))
        self.record = rbd_record.to_text(record)
        self._looks = looks
        (folder / "ssconf_node_list").write_text("a\n")

    def _look(self) -> None:
        if self._looks is not None:
            self._looks -= 1
            if self._looks == -1:
                self.record = ""

    def has(self, _: str) -> bool:
        self._look()
        return self._looks is None or self._looks >= 0

    def text(self, _: str) -> str:
        self._look()
        return self.record

    def swap(self, _: str, before: str, after: str) -> bool:
        assert self.record == before
        self.record = after
        return True


@pytest.mark.parametrize("looks", [0, 1])
def test_a_snapshot_that_is_removed_while_it_is_looked_at_does_not_exist(tmp_path: Path, looks: int) -> None:
    pool: Any = Pool(tmp_path, Record(SNAPSHOT, 1), looks)
    with pytest.raises(ExtError, match="origin 'snapshot:s' does not exist"):
        rbd_origin.resolve(pool, origin.parse("snapshot:s"))


def test_a_snapshot_in_the_making_is_not_taken_for_a_volume(tmp_path: Path) -> None:
    pool: Any = Pool(tmp_path, Record())
    pool.record = rbd_record.to_text(Record(doing=rbd_process.doing("snapshot", pool.settings.this())))
    with pytest.raises(ExtError, match=r"volume 's': snapshot \(process \d+ of a\) is at work on it"):
        rbd_origin.resolve(pool, origin.parse("snapshot:s"))
    pool = Pool(tmp_path, Record())
    with pytest.raises(ExtError, match="is a volume, no snapshot"):
        rbd_origin.resolve(pool, origin.parse("snapshot:s"))
    pool = Pool(tmp_path, Record(SNAPSHOT, 1))
    assert rbd_origin.resolve(pool, origin.parse("snapshot:s")) == ("s", False)


def test_who_opens_a_volume_that_is_removed_meanwhile_holds_nothing(tmp_path: Path) -> None:
    pool: Any = Pool(tmp_path, Record(depth=1), 3)
    pool.record = ""
    with pytest.raises(ExtError, match="volume 'v' does not exist"):
        rbd_holding.take(pool, "v", exclusive=True)
    assert pool.record == ""


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EIO])
def test_a_chain_that_is_cut_while_it_is_measured_is_nobodys_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise CephError("volume 'v': it says why", number)

    pool: Any = Pool(tmp_path, Record(depth=99))
    monkeypatch.setattr(rbd_repair, "Image", gone)
    with contextlib.nullcontext() if number == errno.ENOENT else pytest.raises(CephError, match="it says why"):
        rbd_repair._measure(pool, "v")


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A pool whose image is found, and cannot be opened or cloned any more."""

    def gone(*_: object, **__: object) -> None:
        raise CephError("volume 'image.i': No such file or directory", errno.ENOENT)

    pool: Any = Pool(tmp_path, Record(), 0)
    monkeypatch.setattr(image_rbd, "Pool", lambda _: contextlib.nullcontext(pool))
    monkeypatch.setattr(image_rbd, "Image", gone)
    monkeypatch.setattr(rbd_image, "clone", gone)
    return pool


def test_an_image_that_is_removed_while_it_is_removed_or_looked_at_is_none(removed: Any) -> None:
    place = image_rbd.Ceph(removed.settings)
    told = Report("it", io.StringIO(), io.StringIO(), program=False)
    assert (place.remove("i"), place.share("i", told, again=True)) == (None, None)


def test_what_has_the_same_content_and_is_removed_is_not_cloned(removed: Any) -> None:
    assert not image_rbd._cloned(removed, "image.i", "image.j~")
    assert not image_rbd._cloned(removed, "", "image.j~")


def test_an_image_of_a_directory_that_is_removed_meanwhile_shares_nothing(tmp_path: Path) -> None:
    told = Report("it", io.StringIO(), io.StringIO(), program=False)
    assert image_dedup.again(str(tmp_path), "i", f"{tmp_path}/i.raw", told, all_=True) is None
