"""Calls of verbs by forks of a process that has loaded what they need: a start of Python, librados and librbd for each
would be most of what the tests of `rbd` cost.

A call is what the executable does once it has started: a process of its own, with that environment and ours.

    python3 -SEI forks.py       reads a line [VERB, ENVIRONMENT] for each call, answers with [CODE, STDOUT, STDERR]
"""

from __future__ import annotations

import gc
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

if __name__ == "__main__":
    sys.path.insert(0, os.path.realpath(f"{__file__}/../../../.."))

PATIENCE = 120  # seconds


class Forks:
    """Such a process, which `command` starts where the verbs are to run."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, verb: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([verb, dict(env)]) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self.close()
            raise subprocess.TimeoutExpired([verb], PATIENCE)
        code, told, complained = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess([verb, env["VOL_NAME"]], code, told, complained)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def answer(work: Callable[[], int], verb: str, env: Mapping[str, str]) -> tuple[int, str, str]:
    """What a call exits with and says."""
    files = [os.memfd_create(name) for name in ("stdout", "stderr")]
    pid = os.fork()
    if not pid:
        for number, file in enumerate(files, 1):
            os.dup2(file, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.argv[0] = verb
        os.environ.update(env)
        os._exit(work())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    told, complained = (os.pread(file, os.fstat(file).st_size, 0).decode() for file in files)
    for file in files:
        os.close(file)
    return code, told, complained


def main() -> None:
    from extstorage import provider, rbd, rbd_library, rbd_verbs, rbd_watchdog  # noqa: PLC0415 (where librbd is)
    from ganeti_ext.entry import run  # noqa: PLC0415 (see above)

    assert rbd_verbs and rbd_watchdog  # loaded by now
    rbd_library.rados()
    rbd_library.rbd()
    gc.freeze()
    for line in sys.stdin:
        verb, env = json.loads(line)
        sys.stdout.write(f"{json.dumps(answer(lambda: run(provider.main(rbd)), verb, env))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
