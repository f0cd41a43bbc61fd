"""Disks of a running instance that change their store: what Ganeti is asked and in which order, what a kill leaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extstorage import ctl_volumes, lock, mirror_lock, move
from extstorage.inventory import Choice
from extstorage.inventory_ganeti import Disk
from extstorage.mirror_qemu import Pair
from extstorage.move import Move, Target
from extstorage.move_copy import Place
from extstorage.move_live import DROP, RUN, LiveMove
from ganeti_ext.errors import CommandError, ExtError
from tests.unit.extstorage.test_move import CONTENTS, Cluster, Killed

FOUR = [content.ljust(4 << 20, b"\0") for content in CONTENTS]  # no size that Ganeti's command rounds up


class Running(Cluster):
    """Its instance runs. Each disk's guest, as QEMU has it, is the volume that a kill of QEMU would leave true."""

    def __init__(self, choice: Choice) -> None:
        super().__init__(choice, FOUR)
        for disk in self.config["disks"].values():
            disk["size"] = 4
        self.owner["admin_state"] = "up"
        self.runs = True
        self.dies = ""  # at which step of the node's part
        for disk in self.read().of("web"):
            ctl_volumes.call(self.store(""), "open_", disk.volume)
        self.guest = [disk.volume for disk in self.read().of("web")]

    def modify(self, option: str, *, hotplug: bool = False) -> None:
        if ":remove" in option and self.owner["admin_state"] == "up" and not (hotplug and self.runs):
            raise CommandError("can't remove volume from a running instance without using hotplug")
        super().modify(option)

    def activate(self) -> None:
        self.asked.append("activate")

    def grow(self, number: int, size: int) -> None:
        self.asked.append(f"grow {number} {size}")

    def _change(self, verb: str, number: int, params: dict[str, str], disks: list[str]) -> None:
        if verb == "detach":
            gone = self.config["disks"][disks.pop(number)]
            ctl_volumes.call(self.store(gone["params"].get("pool", "")), "detach", gone["logical_id"][1])
        elif verb == "attach":
            disks.insert(number, params["uuid"])
        else:
            super()._change(verb, number, params, disks)

    def at(self, disk: Disk) -> Place:
        return Place(self.place(disk), disk.volume)

    def ask(self, what: str, node: str, pair: Pair) -> dict[str, Any]:
        assert node == "a"
        self.asked.append(what)
        if what == DROP:
            mirror_lock.unmark(self.at(pair.old))
            mirror_lock.mark(self.at(pair.new), lock.MOVED)
            return {"runs": self.runs}
        if not self.runs:
            raise ExtError("instance 'web' does not run on this node")
        if pair.new.volume in self.guest:
            return {"runs": True}
        mirror_lock.free(self.at(pair.new))
        self._die("begin")
        files = [self.file("main", pair.old.volume), self.file("slow", pair.new.volume)]
        shutil.copy(*files)
        mirror_lock.mark(self.at(pair.old), lock.MOVED)
        self._die("moved")
        self.guest[self.guest.index(pair.old.volume) if pair.old.volume in self.guest else 0] = pair.new.volume
        files[0].write_bytes(b"old".ljust(files[0].stat().st_size))  # what the guest writes goes to the new one
        return {"runs": True}

    def _die(self, where: str) -> None:
        if self.dies == where:
            self.dies = ""
            raise Killed(where)

    def live(self) -> LiveMove:
        return LiveMove("web", Target(self.store("slow"), {}), self.place, self, self.read, self.ask)

    def stop(self) -> None:
        self.runs = False
        self.owner["admin_state"] = "down"
        for disk in self.read().of("web"):
            ctl_volumes.call(self.place(disk), "detach", disk.volume)

    def stopped(self) -> None:
        """The command on an instance that does not run."""
        self.live().settle()
        Move("web", Target(self.store("slow"), {}), self.place, self.modify, self.read).run()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Running]:
    for name in ("main", "slow"):
        (tmp_path / name / "volumes").mkdir(parents=True)
    (tmp_path / "cow.conf").write_text(
        f"[cow]\ndirectory = {tmp_path}/main\npools = slow:{tmp_path}/slow\nrun_directory = {tmp_path}/run\n"
        f"data_directory = {tmp_path}\nnode = a\n"
    )
    yield Running(Choice(str(tmp_path), "cow"))


def is_moved(cluster: Running) -> None:
    disks = cluster.read().of("web")
    assert [(disk.pool, disk.name) for disk in disks] == [("slow", ""), ("slow", "name1"), ("slow", "name2")]
    assert cluster.contents() == FOUR
    assert len(cluster.config["disks"]) == 3
    assert (cluster.left()[0], cluster.left()[1], cluster.left()[2]) == (0, 0, 3)


def test_the_order_of_what_is_asked(cluster: Running) -> None:
    old = cluster.read().of("web")
    pairs = cluster.live().run()
    is_moved(cluster)
    assert [(one.uuid, two.number) for one, two in pairs] == [(disk.uuid, disk.number) for disk in old]
    new = pairs[0][1].uuid
    assert cluster.asked[:7] == [
        f"--disk=3:add,size=4m,mode=rw,provider=cow,name=copy-of-{old[0].uuid},pool=slow",
        "--disk=3:detach",
        RUN,
        f"--disk=0:attach,uuid={new}",
        "--disk=1:remove",
        "activate",
        "--disk=0:modify,name=none",
    ]
    assert cluster.owner["admin_state"] == "up"
    cluster.asked.clear()
    assert (cluster.live().run(), cluster.asked) == ([], [])


