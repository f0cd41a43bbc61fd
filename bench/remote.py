"""Functions of a process in a measured root, called from outside: one line of JSON there, one back."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.process import prefer
from ganeti_ext.errors import CommandError


class Remote:
    """A worker process that calls `answer`, until `close`. `log` gets what it says on stderr; `nice` as in nice(1)."""

    def __init__(self, argv: Sequence[str], log: Path, nice: int = 0) -> None:
        with log.open("wb") as file:
            # A session of its own: Ctrl-C is for us.
            self._child = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True, start_new_session=True
            )
        prefer(self._child.pid, nice)
        self._log = log

    def call(self, verb: str, *arguments: object) -> Any:
        """What the function returns; CommandError when it raises."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps([verb, *arguments]) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise CommandError(
                f"{verb}: the worker has ended: {self._log.read_text(errors='backslashreplace')[-2000:]}"
            )
        result, error = json.loads(line)
        if error:
            raise CommandError(f"{verb}: {error}")
        return result

    def close(self) -> None:
        """What it holds vanishes with it."""
        self._child.communicate()


def answer(*verbs: Callable[..., Any]) -> None:
    """Call these functions, by their names, as a Remote asks on stdin, until it closes."""
    named = {verb.__name__: verb for verb in verbs}
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        try:
            said = [named[verb](*arguments), None]
        except Exception:  # noqa: BLE001 (whatever it is, the Remote raises it)
            said = [None, traceback.format_exc()]
        print(json.dumps(said), flush=True)
