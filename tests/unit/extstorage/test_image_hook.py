"""The hook that makes and removes tenants' images of disks: with its whole environment, on a directory of volumes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from extstorage import ctl, image_hook, image_snapshot, retype
from ganeti_ext.errors import ContractError, ExtError

ROOT = Path(__file__).parents[3]
IDENT = "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c11"
DISK = "0a1b2c3d-0000-4000-8000-00000000000a.ext.disk0"
SAVING, FORGET = f"ganeti-ext:saving:cow:{IDENT}", f"ganeti-ext:forget:cow:{IDENT}"
SECOND, OTHER = "0a1b2c3d-0000-4000-8000-00000000000b.ext.disk1", "7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c22"
DATA = f"ganeti-ext:saving:cow:{OTHER}:vol-1"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A node `a` with an instance's disk."""
    for name in ("share/volumes", "share/images", "other/volumes", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "cow.conf").write_text(
        f"[cow]\ndirectory = {tmp_path}/share\nrun_directory = {tmp_path}/run\nnode = a\n"
        f"data_directory = {tmp_path}/data\npools = other:{tmp_path}/other\n"
    )
    (tmp_path / "rbd.conf").write_text(f"[rbd]\nconf = {tmp_path}/no-ceph.conf\n")
    (tmp_path / "data/ssconf_node_list").write_text("a\nb\n")
    assert ctl.main(["create", "--config", str(tmp_path), "--pool=", DISK, "2M"]) == 0
    (tmp_path / f"share/volumes/{DISK}.raw").write_bytes(b"root" + bytes((2 << 20) - 4))
    return tmp_path


def env(place: Path, *tags: str, **more: str) -> dict[str, str]:
    return {
        "GANETI_HOOKS_PHASE": "pre",
        "GANETI_OP_CODE": "OP_INSTANCE_SET_PARAMS",
        "GANETI_OBJECT_TYPE": "INSTANCE",
        "GANETI_INSTANCE_NAME": "gx-1",
        "GANETI_INSTANCE_PRIMARY": "a",
        "GANETI_INSTANCE_TAGS": " ".join(("ganeti-ext:name:web", *tags)),
        "GANETI_INSTANCE_DISK0_PROVIDER": "cow",
        "GANETI_INSTANCE_DISK0_ID": DISK,
        "GANETI_DATA_DIR": str(place / "data"),
        "GANETI_EXT_CONFIG_DIR": str(place),
        **more,
    }


def volumes(place: Path, folder: str = "share") -> set[str]:
    return {
        path.name.removesuffix(".raw")
        for path in (place / folder / "volumes").iterdir()
        if not path.name.startswith(".")
    }


def test_made_once_and_removed_once(place: Path) -> None:
    for _ in range(2):
        image_hook.main("instance-image", env(place, SAVING))
    saved = place / f"share/volumes/saved-{IDENT}.raw"
    assert saved.read_bytes() == (place / f"share/volumes/{DISK}.raw").read_bytes()
    for _ in range(2):
        image_hook.main("instance-image", env(place, FORGET))
    assert volumes(place) == {DISK}


def test_what_nobody_wants_any_more_is_not_made_again(place: Path) -> None:
    """The tag that asked for it was left over."""
    image_hook.main("instance-image", env(place, SAVING))
    for _ in range(2):
        image_hook.main("instance-image", env(place, SAVING, FORGET))
        assert volumes(place) == {DISK}


def test_servers_are_made_of_it(place: Path) -> None:
    image_hook.main("instance-image", env(place, SAVING))
    assert ctl.main(["clone", "--config", str(place), f"snapshot:saved-{IDENT}", "copy"]) == 0
    assert (place / "share/volumes/copy.raw").read_bytes()[:4] == b"root"


@pytest.mark.parametrize(
    "more",
    [
        {"GANETI_INSTANCE_PRIMARY": "b"},  # the hook runs on the master, too
        {"GANETI_HOOKS_PHASE": "post"},
        {"GANETI_OBJECT_TYPE": "NODE"},
        {"GANETI_INSTANCE_TAGS": "ganeti-ext:saving ganeti-ext:saved:cow:x"},
    ],
)
def test_nothing_to_do_here(place: Path, more: dict[str, str]) -> None:
    image_hook.main("instance-image", env(place, SAVING, **more))
    assert volumes(place) == {DISK}


def test_a_master_without_storage_is_in_nobodys_way(place: Path) -> None:
    (place / "cow.conf").write_text(f"[cow]\ndirectory = {place}/none\n")
    image_hook.main("instance-image", env(place, SAVING))


