"""Disks that change their provider: what Ganeti is asked, what is copied, what a kill leaves."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extstorage import ctl_volumes, inventory, inventory_ganeti, move, move_copy
from extstorage.inventory import Choice, Store
from extstorage.inventory_ganeti import Configuration, Disk
from extstorage.move import Move, Target
from ganeti_ext.errors import CommandError, ExtError

MIB = 1 << 20


class Killed(BaseException):
    """kill -9, as far as a test can have it."""


class Cluster:
    """Ganeti as far as `gnt-instance modify` goes, with an instance `web` of disks in a pool of cow's."""

    def __init__(self, choice: Choice, contents: list[bytes]) -> None:
        self.choice = choice
        self.asked: list[str] = []
        self.fails = self.kills = ""
        disks = [self._disk(f"v{number}", {}, f"name{number}" if number else "") for number in range(len(contents))]
        owner = {"name": "web", "primary_node": "n", "admin_state": "down", "disks": [one["uuid"] for one in disks]}
        self.config: dict[str, Any] = {
            "nodes": {"n": {"name": "a"}},
            "instances": {"i": owner},
            "disks": {one["uuid"]: one for one in disks},
        }
        self.owner: dict[str, Any] = owner
        for number, content in enumerate(contents):
            ctl_volumes.call(self.store(""), "create", f"v{number}", len(content) // MIB)
            self.file("main", f"v{number}").write_bytes(content)

    def _disk(self, volume: str, params: dict[str, str], name: str, size: int = 2) -> dict[str, Any]:
        facts = {"dev_type": "ext", "logical_id": ["cow", volume], "size": size, "mode": "rw"}
        return {"uuid": str(uuid.uuid4()), "params": params, "name": name or None, **facts}

    def store(self, pool: str) -> Store:
        return next(store for store in self.choice.stores() if store.pool == pool)

    def file(self, pool: str, name: str) -> Path:
        return Path(self.choice.folder, pool, "volumes", f"{name}.raw")

    def read(self) -> Configuration:
        return inventory_ganeti.parse(json.loads(json.dumps(self.config)))

    def place(self, disk: Disk) -> Store:
        return self.store(disk.pool)

    def modify(self, option: str) -> None:
        self.asked.append(option)
        if self.fails and self.fails in option:
            raise CommandError(f"gnt-instance modify {option}: no")
        state, disks = self.owner["admin_state"], self.owner["disks"]
        if option in ("--offline", "--online"):
            assert state == {"--offline": "down", "--online": "offline"}[option]
            self.owner["admin_state"] = {"--offline": "offline", "--online": "down"}[option]
        else:
            number, _, words = option.removeprefix("--disk=").partition(":")
            verb, *pairs = words.split(",")
            self._change(verb, int(number), dict(pair.split("=") for pair in pairs), disks)
        if self.kills and self.kills in option:
            raise Killed(option)

    def _change(self, verb: str, number: int, params: dict[str, str], disks: list[str]) -> None:
        if verb == "add":
            made = self._disk(f"{uuid.uuid4()}.ext.disk{number}", {"pool": params["pool"]}, params["name"])
            made["size"] = int(params["size"].removesuffix("m"))
            ctl_volumes.call(self.store(params["pool"]), "create", made["logical_id"][1], made["size"])
            self.config["disks"][made["uuid"]] = made
            disks.insert(number, made["uuid"])
        elif verb == "remove":
            gone = self.config["disks"].pop(disks.pop(number))
            ctl_volumes.call(self.store(gone["params"].get("pool", "")), "remove", gone["logical_id"][1])
        else:
            assert verb == "modify"
            self.config["disks"][disks[number]]["name"] = None if params["name"] == "none" else params["name"]

    def move(self, pool: str = "slow", **params: str) -> list[tuple[Disk, Disk]]:
        return Move("web", Target(self.store(pool), params), self.place, self.modify, self.read).run()

    def contents(self) -> list[bytes]:
        pools = {"": "main", "slow": "slow"}
        return [self.file(pools[disk.pool], disk.volume).read_bytes() for disk in self.read().of("web")]

    def left(self) -> list[int]:
        """How many volumes and locks each pool has."""
        stores = [self.store(pool) for pool in ("", "slow")]
        volumes = [len(list(store.kind.admin.listing(store.settings))) for store in stores]
        locks = [len(list(store.kind.admin.locks(store.settings))) for store in stores]
        return [volumes[0], locks[0], volumes[1], locks[1]]


CONTENTS = [b"one".ljust(MIB, b"\0") + b"two".ljust(MIB, b"\0"), bytes(2 * MIB), os.urandom(2 * MIB)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    for name in ("main", "slow"):
        (tmp_path / name / "volumes").mkdir(parents=True)
    (tmp_path / "cow.conf").write_text(
        f"[cow]\ndirectory = {tmp_path}/main\npools = slow:{tmp_path}/slow\nrun_directory = {tmp_path}/run\n"
        f"data_directory = {tmp_path}\nnode = a\n"
    )
    yield Cluster(Choice(str(tmp_path), "cow"), CONTENTS)


def is_moved(cluster: Cluster) -> None:
    disks = cluster.read().of("web")
    assert [disk.pool for disk in disks] == ["slow"] * 3
    assert [disk.name for disk in disks] == ["", "name1", "name2"]
    assert (cluster.contents(), cluster.owner["admin_state"]) == (CONTENTS, "down")
    assert cluster.left() == [0, 0, 3, 0]


def is_as_before(cluster: Cluster) -> None:
    assert [disk.volume for disk in cluster.read().of("web")] == ["v0", "v1", "v2"]
    assert (cluster.contents(), cluster.owner["admin_state"]) == (CONTENTS, "down")
    assert cluster.left() == [3, 0, 0, 0]


def test_disks_keep_their_order_names_and_content(cluster: Cluster) -> None:
    pairs = cluster.move(speed="low")
    is_moved(cluster)
    assert [(old.volume, new.pool) for old, new in pairs] == [("v0", "slow"), ("v1", "slow"), ("v2", "slow")]
    first = pairs[0][0].uuid
    assert cluster.asked[:2] == [
        "--offline",
        f"--disk=1:add,size=2m,mode=rw,provider=cow,name=copy-of-{first},speed=low,pool=slow",
    ]
    assert cluster.file("slow", pairs[1][1].volume).stat().st_blocks == 0
    assert cluster.move() == []


def test_a_disk_that_is_there_already_stays(cluster: Cluster) -> None:
    cluster.move()
    cluster.asked.clear()
    cluster._change("add", 0, {"pool": "", "name": "", "size": "2m"}, cluster.owner["disks"])
    assert [old.number for old, _ in cluster.move()] == [0]
    assert [disk.pool for disk in cluster.read().of("web")] == ["slow"] * 4


@pytest.mark.parametrize("fails", ["--offline", "--disk=1:add", "--disk=5:add"])
def test_an_error_undoes_all(cluster: Cluster, fails: str) -> None:
    cluster.fails = fails
    with pytest.raises(CommandError, match=f"{fails}.*: no"):
        cluster.move()
    is_as_before(cluster)


def test_a_copy_that_differs_is_no_copy(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    write = move_copy.File.write
    monkeypatch.setattr(move_copy.File, "write", lambda self, offset, data: write(self, offset, data[:-1] + b"!"))
    with pytest.raises(ExtError, match="the copy differs from byte 65535 on"):
        cluster.move()
    monkeypatch.undo()
    is_as_before(cluster)


def test_an_instance_that_runs(cluster: Cluster) -> None:
    cluster.owner["admin_state"] = "up"
    with pytest.raises(ExtError, match="instance 'web' is up: stop it"):
        cluster.move()
    assert cluster.asked == []


def test_a_volume_that_a_node_has_open(cluster: Cluster) -> None:
    folder = Path(cluster.choice.folder, "main/locks/v1")
    folder.mkdir(parents=True)
    (folder / "1").write_text("b exclusive boot 2026-01-01T00:00:00Z\nend\n")
    Path(cluster.choice.folder, "ssconf_node_list").write_text("a\nb\n")
    with pytest.raises(ExtError, match="volume 'v1' is open on b"):
        cluster.move()
    (folder / "1").unlink()
    folder.rmdir()
    is_as_before(cluster)


def test_an_instance_that_is_offline_stays_so(cluster: Cluster) -> None:
    cluster.owner["admin_state"] = "offline"
    cluster.move()
    assert {"--offline", "--online"} & {*cluster.asked} == set()
    assert cluster.owner["admin_state"] == "offline"


STEPS = [(f":{verb}", time) for verb in ("add", "remove", "modify") for time in range(3)]


@pytest.mark.parametrize(("step", "time"), [("--offline", 0), *STEPS, ("--online", 0)])
def test_a_kill_is_gone_on_from(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, step: str, time: int) -> None:
    """Killed behind a step of Ganeti's, with nothing undone, the same command again ends what was begun."""
    modify, seen, dead = cluster.modify, 0, False

    def until(option: str) -> None:
        nonlocal seen, dead
        if dead:
            raise Killed
        modify(option)
        seen += step in option
        if seen > time:
            dead = True
            raise Killed

    monkeypatch.setattr(cluster, "modify", until)
    with pytest.raises(Killed):
        cluster.move()
    monkeypatch.undo()
    if step == "--offline":  # nothing tells that it was us
        assert cluster.owner["admin_state"] == "offline"
        cluster.modify("--online")
    cluster.move()
    is_moved(cluster)


class Memory:
    """Content in memory, with holes where `data` does not say."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.size = len(content)
        self.written: list[tuple[int, int]] = []

    def read(self, offset: int, length: int) -> bytes:
        assert 0 < length <= move_copy.CHUNK
        return bytes(self.content[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self.written.append((offset, len(data)))
        self.content[offset : offset + len(data)] = data

    def skip(self, offset: int) -> int:
        return offset

    def flush(self) -> None:
        self.written.append((-1, 0))


def test_zeros_are_not_written() -> None:
    piece = move_copy.PIECE
    content = bytearray(10 * piece + 100)
    content[2 * piece + 5] = content[3 * piece] = content[-1] = 1
    source, target = Memory(bytes(content)), Memory(bytes(len(content) + 7))
    meter = move_copy.Meter()
    move_copy.copy(source, target, meter)
    assert target.written == [(2 * piece, 2 * piece), (10 * piece, 100), (-1, 0)]
    assert meter.count == len(content)
    move_copy.compare(source, target, meter)


def test_what_is_behind_the_source_must_be_zero() -> None:
    with pytest.raises(ExtError, match="differs from byte 5 on"):
        move_copy.compare(Memory(b"123"), Memory(b"123\0\0x"), move_copy.Meter())
    with pytest.raises(ExtError, match="4 bytes do not go into a volume of 3"):
        move_copy.copy(Memory(b"1234"), Memory(b"123"), move_copy.Meter())


@pytest.mark.parametrize("size", [0, 1, move_copy.CHUNK - 1, move_copy.CHUNK, move_copy.CHUNK + 1, 3 * move_copy.CHUNK])
def test_any_length(size: int) -> None:
    source, target = Memory(os.urandom(size)), Memory(bytes(size))
    move_copy.copy(source, target, move_copy.Meter())
    assert target.content == source.content
    move_copy.compare(source, target, move_copy.Meter())


def test_a_file_with_holes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with (tmp_path / "f").open("r+b") as file:
        file.truncate(40 * MIB)
        os.pwrite(file.fileno(), b"x", 20 * MIB)
        content = move_copy.File(file.fileno())
        target = Memory(bytes(40 * MIB))
        move_copy.copy(content, target, move_copy.Meter())
        assert target.written == [(20 * MIB, move_copy.PIECE), (-1, 0)]
        assert content.skip(0) == 20 * MIB
        assert content.skip(30 * MIB) == 40 * MIB
    with (tmp_path / "f").open("rb") as file, pytest.raises(ExtError, match="was cut to 41943040 bytes"):
        move_copy.File(file.fileno()).read(40 * MIB - 1, 2)


def test_names_of_copies() -> None:
    disk = Disk(str(uuid.uuid4()), "cow", "v", "", 1, "web", 0, "a", "down", "data.1", "rw", {"access": "userspace"})
    copy = disk._replace(name=move.mark(disk))
    assert (move.source(copy), move.name_of(copy)) == (disk.uuid, "data.1")
    assert (move.source(disk), move.source(disk._replace(name=""))) == ("", "")
    store = Store("rbd", "", inventory.PROVIDERS["rbd"].verbs.load("/none", {}))
    assert move.added(disk, Target(store, {}), 1).endswith(f"provider=rbd,name={copy.name},access=userspace")
