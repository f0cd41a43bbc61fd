from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganeti_ext.outbox import Bound, Dropped, Outbox, Put, drain

ROOT = Path(__file__).parents[3]

# Puts pairs of messages for ever, the second of which says how far the cursor is; one line for each.
WRITER = """
import sys
from ganeti_ext.outbox import Outbox
outbox = Outbox(sys.argv[1])
number = int(outbox.cursors().get("n", "0"))
while True:
    number += 1
    cursors = {"n": str(number), f"old/{number - 1}": None, f"old/{number}": ""}
    outbox.put([("a", str(number)), ("b", str(number))], cursors)
    print(number, flush=True)
"""

# Takes the first message as another user of the group.
TAKER = """
import os, sys
sys.path.insert(0, os.getcwd())
from ganeti_ext.outbox import Outbox
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
outbox = Outbox(sys.argv[1])
outbox.listen()
outbox.drop([outbox.take(1)[0].seq])
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "outbox.db")


@pytest.fixture
def outbox(path: str) -> Iterator[Outbox]:
    made = Outbox(path)
    yield made
    made.close()


def put(outbox: Outbox, *bodies: str) -> None:
    assert outbox.put([("key", body) for body in bodies]) == Dropped()


def bodies(outbox: Outbox, limit: int = 10_000, after: int = 0) -> list[str]:
    return [message.body for message in outbox.take(limit, after)]


def test_messages_come_in_order_and_stay_until_dropped(outbox: Outbox) -> None:
    put(outbox, "one", "two")
    put(outbox, "three")
    assert bodies(outbox) == bodies(outbox) == ["one", "two", "three"]
    assert bodies(outbox, limit=2) == ["one", "two"]
    first, second, _ = outbox.take(10)
    assert (first.key, first.seq < second.seq) == ("key", True)
    assert bodies(outbox, after=first.seq) == ["two", "three"]
    outbox.drop([first.seq, second.seq])
    assert bodies(outbox) == ["three"]
    assert len(outbox) == 1


def test_a_number_is_never_given_twice(outbox: Outbox, path: str) -> None:
    put(outbox, "one")
    (one,) = outbox.take(1)
    outbox.drop([one.seq])
    outbox.drop([one.seq])
    outbox.close()
    again = Outbox(path)
    put(again, "two")
    assert again.take(1)[0].seq > one.seq
    again.close()


def test_cursors(outbox: Outbox) -> None:
    outbox.put([], {"a": "1", "b": "2"})
    outbox.put([], {"a": "3", "b": None, "c": None})
    assert outbox.cursors() == {"a": "3"}


def test_messages_and_cursors_change_together_or_not_at_all(outbox: Outbox) -> None:
    def failing() -> Iterator[tuple[str, str]]:
        yield "key", "body"
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        outbox.put(failing(), {"a": "1"})
    with pytest.raises(sqlite3.IntegrityError):
        outbox.put([("key", "body")], {"a": "1", "b": [][:0] or None, None: "2"})  # type: ignore[dict-item]
    assert (bodies(outbox), outbox.cursors()) == ([], {})
    put(outbox, "after")
    assert bodies(outbox) == ["after"]


def start(path: str) -> subprocess.Popen[str]:
    code = [sys.executable, "-c", WRITER, path]
    return subprocess.Popen(code, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})


def test_a_writer_that_is_killed_loses_and_repeats_nothing(path: str) -> None:
    chance = random.Random(20261121)
    said = 0
    for _ in range(6):
        writer = start(path)
        assert writer.stdout
        said = int(writer.stdout.readline())
        time.sleep(chance.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        said = max([said, *(int(line) for line in writer.stdout.read().splitlines())])
        writer.wait()
        outbox = Outbox(path)
        found = [int(message.body) for message in outbox.take(100_000)]
        last = found[-1]
        assert found == sorted(list(range(1, last + 1)) * 2)
        assert outbox.cursors() == {"n": str(last), f"old/{last}": ""}
        # What it said is there; what it did not come to say may be.
        assert last in (said, said + 1)
        outbox.close()


def test_a_taker_beside_a_writer_sees_everything_once(path: str) -> None:
    taker = Outbox(path)
    writer = start(path)
    taken: list[int] = []
    while len(taken) < 400:
        messages = taker.take(37)
        taken += [int(message.body) for message in messages]
        taker.drop(message.seq for message in messages)
    writer.kill()
    writer.wait()
    assert taken == sorted(taken)
    assert taken[: len(taken) // 2 * 2 : 2] == list(range(1, len(taken) // 2 + 1))
    taker.close()


def readable(wake: socket.socket, seconds: float = 1) -> bool:
    return bool(select.select([wake], [], [], seconds)[0])


def test_a_put_wakes_the_taker(outbox: Outbox) -> None:
    with outbox.listen() as wake:
        assert not readable(wake, 0)
        put(outbox, "one")
        put(outbox, "two")
        assert readable(wake)
        drain(wake)
        assert not readable(wake, 0)
        outbox.put([], {"a": "1"})
        assert not readable(wake, 0)


def test_a_taker_that_does_not_listen_or_never_drains_stops_no_writer(outbox: Outbox) -> None:
    put(outbox, "before anyone listened")
    with outbox.listen() as wake:
        for number in range(500):
            put(outbox, str(number))
        assert readable(wake)
    put(outbox, "after it closed")
    assert len(outbox) == 502


def test_a_restarted_taker_listens_again(outbox: Outbox) -> None:
    outbox.listen().close()
    with outbox.listen() as wake:
        put(outbox, "one")
        assert readable(wake)


@pytest.mark.parametrize("umask", [0o022, 0o007, 0o077])
def test_owner_and_group_may_use_the_files_from_the_first_connection_on(path: str, umask: int) -> None:
    before = os.umask(umask)
    try:
        outbox = Outbox(path)
        put(outbox, "one")
        with outbox.listen():
            modes = [stat.S_IMODE(os.stat(path + end).st_mode) for end in ("", "-wal", "-shm", ".wake")]
        outbox.close()
    finally:
        os.umask(before)
    assert modes == [0o660] * 4


def test_another_user_of_the_group_may_take() -> None:
    if os.geteuid() != 0:
        pytest.skip("changing the user takes root")
    group = 54321
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is for its user alone
        os.chown(folder, 0, group)
        os.chmod(folder, 0o2770)
        outbox = Outbox(f"{folder}/outbox.db")
        put(outbox, "one", "two")
        subprocess.run([sys.executable, "-c", TAKER, f"{folder}/outbox.db", str(group)], cwd=ROOT, check=True)
        assert bodies(outbox) == ["two"]
        outbox.close()


OLD_SCHEMA = """
CREATE TABLE message (seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE cursor (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO message (key, body) VALUES ('key', 'old'), ('key', 'older version');
INSERT INTO cursor VALUES ('17/0', 'success');
"""


def test_a_file_of_an_older_version_is_taken_over_with_what_waits(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(OLD_SCHEMA)
    first, second = Outbox(path), Outbox(path)
    put(first, "new")
    assert bodies(second) == ["old", "older version", "new"]
    assert [bool(message.put_at) for message in second.take(9)] == [False, False, True]
    assert second.cursors() == {"17/0": "success"}
    first.close()
    second.close()


def test_of_a_slot_the_newest_waits_and_comes_last(outbox: Outbox) -> None:
    outbox.put([Put("k", "10 %", passing=True, slot="a"), Put("k", "other"), Put("k", "20 %", passing=True, slot="a")])
    outbox.put([Put("k", "of b", slot="b")])
    assert bodies(outbox) == ["other", "20 %", "of b"]
    (taken, *_) = [message for message in outbox.take(9) if message.body == "20 %"]
    outbox.put([Put("k", "30 %", slot="a")])
    outbox.drop([taken.seq])  # the taker is late
    assert bodies(outbox) == ["other", "of b", "30 %"]


def test_fullness(outbox: Outbox) -> None:
    empty = outbox.fullness()
    assert (empty.count, empty.oldest) == (0, 0.0)
    before = time.time()
    put(outbox, "x" * 100_000)
    put(outbox, "y")
    full = outbox.fullness()
    assert full.count == 2
    assert before <= full.oldest <= time.time()
    assert 90_000 < full.octets - empty.octets < 200_000


def lost(said: str | None, dropped: Dropped) -> Put:
    return Put("lost", f"{said or ''}+{dropped.count}/{dropped.kept}")


def test_a_bound_holds_at_each_put_and_passing_ones_go_first(outbox: Outbox) -> None:
    bound = Bound(4, lost)
    outbox.put([Put("k", "final 1"), Put("k", "note 1", passing=True), Put("k", "final 2")], {}, bound)
    assert outbox.put([Put("k", "note 2", passing=True)], {}, bound) == Dropped()
    assert outbox.put([Put("k", "note 3", passing=True)], {"c": "1"}, bound) == Dropped(2, 0)
    assert bodies(outbox) == ["final 1", "final 2", "note 3", "+2/0"]
    # Newer ones that pass go before the oldest final ones.
    assert outbox.put([Put("k", "final 3"), Put("k", "note 4", passing=True)], {}, bound) == Dropped(2, 0)
    assert bodies(outbox) == ["final 1", "final 2", "final 3", "+2/0+2/0"]
    assert outbox.put([Put("k", "final 4"), Put("k", "final 5")], {}, bound) == Dropped(2, 2)
    assert bodies(outbox) == ["final 3", "final 4", "final 5", "+2/0+2/0+2/2"]
    assert outbox.cursors() == {"c": "1"}


def test_what_is_needless_takes_no_place_of_others(outbox: Outbox) -> None:
    bound, sample = Bound(3, lost), Put("k", "sample 1", slot="sample", needless=True)
    outbox.put([sample, Put("k", "1"), Put("k", "2", passing=True)], {}, bound)
    assert outbox.put([sample._replace(body="sample 2")], {}, bound) == Dropped()
    assert bodies(outbox) == ["1", "2", "sample 2"]
    assert outbox.put([Put("k", "3")], {}, bound) == Dropped()  # it goes, and nobody is told
    assert bodies(outbox) == ["1", "2", "3"]
    assert outbox.put([sample], {}, bound) == Dropped()
    assert bodies(outbox) == ["1", "2", "3"]
    assert outbox.put([Put("k", "4")], {}, bound) == Dropped(2, 1)
    assert bodies(outbox) == ["3", "4", "+2/1"]


def test_what_is_said_of_drops_that_were_taken_is_not_said_again(outbox: Outbox) -> None:
    bound = Bound(2, lost)
    outbox.put([Put("k", str(number)) for number in range(5)], {}, bound)
    assert bodies(outbox) == ["4", "+4/4"]
    outbox.drop([outbox.take(2)[1].seq])
    outbox.put([Put("k", "5"), Put("k", "6")], {}, bound)
    assert bodies(outbox) == ["6", "+2/2"]


def test_a_large_outbox_makes_room_for_more_than_one(outbox: Outbox) -> None:
    bound = Bound(1000, lost)
    outbox.put([Put("k", str(number)) for number in range(1000)], {}, bound)
    assert outbox.put([Put("k", "1000")], {}, bound) == Dropped(12, 12)
    assert len(outbox) == 990
    for number in range(10):
        assert outbox.put([Put("k", str(number))], {}, bound) == Dropped()
    assert outbox.put([Put("k", "more")], {}, bound) == Dropped(11, 11)


def test_a_put_that_fails_drops_nothing(outbox: Outbox) -> None:
    bound = Bound(2, lambda _said, _dropped: Put("k", None))  # type: ignore[arg-type]
    put(outbox, "1", "2")
    with pytest.raises(sqlite3.IntegrityError):
        outbox.put([Put("k", "3")], {}, bound)
    assert bodies(outbox) == ["1", "2"]
