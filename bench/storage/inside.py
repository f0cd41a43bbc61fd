"""The worker in the root: runs and times programs, scatters a file, writes to a disk meanwhile.

It runs on Debian 13, and answers bench.firewall.remote.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from bench.storage import scatter

_writers: dict[str, subprocess.Popen[str]] = {}


def timed(argv: list[str], env: Mapping[str, str]) -> tuple[float, str]:
    """Run a program to its end: milliseconds by the clock from fork to reaping, and what it said on stdout."""
    with open(os.memfd_create("stdout"), "w+b") as said, open(os.memfd_create("stderr"), "w+b") as errors:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, said.fileno(), 1),
            (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
        ]
        start = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, env, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        wall = time.perf_counter() - start
        for file in (said, errors):
            file.seek(0)
        if status != 0:
            raise RuntimeError(f"{argv}: {os.waitstatus_to_exitcode(status)}: {errors.read().decode()}")
        return 1000 * wall, said.read().decode()


def scattered(path: str, pieces: int) -> int:
    """Let a file have so many pieces; returns how many the file system says that they are."""
    return scatter.scatter(path, pieces)


def start(device: str, length: int) -> None:
    """Have somebody write to a disk, all over its first octets, until `stop`."""
    argv = [sys.executable, "-m", "bench.storage.scatter", device, str(length)]
    _writers[device] = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    out = _writers[device].stdout
    assert out is not None
    if out.readline() != "writing\n":
        raise RuntimeError(f"{device}: the writer has ended: {_writers.pop(device).wait()}")


def stop(device: str) -> tuple[int, float]:
    """How many blocks of 4 KiB it has written, and the milliseconds that it waited longest for one."""
    said, _ = _writers.pop(device).communicate()
    count, worst = said.split()
    return int(count), float(worst)


_VERBS: Mapping[str, Callable[..., Any]] = {verb.__name__: verb for verb in (timed, scattered, start, stop)}


def prefer(nice: int) -> None:
    """Go before the machine's other work, with all that is started here (nice(1); sched(7), autogroup)."""
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    with contextlib.suppress(FileNotFoundError), open("/proc/self/autogroup", "w", encoding="ascii") as file:
        file.write(str(nice))


def main() -> None:
    prefer(int(sys.argv[1]))
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        try:
            answer = [_VERBS[verb](*arguments), None]
        except Exception:  # noqa: BLE001 (whatever it is, remote.py raises it)
            answer = [None, traceback.format_exc()]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