@pytest.mark.parametrize("fails", ["--disk=3:add", "--disk=3:detach"])
def test_a_job_that_fails_leaves_the_guest_its_disk(cluster: Running, fails: str) -> None:
    cluster.fails = fails
    with pytest.raises(CommandError, match=f"{fails}.*: no"):
        cluster.live().run()
    cluster.fails = ""
    assert [disk.volume for disk in cluster.read().of("web")][:3] == ["v0", "v1", "v2"]
    cluster.live().run()
    is_moved(cluster)


def test_a_mirror_that_fails_leaves_nothing(cluster: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = cluster.ask

    def fail(what: str, node: str, pair: Pair) -> dict[str, Any]:
        if what == RUN:
            raise ExtError("No space left on device")
        return ask(what, node, pair)

    monkeypatch.setattr(cluster, "ask", fail)
    with pytest.raises(ExtError, match="No space left"):
        cluster.live().run()
    cluster.owner["admin_state"] = "down"
    assert cluster.left() == [3, 3, 0, 0]
    for disk in cluster.read().of("web"):
        ctl_volumes.call(cluster.store(""), "detach", disk.volume)
    assert (cluster.contents(), len(cluster.config["disks"])) == (FOUR, 3)
    assert cluster.left() == [3, 0, 0, 0]


def test_a_guest_that_ended(cluster: Running, caplog: pytest.LogCaptureFixture, capsys: Any) -> None:
    cluster.runs = False
    with pytest.raises(ExtError, match="does not run on this node"):
        cluster.live().run()
    told = caplog.text + capsys.readouterr().err
    assert "stays as the detached disk" in told
    assert "gnt-instance shutdown web" in told
    cluster.stop()
    cluster.stopped()
    is_moved(cluster)


@pytest.mark.parametrize("where", ["begin", "moved"])
def test_an_instance_that_ends_while_its_disk_moves(cluster: Running, where: str) -> None:
    """The lock tells which is true; until the command was said again nobody starts from the other."""
    cluster.dies = where
    with pytest.raises(Killed):
        cluster.live().run()
    cluster.stop()
    if where == "moved":
        with pytest.raises(lock.Held, match="is not to be used"):
            ctl_volumes.call(cluster.store(""), "open_", "v0")
        cluster.file("main", "v0").write_bytes(b"old")
    cluster.stopped()
    is_moved(cluster)


def test_an_error_after_the_disk_has_moved_says_what_to_do(cluster: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = cluster.ask

    def fail(what: str, node: str, pair: Pair) -> dict[str, Any]:
        ask(what, node, pair)
        raise ExtError("QEMU is gone")

    monkeypatch.setattr(cluster, "ask", fail)
    with pytest.raises(ExtError, match=r"QEMU is gone; disk 0 of instance 'web' has moved, but .* say the same again"):
        cluster.live().run()
    assert cluster.asked.count(DROP) == 0


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("last", range(21))
def test_a_kill_is_gone_on_from(cluster: Running, monkeypatch: pytest.MonkeyPatch, last: int, *, down: bool) -> None:
    """Killed behind any step, and the instance going on or stopped, the same command again ends it."""
    left = last

    def counted(work: Any) -> Any:
        def step(*args: Any, **more: Any) -> Any:
            nonlocal left
            if left < 0:
                raise Killed
            found = work(*args, **more)
            left -= 1
            if left < 0:
                raise Killed
            return found

        return step

    for name in ("modify", "activate", "ask"):
        monkeypatch.setattr(cluster, name, counted(getattr(cluster, name)))
    with pytest.raises(Killed):
        cluster.live().run()
    monkeypatch.undo()
    if down:
        cluster.stop()
        cluster.stopped()
    else:
        cluster.live().run()
    is_moved(cluster)


def test_a_copy_that_waits_is_found(cluster: Running) -> None:
    (first, *_) = cluster.read().of("web")
    cluster.modify(move.added(first, Target(cluster.store("slow"), {}), 3))
    cluster.live().run()
    assert sum(":add" in one for one in cluster.asked) == 3
    is_moved(cluster)


def test_a_disk_that_was_grown_meanwhile(cluster: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = cluster.ask

    def grown(what: str, node: str, pair: Pair) -> dict[str, Any]:
        if pair.old.number == 1:
            cluster.config["disks"][pair.old.uuid]["size"] = 8
        return ask(what, node, pair)

    monkeypatch.setattr(cluster, "ask", grown)
    cluster.live().run()
    assert [one for one in cluster.asked if one.startswith("grow")] == ["grow 1 8"]


def test_a_size_that_ganetis_command_rounds_up(cluster: Running) -> None:
    (first, *_) = cluster.config["disks"].values()
    first["size"] = 6
    with pytest.raises(ExtError, match=r"has 6 MiB, of which .* make 8, and .* grow-disk --absolute web 0 8M"):
        cluster.live().run()
    assert cluster.asked == []
