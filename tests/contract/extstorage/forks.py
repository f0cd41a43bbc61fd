"""Calls of programs by forks of a process that has loaded what they need: a start of Python, librados and librbd for
each would be most of what these tests cost.

A call is what the executable does once it has started: a process of its own, with that environment and ours.

    python3 -SEI forks.py    reads [PROGRAM, WORDS, ENVIRONMENT, STDIN] for each call, answers [CODE, STDOUT, STDERR]

PROGRAM is a verb of `rbd`, or one of PROGRAMS. Both ways they are pickled; without a STDIN it is /dev/null.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, os.path.realpath(f"{__file__}/../../../.."))

from tests.contract.extstorage.choice import ALL

PATIENCE = 120  # seconds
PROGRAMS = ("ganeti-ext-storage", "instance-image", "rbd_steps.py")
PYTHON = ("/usr/bin/python3", "-SEI")
FORKS = "/usr/share/ganeti-ext/tests/contract/extstorage/forks.py"  # in a root of lab/layer.py


class Call:
    """One that goes on; as of subprocess.Popen."""

    def __init__(self, forks: Forks, args: list[str]) -> None:
        self._forks, self._args = forks, args
        self.returncode: int | Any = None

    def ended(self, timeout: float = PATIENCE) -> subprocess.CompletedProcess[bytes]:
        self.returncode, told, complained = self._forks.heard(self._args, timeout)
        return subprocess.CompletedProcess(self._args, self.returncode, told, complained)

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        done = self.ended(timeout)
        return done.stdout.decode(), done.stderr.decode()


class Forks:
    """Such a process, which `command` starts where the programs are to run; with a twin there are two at once."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None, twin: Forks | None = None) -> None:
        self._process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._twin = twin
        self._busy = False

    @property
    def pids(self) -> set[int]:
        return {self._process.pid} | (self._twin.pids if self._twin else set())

    def start(self, program: str, env: Mapping[str, str], *words: str, stdin: bytes | None = None) -> Call:
        if self._busy and self._twin:
            return self._twin.start(program, env, *words, stdin=stdin)
        assert self._process.stdin and not self._busy
        self._busy = True
        pickle.dump((program, words, dict(env), stdin), self._process.stdin)
        self._process.stdin.flush()
        return Call(self, [program, *words, env.get("VOL_NAME", "")])

    def heard(self, args: list[str], timeout: float) -> tuple[int, bytes, bytes]:
        """The answer to what was started; without one it is the end of all."""
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            self.close()
            raise subprocess.TimeoutExpired([str(word) for word in args], timeout)
        found: tuple[int, bytes, bytes] = pickle.load(self._process.stdout)
        self._busy = False
        return found

    def raw(
        self, program: str, env: Mapping[str, str], *words: str, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return self.start(program, env, *words, stdin=stdin).ended()

    def call(self, program: str, env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        done = self.raw(program, env, *words)
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._twin:
            self._twin.close()


@cache
def here() -> Forks | None:
    """For programs on this machine. With EXTSTORAGE_ALL=1, or for another tree's, executables are called instead."""
    if ALL or "GANETI_EXT_ROOT" in os.environ:
        return None
    return Forks([*PYTHON, os.path.realpath(__file__)], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def answer(
    work: Callable[[], int], argv: Sequence[str], env: Mapping[str, str], stdin: bytes | None
) -> tuple[int, bytes, bytes]:
    """What a call exits with and says."""
    files = [os.memfd_create(name) for name in ("stdout", "stderr")]
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(write)
        for number, file in enumerate(files, 1):
            os.dup2(file, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY) if stdin is None else read, 0)
        sys.argv[:] = argv
        os.environ.update(env)
        os._exit(_ended(work))
    os.close(read)
    with contextlib.suppress(BrokenPipeError), open(write, "wb", buffering=0) as pipe:
        pipe.write(stdin or b"")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    told, complained = (os.pread(file, os.fstat(file).st_size, 0) for file in files)
    for file in files:
        os.close(file)
    return code, told, complained


def _ended(work: Callable[[], int]) -> int:
    """Do it as the interpreter does: its exit code."""
    try:
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (nothing may come back into the process that is forked)
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    return code


def main() -> None:
    from extstorage import (  # noqa: PLC0415 (where librbd may be)
        ctl,
        image_cow,
        image_dedup,
        image_hook,
        image_import,
        image_rbd,
        provider,
        rbd,
        rbd_library,
        rbd_verbs,
        rbd_watchdog,
    )
    from ganeti_ext.entry import run  # noqa: PLC0415 (see above)
    from ganeti_ext.errors import ExtError  # noqa: PLC0415 (see above)
    from tests.contract.extstorage import rbd_steps  # noqa: PLC0415 (see above)

    assert image_cow and image_dedup and image_import and image_rbd and rbd_verbs and rbd_watchdog  # loaded by now
    with contextlib.suppress(ExtError):  # not where no Ceph is
        rbd_library.rados()
        rbd_library.rbd()
    works = dict(zip(PROGRAMS, (ctl.main, lambda: run(image_hook.main), rbd_steps.main), strict=True))
    gc.freeze()
    while True:
        try:
            program, words, env, stdin = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        work = works.get(program, lambda: run(provider.main(rbd)))
        pickle.dump(answer(work, [program, *words], env, stdin), sys.stdout.buffer)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
