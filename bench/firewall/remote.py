"""Functions of inside.py, called from outside: one line of JSON there, one back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ganeti_ext.errors import CommandError


class Remote:
    """A worker process, until `close`. `log` gets what it says on stderr."""

    def __init__(self, argv: Sequence[str], log: Path) -> None:
        with log.open("wb") as file:
            # A session of its own: Ctrl-C is for us.
            self._child = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True, start_new_session=True
            )
        self._log = log

    def call(self, verb: str, *arguments: object) -> Any:
        """What the function returns; CommandError when it raises."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps([verb, *arguments]) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            raise CommandError(
                f"{verb}: the worker has ended: {self._log.read_text(errors='backslashreplace')[-2000:]}"
            )
        result, error = json.loads(answer)
        if error:
            raise CommandError(f"{verb}: {error}")
        return result

    def close(self) -> None:
        """Taps that it holds vanish with it."""
        self._child.communicate()
