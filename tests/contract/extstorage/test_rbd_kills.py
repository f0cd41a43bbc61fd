"""Verbs of `rbd` that are killed: what they leave is found and mended, and the next call goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.ceph import POOL
from tests.contract.extstorage.choice import some
from tests.contract.extstorage.rbd_node import NEEDS, VERBS, Node, found, node, nodes, quick_to_forget, steps

pytestmark = NEEDS
__all__ = ["node", "nodes", "quick_to_forget"]
FEW = 3  # of the steps at which a verb is killed
ENV = {
    "VOL_SIZE": "8",
    "VOL_NEW_SIZE": "12",
    "VOL_SNAPSHOT_NAME": "s",
    "VOL_METADATA": "text",
    "VOL_OPEN_EXCLUSIVE": "True",
    "EXTP_ORIGIN": "volume:o",
}
# What is there when a verb is killed; `create` is of a clone, which has most steps.
BEFORE = {
    "create": (),
    "snapshot": ("create",),
    "grow": ("create",),
    "setinfo": ("create",),
    "open": ("create",),
    "close": ("create", "open"),
    "detach": ("create", "open"),
    "remove": ("create", "snapshot", "close"),
    "rollback": ("create", "snapshot"),
    "unlock": ("create", "open"),
}


def prepare(node: Node, verb: str) -> None:
    for earlier in BEFORE[verb]:
        node.direct(earlier, **ENV)


def clear(node: Node) -> None:
    for name in sorted(set(node.names()) - {"o"}, reverse=True):
        for verb in ("detach", "remove"):
            node.direct(verb, name)


@pytest.mark.parametrize("verb", BEFORE)
def test_killed_at_each_step_all_is_found_and_mended(node: Node, verb: str, quick_to_forget: None) -> None:
    node.ok("create", "o", VOL_SIZE="4")
    node.eye.ask("write('o', 0, b'data')")
    prepare(node, verb)
    count = int(steps(node, "never", 0, verb, **ENV).stdout.split()[0])
    assert count >= 1
    clear(node)
    bare = node.left()
    for when, number in some([("before", 1), *(("after", number + 1) for number in range(count))], FEW):
        prepare(node, verb)
        assert steps(node, when, number, verb, **ENV).returncode == -signal.SIGKILL, (number, when)
        leaks = found(node)
        node.admin("len(a.mend(s))")
        assert found(node) == [], (number, when, leaks)
        names = node.names()
        assert set(names) <= {"o", "v", "s"}
        for name in set(names) - {"o"}:  # whole, if it is there
            assert node.eye.ask(f"read({name!r}, 0, 4)") == b"data"
        if verb not in {"create", "remove"}:
            assert "v" in names
        done = steps(node, "never", 0, verb, **ENV)
        assert done.returncode == 0 or "exists already" in done.stderr, (number, when, done)
        clear(node)
    assert node.left() == bare


@pytest.mark.parametrize("verb", ["create", "snapshot", "remove"])
def test_killed_at_any_moment_the_next_call_goes_on(node: Node, verb: str, quick_to_forget: None) -> None:
    node.ok("create", "o", VOL_SIZE="4")
    bare = node.left()
    prepare(node, verb)
    start = time.monotonic()
    node.programs.ok(verb, **ENV)
    span = time.monotonic() - start
    clear(node)
    for part in some(range(3, 10), 2):
        prepare(node, verb)
        call = subprocess.Popen(
            node.ceph.enter(f"{VERBS}/{verb}", env=node.env("v", **ENV)),
            stderr=subprocess.DEVNULL,
        )
        time.sleep(span * part / 10)
        call.kill()
        call.wait()
        done = node.call(verb, **ENV)
        assert done.returncode == 0 or "exists already" in done.stderr, (part, done)
        clear(node)
        node.admin("len(a.mend(s))")
        assert found(node) == []
    assert {name for name in node.left() - bare if not name.startswith("rbd_data")} == set()


def test_a_rollback_that_was_killed_is_done_again(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    node.eye.ask("write('v', 0, b'then')")
    node.ok("snapshot", VOL_SNAPSHOT_NAME="s")
    node.eye.ask("write('v', 0, b'now!')")
    pid = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(pid, 0)
    doing = f"doing rollback:s:{4 << 20} a.lab {Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {pid} 1"
    node.ceph.run("rbd", "rm", "--no-progress", "v")
    text = f"volume 0\n{doing}\nend\n"
    node.ceph.run("rados", "--pool", POOL, "setomapval", "ganeti-ext.volumes", "v", stdin=text)
    assert [leak[:2] for leak in found(node)] == [("call", "v")]
    assert "repair" in node.fails("create", VOL_SIZE="4")
    node.admin("len(a.mend(s))")
    assert found(node) == []
    assert node.eye.ask("read('v', 0, 4)") == b"then"
