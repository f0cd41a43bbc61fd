"""Many callers, several nodes, kills: no loop leaks, and nobody touches another's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import pytest

from extstorage import cow, provider
from ganeti_ext.errors import ExtError
from tests.contract.extstorage.choice import STRIDE, times
from tests.contract.extstorage.harness import COW, Node, eventually, flags, image

main = provider.main(cow)

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="loop devices and mounts need root"),
    pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="this kernel has no loop devices"),
]


def test_twenty_attaches_at_once_make_one_loop(node: Node) -> None:
    node.ok("create", VOL_SIZE="4")
    answers = [call.communicate() for call in [node.start("attach") for _ in range(20)]]
    assert set(answers) == {(node.ok("attach"), "")}
    assert len(node.loops()) == 1


def test_twenty_volumes_at_once_get_a_loop_each(node: Node) -> None:
    names = [f"v{number}" for number in range(20)]
    for call in [node.start("create", name, VOL_SIZE="4") for name in names]:
        assert call.wait() == 0
        call.communicate()
    calls = {name: node.start("attach", name) for name in names}
    found = {name: call.communicate() for name, call in calls.items()}
    assert len(set(found.values())) == 20
    assert all(node.loops(name) == [device] for name, (device, _) in found.items())


def test_of_many_creates_of_one_name_one_wins(node: Node) -> None:
    image(node)
    calls = [node.start("create", VOL_SIZE="8", EXTP_ORIGIN="debian") for _ in range(8)]
    told = [call.communicate()[1] for call in calls]
    assert sorted(call.returncode for call in calls) == [0] + [1] * 7
    assert sum("exists already" in text for text in told) == 7
    assert node.volumes() == ["v"]


def test_killed_at_any_moment_an_attach_leaks_nothing(xfs: Node) -> None:
    xfs.ok("create", VOL_SIZE="4")
    usual = 1.0
    for _ in range(5):
        began = time.monotonic()
        xfs.ok("attach")
        usual = min(usual, time.monotonic() - began)
        xfs.ok("detach")
    killed = 0
    turns = times(100, 25)
    for turn in turns:
        call = xfs.start("attach")
        time.sleep(random.uniform(usual * 0.3, usual * 1.1))
        call.kill()
        call.communicate()
        killed += call.returncode == -9
        assert len(xfs.loops()) <= 1
        if turn % 2:
            device = xfs.ok("attach")
            assert xfs.loops() == [device]
            assert flags(device, "loop/dio") == "1"
        xfs.ok("detach")
        assert eventually(lambda: xfs.loops() == [])
    assert killed > len(turns) // 10
    assert xfs.run_files() == []


def killed_at(line: int, action: Callable[[], object]) -> bool:
    """Do something in a child that kills itself before the n-th line of ours; tell whether there was such a line."""
    child = os.fork()
    if not child:
        left = line

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal left
            left -= event == "line" and "extstorage" in frame.f_code.co_filename
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("verb", ["create", "attach", "grow", "detach", "remove", "snapshot"])
def test_killed_before_each_of_its_lines_a_verb_can_be_called_again(xfs: Node, verb: str) -> None:
    image(xfs)
    env = xfs.env(VOL_NAME="v", VOL_SIZE="8", EXTP_ORIGIN="debian", VOL_NEW_SIZE="9", VOL_SNAPSHOT_NAME="s")
    line = 0
    killed = True
    while killed:
        line += STRIDE
        if verb != "create":
            main("create", env)
        if verb in {"grow", "detach", "remove", "snapshot"}:
            main("attach", env)
        killed = killed_at(line, partial(main, verb, env))
        assert len(xfs.loops()) <= 1
        if verb not in {"create", "snapshot"}:
            main(verb, env)
        else:
            with contextlib.suppress(ExtError):  # killed after it had published
                main(verb, env)
        if verb != "remove":
            device = main("attach", env)
            assert xfs.loops() == [device]
            assert flags(str(device), "size") == ("18432" if verb == "grow" else "16384")
        for name in ("v", "s"):
            main("remove", {**env, "VOL_NAME": name})
        assert eventually(lambda: xfs.loops() == [])
        assert xfs.volumes() == xfs.run_files() == []
    assert line > 20


def test_a_hint_of_a_loop_that_was_never_bound_or_is_another_s_is_not_believed(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    theirs = b.ok("attach")
    a.ok("detach")
    (a.etc / "run/v").write_text(theirs.removeprefix("/dev/loop").ljust(10))
    mine = a.ok("attach")
    assert sorted(a.loops()) == sorted({mine, theirs})
    assert len({mine, theirs}) == 2
    a.ok("detach")
    (a.etc / "run/v").write_text(theirs.removeprefix("/dev/loop").ljust(10))
    a.ok("detach")
    assert a.loops() == [theirs]
    (a.etc / "run/v").write_text("1048000   ")  # a loop that the kernel does not have
    a.ok("detach")
    assert a.ok("attach") != theirs


def test_two_nodes_on_one_kernel_keep_to_their_own_loops(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    first, second = a.ok("attach"), b.ok("attach")
    assert first != second
    assert sorted(a.loops()) == sorted([first, second])
    a.ok("grow", VOL_SIZE="4", VOL_NEW_SIZE="6")
    assert flags(second, "size") == "8192"
    assert b.ok("attach") == second
    assert flags(second, "size") == "12288"
    a.ok("detach")
    assert eventually(lambda: b.loops() == [second])
    b.ok("detach")
    assert eventually(lambda: b.loops() == [])


def test_a_volume_that_another_node_removed_frees_its_loop_here(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    a.ok("create", "w", VOL_SIZE="4")
    old = a.ok("attach")
    a.ok("attach", "w")
    for name in ("v", "w"):
        b.ok("remove", name)
    assert old in a.loops()
    assert a.ok("attach") == ""
    assert "volume 'v' does not exist: there is no" in a.fails("open")
    assert eventually(lambda: a.loops() == [])
    a.ok("verify")  # nobody asked for w
    assert eventually(lambda: a.loops("w") == [])
    assert a.run_files() == []


def test_a_name_that_came_back_gets_the_new_file(nodes: tuple[Node, Node]) -> None:
    a, b = nodes
    a.ok("create", VOL_SIZE="4")
    a.ok("attach")
    b.ok("remove")
    b.ok("create", VOL_SIZE="5")
    device = a.ok("attach")
    assert flags(device, "size") == "10240"
    assert eventually(lambda: a.loops() == [device])


def test_a_loop_in_use_outlives_detach_and_cannot_be_removed(xfs: Node) -> None:
    node = xfs
    node.ok("create", VOL_SIZE="4")
    device = node.ok("attach")
    with open(device, "r+b"):
        node.ok("detach")
        assert flags(device, "loop/autoclear") == "1"
        assert f"volume 'v' is in use: {device} is open" in node.fails("remove")
        assert node.file().exists()
        assert node.ok("attach") == device
        assert flags(device, "loop/autoclear") == "0"
    assert node.loops() == [device]
    with open(device, "rb"):
        node.ok("detach")
    assert eventually(lambda: node.loops() == [])
    node.ok("remove")
    assert not node.file().exists()


def test_a_container_without_the_device_node_gets_it(xfs: Node) -> None:
    xfs.ok("create", VOL_SIZE="4")
    script = (
        "mount -t tmpfs dev /dev && mknod /dev/loop-control c 10 237 && mknod -m 666 /dev/null c 1 3 &&"
        ' device=$("$0") && test -b "$device" && test "$("$0")" = "$device" && printf %s "$device"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, COW / "attach"],
        env=xfs.env(VOL_NAME="v"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert xfs.loops() == [done.stdout]


def test_the_lock_of_a_volume_is_waited_for(xfs: Node) -> None:
    xfs.ok("create", VOL_SIZE="4")
    xfs.ok("attach")
    with open(xfs.etc / "run/v", "rb") as hint:
        fcntl.flock(hint, fcntl.LOCK_EX)
        call = xfs.start("attach")
        with pytest.raises(subprocess.TimeoutExpired):
            call.wait(0.3)
    assert call.communicate()[0] == xfs.loops()[0]
