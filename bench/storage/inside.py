"""The worker in the root: runs and times programs, scatters a file, writes to a disk meanwhile.

It runs on Debian 13, and answers bench.remote.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping

from bench.remote import answer
from bench.storage import scatter

_writers: dict[str, subprocess.Popen[str]] = {}
_begun: dict[int, subprocess.Popen[str]] = {}


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


def begin(argv: list[str], lines: int) -> int:
    """Start a program, and return its process's id when it has said so many lines; `end` ends it."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    out = process.stdout
    assert out is not None
    for _ in range(lines):
        if not out.readline():
            raise RuntimeError(f"{argv}: has ended: {process.wait()}")
    _begun[process.pid] = process
    return process.pid


def end(pid: int) -> None:
    """End a program that has been at work until now; it is an error if it was not."""
    process = _begun.pop(pid)
    code = process.poll()
    process.kill()
    process.communicate()
    if code is not None:
        raise RuntimeError(f"{process.args!r}: has ended before: {code}")


if __name__ == "__main__":
    try:
        answer(timed, scattered, start, stop, begin, end)
    finally:
        for process in _begun.values():
            process.kill()
