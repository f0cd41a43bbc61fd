"""The command ganeti-ext-storage: arguments, exit codes, plain text and JSON."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from extstorage import cow_admin, ctl, ctl_care, ctl_volumes
from extstorage.found import Leak

MIB = 1 << 20
GANETI = "0a1b2c3d-0000-4000-8000-00000000000a.ext.disk0"
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> Path:
    """A node `a` of a cluster with a directory of volumes."""
    for name in ("share/volumes", "share/images", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "cow.conf").write_text(
        f"[cow]\ndirectory = {tmp_path}/share\nrun_directory = {tmp_path}/run\nnode = a\n"
        f"data_directory = {tmp_path}/data\n"
    )
    (tmp_path / "rbd.conf").write_text(f"[rbd]\nconf = {tmp_path}/no-ceph.conf\n")
    (tmp_path / "data/ssconf_node_list").write_text("a\nb\n")
    return tmp_path


@pytest.fixture
def run(place: Path) -> Any:
    where = ["--config", str(place), "--ganeti-data", f"{place}/data", "--ganeti-run", f"{place}/kvm"]
    return lambda *argv: ctl.main([*argv, *where])


def rows(capsys: Output) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def configure(
    place: Path, *disks: tuple[str, int], instance: str = "web", state: str = "down", node: str = "a"
) -> None:
    """Let Ganeti have an instance with disks of these volumes and MiB."""
    known = {
        f"d-{n}": {"uuid": f"d-{n}", "dev_type": "ext", "logical_id": ["cow", name], "size": size, "params": {}}
        for n, (name, size) in enumerate(disks)
    }
    owner = {"name": instance, "primary_node": "n", "admin_state": state, "disks": list(known)}
    config = {"nodes": {"n": {"name": node}}, "instances": {"i": owner}, "disks": known}
    (place / "data/config.data").write_text(json.dumps(config))


def hold(place: Path, name: str, node: str) -> None:
    folder = place / "share/locks" / name
    folder.mkdir(parents=True)
    (folder / "1").write_text(f"{node} exclusive boot 2026-01-01T00:00:00Z\nend\n")


def test_a_volumes_life(run: Any, capsys: Output, place: Path) -> None:
    assert [run("create", "v", "2M"), run("snapshot", "v", "s"), run("clone", "s", "w", "--size", "4")] == [0, 0, 0]
    assert capsys.readouterr().out.splitlines() == [
        "created volume v of 2 MiB in cow",
        "made snapshot s of volume v in cow",
        "cloned s to volume w in cow",
    ]
    assert run("list") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["VOLUME", "KIND", "STORE"]
    assert [line.split()[:4] for line in lines] == [
        [name, *what]
        for name, what in (
            ("s", ("snapshot", "cow", "2")),
            ("v", ("volume", "cow", "2")),
            ("w", ("volume", "cow", "4")),
        )
    ]
    assert run("list", "--kind=volume", "--json") == 0
    assert [row["name"] for row in rows(capsys)] == ["v", "w"]
    assert run("grow", "v", "3M") == 0
    assert (place / "share/volumes/v.raw").stat().st_size == 3 * MIB
    assert [run("rollback", "w", "s"), run("flatten", "w"), run("remove", "s"), run("remove", "s")] == [0, 0, 0, 1]
    assert sorted(os.listdir(place / "share/volumes")) == ["v.raw", "w.raw"]
    assert "volume 's' does not exist in any store of this node" in capsys.readouterr().err


def test_a_rollback_brings_back_what_was_there(run: Any, place: Path) -> None:
    run("create", "v", "1M")
    file = place / "share/volumes/v.raw"
    file.write_bytes(b"old".ljust(MIB, b"\0"))
    run("snapshot", "v", "s")
    file.write_bytes(b"new".ljust(MIB, b"\0"))
    assert run("rollback", "v", "s") == 0
    assert file.read_bytes()[:3] == b"old"


def test_show_and_tree(run: Any, capsys: Output, place: Path) -> None:
    run("create", "v", "2M")
    run("snapshot", "v", "s")
    hold(place, "v", "b")
    configure(place, ("v", 2))
    capsys.readouterr()
    assert run("show", "v") == 0
    said = capsys.readouterr().out
    assert said.startswith("v: volume in cow\n  size:        2 MiB (2097152 bytes)\n")
    assert "  open on:     b (exclusive, since 2026-01-01T00:00:00Z)\n" in said
    assert "  Ganeti's:    disk 0 of instance web\n" in said
    assert run("show", "v", "--json") == 0
    (row,) = rows(capsys)
    assert (row["name"], row["holders"][0]["node"], row["disk"]) == ("v", "b", "disk 0 of instance web")
    assert run("tree") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert (head, {line.split()[1] for line in lines}) == ("cow:", {"v", "s"})
    assert any("open on b" in line for line in lines)


def test_room(run: Any, capsys: Output, place: Path) -> None:
    run("create", "v", "2M")
    (place / "share/volumes/v.raw").write_bytes(bytes(MIB))
    capsys.readouterr()
    assert run("df", "--json") == 0
    (row,) = rows(capsys)
    assert (row["store"], row["volumes"], row["logical"]) == ("cow", 1, MIB)
    assert row["total"] > row["free"] > 0
    assert run("df") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("cow ")


@pytest.mark.parametrize("verb", [("remove", "v"), ("grow", "v", "4M")])
def test_what_is_ganetis_is_left_to_ganeti(run: Any, capsys: Output, place: Path, verb: tuple[str, ...]) -> None:
    run("create", "v", "2M")
    configure(place, ("other", 2), ("v", 2))
    assert run(*verb) == 1
    assert "volume 'v' is disk 1 of instance web" in capsys.readouterr().err
    (place / "data/config.data").unlink()
    (place / "data/ssconf_master_node").write_text("b\n")
    assert run(*verb) == 2
    assert "run this on b, or say --force" in capsys.readouterr().err
    assert run(*verb, "--force") == 0


def test_a_volume_that_a_node_has_open(run: Any, capsys: Output, place: Path) -> None:
    run("create", "v", "2M")
    hold(place, "v", "b")
    for verb in (("remove", "v"), ("rollback", "v", "v"), ("flatten", "v")):
        assert run(*verb) == 1
        assert "volume 'v' is open on b" in capsys.readouterr().err
    assert run("locks") == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "v",
        "cow",
        "b",
        "exclusive",
        "2026-01-01T00:00:00Z",
        "-",
    ]
    assert run("unlock", "v") == 1
    assert "would destroy the disk" in capsys.readouterr().err
    assert run("unlock", "v", "a", "--yes") == 0
    assert capsys.readouterr().out == "volume v is not open on a\n"
    assert run("unlock", "v", "b", "--yes") == 0
    assert "took volume v in cow away from b (exclusive" in capsys.readouterr().out
    assert run("remove", "v") == 0


def test_a_lock_of_a_node_that_is_down_needs_no_promise(run: Any, capsys: Output, place: Path) -> None:
    run("create", "v", "2M")
    hold(place, "v", "b")
    (place / "data/ssconf_offline_nodes").write_text("b\n")
    capsys.readouterr()
    assert run("locks", "--json") == 0
    assert [row["down"] for row in rows(capsys)] == ["Ganeti has it offline"]
    assert run("unlock", "v", "--json") == 0
    assert [row["node"] for row in rows(capsys)] == ["b"]


def test_all_is_well(run: Any, capsys: Output, place: Path) -> None:
    run("create", "v", "2M")
    configure(place, ("v", 2))
    capsys.readouterr()
    assert run("verify") == 0
    assert capsys.readouterr().out == "1 volumes: all are as Ganeti has them, and nothing is left over\n"
    (place / "data/config.data").unlink()
    (place / "data/ssconf_master_node").write_text("b\n")
    assert run("verify") == 0
    out, err = capsys.readouterr()
    assert "as far as a node knows" in out
    assert "are found on b" in err


def test_what_is_wrong_is_found_and_mended(run: Any, capsys: Output, place: Path) -> None:
    run("create", "short", "1M")
    run("create", GANETI, "1M")
    configure(place, ("short", 3), ("lost", 1))
    hold(place, "gone", "b")  # a volume that is no more
    draft = place / "share/volumes/.half.raw.new"
    draft.touch()
    os.utime(draft, (1, 1))
    capsys.readouterr()
    assert run("verify", "--json", "--age=-60") == 4
    found = {(row["kind"], row["volume"]) for row in rows(capsys)}
    wrong = {("size", "short"), ("missing", "lost"), ("orphan", GANETI), ("lock", "gone"), ("draft", str(draft))}
    assert found == wrong
    assert run("verify") == 4
    assert "    ganeti-ext-storage repair --provider=cow\n" in capsys.readouterr().out
    assert run("repair", "--dry-run") == 4
    assert "would be mended" in capsys.readouterr().out
    assert draft.exists()
    assert run("repair", "short") == 0
    assert ((place / "share/volumes/short.raw").stat().st_size, draft.exists()) == (3 * MIB, True)
    capsys.readouterr()
    assert run("repair", "--json") == 4
    assert {row["volume"]: row["done"] for row in rows(capsys)} == {"lost": False, "gone": True, str(draft): True}
    assert run("verify", "--json") == 4
    assert [row["kind"] for row in rows(capsys)] == ["missing"]


def test_orphans_go_when_that_is_said(run: Any, capsys: Output, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("create", GANETI, "1M")
    configure(place)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    job = {"status": "running", "input": {"OP_ID": "OP_INSTANCE_CREATE"}, "exec_timestamp": [1000, 0]}
    (place / "data/queue").mkdir()
    (place / "data/queue/job-1").write_text(json.dumps({"ops": [job]}))
    assert run("repair", "--orphans") == 0  # it may be what that job has made
    assert (place / f"share/volumes/{GANETI}.raw").exists()
    (place / "data/queue/job-1").unlink()
    assert run("repair") == 4
    assert (place / f"share/volumes/{GANETI}.raw").exists()
    assert run("repair", "--orphans") == 0
    assert not (place / f"share/volumes/{GANETI}.raw").exists()
    assert run("verify") == 0


def test_a_disk_that_goes_while_it_is_looked_for(run: Any, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(place, ("v", 2))
    listing = cow_admin.listing

    def removed(*arguments: Any, **more: Any) -> Any:
        configure(place)
        return listing(*arguments, **more)

    monkeypatch.setattr(cow_admin, "listing", removed)
    assert run("verify") == 0


def test_garbage(run: Any, capsys: Output, place: Path) -> None:
    for argv in (("create", "v", "1M"), ("snapshot", "v", "s"), ("snapshot", "v", "t"), ("snapshot", "v", "u")):
        run(*argv)
    run("clone", "snapshot:u", "w")
    draft = place / "share/volumes/.half.raw.new"
    draft.touch()
    os.utime(draft, (1, 1))
    volumes = sorted(os.listdir(place / "share/volumes"))
    capsys.readouterr()
    assert run("gc", "s") == 0
    assert capsys.readouterr().out.endswith("nothing was removed: say --yes\n")
    assert sorted(os.listdir(place / "share/volumes")) == volumes
    assert run("gc", "--yes", "s", "--json") == 0
    assert {row["what"]: row["done"] for row in rows(capsys)} == {str(draft): True, "s": True, "t": False}
    assert set(volumes) - set(os.listdir(place / "share/volumes")) == {".half.raw.new", "s.raw"}
    assert run("gc", "--yes", "u") == 1
    assert "u: no snapshot that nobody descends from" in capsys.readouterr().err


def test_gc_leaves_locks_to_repair(run: Any, place: Path) -> None:
    hold(place, "gone", "b")
    assert run("gc", "--yes") == 0
    assert (place / "share/locks/gone/1").exists()
    assert run("repair") == 0
    assert not (place / "share/locks/gone").exists()


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["create", "a/b", "1M"], 2, "only letters"),
        (["clone", "image:none", "v"], 1, "origin 'image:none' does not exist"),
        (["list", "--provider=rbd"], 1, "is Ceph configured on this node?"),
        (["list", "--pool=fast"], 1, "pool 'fast' is not in cow.conf"),
        (["snapshot-instance", "web", "p"], 1, "instance 'web' does not run on this node"),
    ],
)
def test_errors(run: Any, capsys: Output, argv: list[str], code: int, said: str) -> None:
    assert run(*argv) == code
    out, err = capsys.readouterr()
    assert (out, err.startswith("ganeti-ext-storage: ")) == ("", True)
    assert said in err


@pytest.mark.parametrize(
    "argv", [[], ["create", "v"], ["create", "v", "0"], ["create", "v", "1.5G"], ["list", "--all", "--provider=cow"]]
)
def test_usage(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(argv)
    assert ended.value.code == 2


def test_a_configuration_that_is_wrong(run: Any, place: Path, capsys: Output) -> None:
    (place / "cow.conf").write_text("[cow]\ndirectry = /x\n")
    assert run("list") == 3
    assert "unknown key 'directry'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"), [("512", 512), ("512M", 512), ("10G", 10240), ("1TiB", 1 << 20), ("2048k", 2), (" 1 g", 0)]
)
def test_sizes(text: str, size: int) -> None:
    if size:
        assert ctl_volumes.mib(text) == size
    else:
        with pytest.raises(ValueError, match="is no size"):
            ctl_volumes.mib(text)


def test_kinds_of_leaks_that_take_room() -> None:
    assert set(ctl_care.ROOM) & {"lock", "loop"} == set()
    assert ctl_care.ROOM[0] == Leak(cow_admin.DRAFT, "", "").kind


def test_a_store_that_fails_is_told(run: Any, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    def fails(_: object) -> Any:
        raise OSError(5, "Input/output error", "/srv")

    monkeypatch.setattr(cow_admin, "listing", fails)
    assert run("list") == 1
    assert capsys.readouterr().err == "ganeti-ext-storage: [Errno 5] Input/output error: '/srv'\n"


def test_only_the_master_migrates(run: Any, capsys: Output, place: Path) -> None:
    run("create", "v", "1M")
    configure(place, ("v", 1))
    (place / "data/ssconf_master_node").write_text("b\n")
    capsys.readouterr()
    assert run("migrate", "web", "cow", "--dry-run") == 1
    assert "run this on b" in capsys.readouterr().err


def test_what_would_be_migrated(run: Any, capsys: Output, place: Path) -> None:
    (place / "slow/volumes").mkdir(parents=True)
    with (place / "cow.conf").open("a") as file:
        file.write(f"pools = slow:{place}/slow\n")
    run("create", "v", "1M", "--pool=")
    configure(place, ("v", 1))
    (place / "data/ssconf_master_node").write_text("a\n")
    capsys.readouterr()
    assert run("migrate", "web", "cow", "--to-pool=slow", "--dry-run") == 0
    assert capsys.readouterr().out == "would move disk 0 of web (1 MiB) from cow volume v to cow:slow\n"
    assert run("migrate", "web", "cow", "--dry-run") == 0
    assert capsys.readouterr().out == "instance web has its disks there already\n"
    with pytest.raises(SystemExit):
        run("migrate", "web", "cow", "-p", "x=1,y=2")


def test_snapshots_of_an_instance_that_does_not_run(
    run: Any, capsys: Output, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("create", "v", "1M")
    run("create", "w", "1M")
    configure(place, ("v", 1), ("w", 1))
    capsys.readouterr()
    assert run("snapshot-instance", "web", "before", "--json") == 0
    told = [(row["volume"], row["origin"], row["consistency"]) for row in rows(capsys)]
    assert told == [("before.disk0", "volume:v", "stopped"), ("before.disk1", "volume:w", "stopped")]
    run("remove", "before.disk0")
    assert run("snapshot-instance", "web", "before") == 1
    assert "volume 'before.disk1' exists already in cow" in capsys.readouterr().err
    run("remove", "before.disk1")
    real = cow_admin.snapshot

    def full(settings: Any, name: str, target: str) -> None:
        if name == "w":
            raise OSError(28, "No space left on device")
        real(settings, name, target)

    monkeypatch.setattr(cow_admin, "snapshot", full)
    assert run("snapshot-instance", "web", "before") == 1
    assert sorted(os.listdir(place / "share/volumes")) == ["v.raw", "w.raw"]


@pytest.mark.parametrize(
    ("node", "said"), [("b", "runs on b: run this there"), ("a", "is up, but there is no QEMU of it")]
)
def test_an_instance_that_is_up_but_not_here(run: Any, capsys: Output, place: Path, node: str, said: str) -> None:
    run("create", "v", "1M")
    configure(place, ("v", 1), state="up", node=node)
    assert run("snapshot-instance", "web", "p") == 1
    assert said in capsys.readouterr().err
    assert os.listdir(place / "share/volumes") == ["v.raw"]
