"""What the verbs do to files; none of it needs a loop device."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from extstorage import draft, layout, reflink, volumefile
from extstorage.layout import Settings
from extstorage.origin import parse
from extstorage.size import MIB
from ganeti_ext.errors import ExtError


@pytest.fixture
def share(tmp_path: Path) -> Settings:
    (tmp_path / "s/volumes").mkdir(parents=True)
    (tmp_path / "s/images").mkdir()
    return Settings(str(tmp_path / "s"), str(tmp_path / "run"))


def image(share: Settings, name: str, content: bytes) -> tuple[str, str]:
    Path(share.image(name)).write_bytes(content)
    return share.image(name), f"image:{name}"


def left_behind(share: Settings) -> list[str]:
    return [name for name in os.listdir(f"{share.directory}/volumes") if name.startswith(".")]


def test_an_empty_volume_is_all_hole_and_root_s(share: Settings) -> None:
    volumefile.create(share, "v", 8 * MIB, None)
    found = os.stat(share.volume("v"))
    assert (found.st_size, found.st_blocks, found.st_mode & 0o777, found.st_nlink) == (8 * MIB, 0, 0o600, 1)
    assert left_behind(share) == []


def test_a_clone_has_its_origin_s_content_and_its_own_length(share: Settings) -> None:
    volumefile.create(share, "v", 3 * MIB, image(share, "i", b"boot" * 1024))
    content = Path(share.volume("v")).read_bytes()
    assert content == b"boot" * 1024 + bytes(3 * MIB - 4096)


def test_a_bare_origin_is_an_image_or_else_a_volume_and_a_prefix_decides(share: Settings) -> None:
    volumefile.create(share, "both", MIB, None)
    volume = (share.volume("both"), "volume:both")
    for name in ("both", "volume:both", "snapshot:both"):
        assert volumefile.origin(share, parse(name)) == volume
    made = image(share, "both", b"i")
    assert volumefile.origin(share, parse("both")) == made == volumefile.origin(share, parse("image:both"))
    assert volumefile.origin(share, parse("volume:both")) == volume


@pytest.mark.parametrize("name", ["nix", "n" * 100])
def test_a_missing_origin_is_named(share: Settings, name: str) -> None:
    with pytest.raises(ExtError, match=f"origin '{name}' does not exist: there is no {share.image(name)}, and no"):
        volumefile.origin(share, parse(name))
    with pytest.raises(ExtError, match=f"origin 'image:{name}' does not exist: there is no {share.image(name)}$"):
        volumefile.origin(share, parse(f"image:{name}"))
    with pytest.raises(ExtError, match=f"origin 'volume:{name}' does not exist: there is no volume of that name"):
        volumefile.origin(share, parse(f"volume:{name}"))


def test_an_origin_that_vanishes_meanwhile_leaves_nothing(share: Settings) -> None:
    source = image(share, "i", b"x")
    os.unlink(source[0])
    with pytest.raises(ExtError, match=r"origin .*i\.raw has just been removed"):
        volumefile.create(share, "v", MIB, source)
    assert os.listdir(f"{share.directory}/volumes") == []


def test_an_origin_that_vanishes_while_it_is_looked_at_is_said_to_be_removed(
    share: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    volumefile.create(share, "o", MIB, None)

    def existing(settings: Settings, name: str) -> str | None:
        path = layout.existing(settings, name)
        Path(share.volume("o")).unlink(missing_ok=True)
        return path

    monkeypatch.setattr(volumefile, "existing", existing)
    source = volumefile.origin(share, parse("volume:o"))
    with pytest.raises(ExtError, match=r"origin .*o\.raw has just been removed"):
        volumefile.create(share, "v", MIB, source)
    assert os.listdir(f"{share.directory}/volumes") == []


def test_a_volume_knows_its_origin_and_its_kind(share: Settings) -> None:
    volumefile.create(share, "v", MIB, image(share, "i", b"x"))
    volumefile.describe(share, "v", "text")
    volumefile.snapshot(share, "v", "s")
    assert draft.notes(share.volume("v")) == {draft.INFO: "text", draft.ORIGIN: "image:i", draft.KIND: "volume"}
    assert draft.notes(share.volume("s")) == {draft.ORIGIN: "volume:v", draft.KIND: "snapshot"}


def test_only_a_volume_of_the_size_asked_for_is_adopted(share: Settings) -> None:
    volumefile.create(share, "v", 2 * MIB, None)
    volumefile.adopt(share, "v", 2 * MIB)
    with pytest.raises(ExtError, match=r"cannot be reused: it has 2097152 bytes, not the 3145728 \(3 MiB\)"):
        volumefile.adopt(share, "v", 3 * MIB)
    with pytest.raises(ExtError, match="volume 'w' does not exist"):
        volumefile.adopt(share, "w", MIB)


def test_an_origin_that_is_too_long_leaves_nothing(share: Settings) -> None:
    source = image(share, "i", bytes(MIB + 1))
    with pytest.raises(ExtError, match=r"i\.raw has 1048577 bytes: more than the 1048576 \(1 MiB\) asked for"):
        volumefile.create(share, "v", MIB, source)
    assert os.listdir(f"{share.directory}/volumes") == []


def test_an_existing_volume_is_never_overwritten(share: Settings) -> None:
    volumefile.create(share, "v", MIB, image(share, "i", b"old"))
    with pytest.raises(ExtError, match="volume 'v' exists already"):
        volumefile.create(share, "v", MIB, None)
    with pytest.raises(ExtError, match="volume 'v' exists already"):
        volumefile.snapshot(share, "v", "v")
    assert Path(share.volume("v")).read_bytes()[:3] == b"old"


def test_the_leftover_of_a_killed_create_does_not_block_the_next(share: Settings) -> None:
    Path(share.volume("old")).write_bytes(b"disk")
    os.link(share.volume("old"), f"{share.directory}/volumes/.v.raw.new")  # killed between link and unlink
    volumefile.create(share, "v", MIB, None)
    assert Path(share.volume("v")).stat().st_size == MIB
    assert Path(share.volume("old")).read_bytes() == b"disk"
    assert left_behind(share) == []


def test_of_many_creates_of_one_name_one_wins(share: Settings, tmp_path: Path) -> None:
    results: list[str] = []

    def call(number: int) -> None:
        node = share._replace(run_directory=str(tmp_path / f"run{number % 2}"))  # half of them without our lock
        try:
            volumefile.create(node, "v", MIB, image(share, str(number), b"%d" % number))
            results.append(str(number))
        except (ExtError, OSError) as err:
            assert isinstance(err, FileNotFoundError) or "exists already" in str(err)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(10, 22)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) <= 1
    if results:
        assert Path(share.volume("v")).read_bytes()[:2] == results[0].encode()
        assert Path(share.volume("v")).stat().st_size == MIB


def test_a_full_disk_leaves_nothing(share: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: int, target: int) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reflink, "clone", full)
    with pytest.raises(OSError, match="No space left"):
        volumefile.create(share, "v", MIB, image(share, "i", b"x"))
    assert os.listdir(f"{share.directory}/volumes") == []


def test_a_snapshot_is_a_volume_of_its_own(share: Settings) -> None:
    volumefile.create(share, "v", MIB, image(share, "i", b"then"))
    volumefile.snapshot(share, "v", "v.snap")
    with open(share.volume("v"), "r+b") as file:
        file.write(b"now!")
    volumefile.discard(share, "v")
    assert Path(share.volume("v.snap")).read_bytes()[:4] == b"then"
    assert Path(share.volume("v.snap")).stat().st_size == MIB
    with pytest.raises(ExtError, match="volume 'v' does not exist"):
        volumefile.snapshot(share, "v", "other")


def test_growing_goes_one_way(share: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    volumefile.create(share, "v", 2 * MIB, None)
    for size in (3, 3, 2):
        volumefile.grow(share, "v", size * MIB)
        assert os.stat(share.volume("v")).st_size == 3 * MIB
    assert capsys.readouterr().err == "cow: warning: volume 'v' has 3 MiB already, it is not cut to 2\n"


def test_discard_takes_the_draft_too_and_may_be_repeated(share: Settings) -> None:
    volumefile.create(share, "v", MIB, None)
    Path(f"{share.directory}/volumes/.v.raw.new").touch()
    for _ in range(2):
        volumefile.discard(share, "v")
        assert os.listdir(f"{share.directory}/volumes") == []


def test_sweep_takes_old_drafts_only(share: Settings) -> None:
    folder = Path(share.directory) / "volumes"
    for name, age in ((".a.raw.new", 2e9), (".b.raw.new", 0), ("c.raw", 2e9), (".d", 2e9)):
        (folder / name).touch()
        if age:
            os.utime(folder / name, (0, 0))
    for path in volumefile.drafts(share):
        volumefile.sweep(share, path)
    assert sorted(os.listdir(folder)) == [".b.raw.new", ".d", "c.raw"]


def test_verify_wants_the_share(share: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    volumefile.verify(share)
    os.rmdir(f"{share.directory}/images")
    volumefile.verify(share)
    assert "images does not exist: there is nothing to clone from" in capsys.readouterr().err
    assert os.listdir(f"{share.directory}/volumes") == []
    os.rmdir(f"{share.directory}/volumes")
    with pytest.raises(ExtError, match="is the shared directory mounted"):
        volumefile.verify(share)