@pytest.mark.parametrize(
    ("tag", "more", "error", "words"),
    [
        (SAVING, {"GANETI_INSTANCE_DISK0_PROVIDER": "rbd"}, ExtError, "is in rbd, and images are to be in cow"),
        (SAVING, {"GANETI_INSTANCE_DISK0_ID": "gone"}, ExtError, "gone"),
        ("ganeti-ext:saving:cow:../../etc", {}, ContractError, "expected"),
        ("ganeti-ext:forget:cow", {}, ContractError, "expected"),
        (f"ganeti-ext:forget:cow/:{IDENT}", {}, ContractError, "expected"),
        (f"{FORGET}:vol-1", {}, ContractError, r"expected ganeti-ext:forget:PROVIDER\[/POOL\]:ID$"),
        (f"{SAVING}:", {}, ContractError, r"ID\[:DISK\]$"),
        (f"ganeti-ext:copying:cow:{IDENT}", {}, ContractError, "ID:DISK$"),
        (DATA, {}, ExtError, f"no disk vol-1, .* gnt-instance remove-tags gx-1 {DATA}"),
        (f"ganeti-ext:forget:floppy:{IDENT}", {}, ContractError, "no provider 'floppy'"),
    ],
)
def test_the_job_fails(place: Path, tag: str, more: dict[str, str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        image_hook.main("instance-image", env(place, tag, **more))
    assert volumes(place) == {DISK}


def two(place: Path, **more: str) -> dict[str, str]:
    """What Ganeti tells of two disks, the second of which is there."""
    if f"{SECOND}" not in volumes(place):
        assert ctl.main(["create", "--config", str(place), "--pool=", SECOND, "1M"]) == 0
        (place / f"share/volumes/{SECOND}.raw").write_bytes(b"data" + bytes((1 << 20) - 4))
    named = {
        "COUNT": "2",
        "0_NAME": "gx-1-root",
        "1_NAME": "vol-1",
        "1_UUID": "u-1",
        "1_PROVIDER": "cow",
        "1_ID": SECOND,
    }
    return {
        **{f"GANETI_INSTANCE_DISK{'' if key[0].isdigit() else '_'}{key}": value for key, value in named.items()},
        **more,
    }


def test_the_disk_that_is_named(place: Path) -> None:
    image_hook.main("instance-image", env(place, DATA, **two(place)))
    assert (place / f"share/volumes/saved-{OTHER}.raw").read_bytes()[:4] == b"data"
    image_hook.main("instance-image", env(place, f"ganeti-ext:saving:cow:{IDENT}:u-1", **two(place)))
    assert (place / f"share/volumes/saved-{IDENT}.raw").read_bytes()[:4] == b"data"
    image_hook.main("instance-image", env(place, f"ganeti-ext:forget:cow:{OTHER}", **two(place)))
    assert volumes(place) == {DISK, SECOND, f"saved-{IDENT}"}


class Held:
    """A guest that can be held; `lost` is told when it goes on."""

    made: list[set[str]]
    lost = ""

    def __init__(self, place: Path, *_: object) -> None:
        self._place = place

    def end(self) -> str:
        Held.made.append(volumes(self._place))
        return Held.lost

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        """It goes on."""


@pytest.fixture
def held(place: Path, monkeypatch: pytest.MonkeyPatch) -> type[Held]:
    monkeypatch.setattr(image_snapshot, "listens", lambda _: True)
    monkeypatch.setattr(image_snapshot, "Keeper", lambda _: Held(place))
    Held.made, Held.lost = [], ""
    return Held


def test_all_disks_are_of_one_moment(place: Path, held: type[Held]) -> None:
    image_hook.main("instance-image", env(place, SAVING, DATA, **two(place)))
    assert held.made == [{DISK, SECOND, f"saved-{IDENT}", f"saved-{OTHER}"}]


def test_one_that_is_there_is_left_as_it_is(place: Path, held: type[Held]) -> None:
    """Two actions of one server may have their tags on it at once; the other's are made, or are to be."""
    image_hook.main("instance-image", env(place, SAVING, **two(place)))
    saved = place / f"share/volumes/saved-{IDENT}.raw"
    (place / f"share/volumes/{DISK}.raw").write_bytes(b"more" + bytes((2 << 20) - 4))
    image_hook.main("instance-image", env(place, SAVING, DATA, **two(place)))
    assert len(held.made) == 2
    assert saved.read_bytes()[:4] == b"root"
    held.lost = "somebody let the guest go on meanwhile"
    third = f"ganeti-ext:saving:cow:{'3' * 36}:vol-1"
    with pytest.raises(ExtError, match="not of one moment"):
        image_hook.main("instance-image", env(place, SAVING, DATA, third, **two(place)))
    assert volumes(place) == {DISK, SECOND, f"saved-{IDENT}", f"saved-{OTHER}"}


def test_nothing_stays_of_two_when_one_fails(place: Path) -> None:
    wrong = {"GANETI_INSTANCE_DISK1_ID": "gone"}
    with pytest.raises(ExtError, match="gone"):
        image_hook.main("instance-image", env(place, SAVING, DATA, **two(place, **wrong)))
    assert volumes(place) == {DISK, SECOND}


def test_in_a_pool(place: Path) -> None:
    assert ctl.main(["create", "--config", str(place), "--pool=other", "elsewhere", "1M"]) == 0
    there = {"GANETI_INSTANCE_DISK0_ID": "elsewhere"}
    image_hook.main("instance-image", env(place, f"ganeti-ext:saving:cow/other:{IDENT}", **there))
    assert volumes(place, "other") == {"elsewhere", f"saved-{IDENT}"}
    image_hook.main("instance-image", env(place, FORGET, **there))
    assert volumes(place, "other") == {"elsewhere", f"saved-{IDENT}"}
    image_hook.main("instance-image", env(place, f"ganeti-ext:forget:cow/other:{IDENT}", **there))
    assert volumes(place, "other") == {"elsewhere"}


COPYING = f"ganeti-ext:copying:cow/other:{IDENT}:vol-1"


def test_a_disk_is_copied_into_another_store(place: Path) -> None:
    for _ in range(2):
        image_hook.main("instance-image", env(place, COPYING, **two(place)))
    copy = place / f"other/volumes/saved-{IDENT}.raw"
    assert copy.read_bytes() == (place / f"share/volumes/{SECOND}.raw").read_bytes()
    assert volumes(place, "other") == {f"saved-{IDENT}"}
    assert volumes(place) == {DISK, SECOND}


def test_a_copy_that_a_killed_one_left_is_made_anew(place: Path) -> None:
    assert ctl.main(["create", "--config", str(place), "--pool=other", f"copying-{IDENT}", "5M"]) == 0
    image_hook.main("instance-image", env(place, COPYING, **two(place)))
    assert volumes(place, "other") == {f"saved-{IDENT}"}
    assert (place / f"other/volumes/saved-{IDENT}.raw").stat().st_size == 1 << 20


def test_nothing_stays_of_a_copy_that_takes_too_long(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retype, "LIMIT", -1.0)
    with pytest.raises(ExtError, match="an administrator can move it"):
        image_hook.main("instance-image", env(place, COPYING, **two(place)))
    assert volumes(place, "other") == set()


def test_a_running_guests_disk_is_not_copied(place: Path) -> None:
    with pytest.raises(ExtError, match="gx-1 is up: disk 1 is copied into cow/other while"):
        image_hook.main("instance-image", env(place, COPYING, **two(place), GANETI_INSTANCE_STATUS="up"))
    assert volumes(place, "other") == set()


def test_a_disk_that_is_in_another_pool(place: Path) -> None:
    assert ctl.main(["create", "--config", str(place), "--pool=other", "elsewhere", "1M"]) == 0
    with pytest.raises(ExtError, match="default pool"):
        image_hook.main("instance-image", env(place, SAVING, GANETI_INSTANCE_DISK0_ID="elsewhere"))
    assert volumes(place, "other") == {"elsewhere"}


def test_nothing_stays_of_one_that_was_not_of_one_moment(place: Path, held: type[Held]) -> None:
    held.lost = "somebody let the guest go on meanwhile"
    with pytest.raises(ExtError, match="not of one moment: somebody"):
        image_hook.main("instance-image", env(place, SAVING))
    assert held.made == [{DISK, f"saved-{IDENT}"}]
    assert volumes(place) == {DISK}


def run(path: Path, bare: dict[str, str]) -> subprocess.CompletedProcess[str]:
    how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 60}
    return subprocess.run([path], env=bare, check=False, **how)


def test_as_ganeti_runs_it(place: Path) -> None:
    bare = {**env(place, SAVING), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    path = ROOT / "extstorage/instance-image"
    done = run(path, bare)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"saved-{IDENT}" in volumes(place)
    bare["GANETI_INSTANCE_DISK0_PROVIDER"] = "rbd"
    done = run(path, bare)
    assert done.returncode == 1
    assert done.stderr.startswith("instance-image: disk 0 of gx-1 is in rbd")


@pytest.mark.parametrize(
    ("tag", "code"), [("ganeti-ext:name:web", 0), (SAVING, 1), (DATA, 1), (COPYING, 1), (FORGET, 1)]
)
def test_the_conffile_starts_python_for_those_tags_alone(tag: str, code: int) -> None:
    """Where nothing is installed, the job of an image fails, and no other."""
    script = ROOT / "debian/ganeti-ext-extstorage.instance-image"
    text = script.read_text().replace("/usr/share/ganeti-ext", "/nonexistent")
    done = subprocess.run(["/bin/sh", "-c", text], env={"GANETI_INSTANCE_TAGS": f"a {tag} b"}, check=False)
    assert done.returncode == code
