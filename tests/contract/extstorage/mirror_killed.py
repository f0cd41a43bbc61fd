"""ganeti-ext-storage that dies by SIGKILL before the step of a number, of all that change something.

    python3 -m tests.contract.extstorage.mirror_killed NUMBER all|self ARGUMENT...

With `all` the processes that it has started die, too. Without that many steps it ends as usual.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from extstorage import ctl, ctl_move, mirror_lock, mirror_node
from ganeti_ext import qemusocket

LOOKS = ("query-", "qmp_capabilities")


class Steps:
    """Counts, and kills."""

    def __init__(self, last: int, *, children: bool) -> None:
        self._left, self._children, self._process = last, children, os.getpid()

    def __call__(self) -> None:
        if os.getpid() != self._process:  # the guard goes on
            return
        if not self._left:
            if self._children:
                for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1

    def before(self, owner: Any, name: str, counts: Callable[..., bool] = lambda *_, **__: True) -> None:
        """Count each call of a function that `counts` says."""
        work = getattr(owner, name)

        def counted(*args: Any, **more: Any) -> Any:
            if counts(*args, **more):
                self()
            return work(*args, **more)

        setattr(owner, name, counted)


def main(last: int, who: str, *argv: str) -> int:
    steps = Steps(last, children=who == "all")
    steps.before(ctl_move.Jobs, "modify")
    steps.before(ctl_move.Jobs, "activate")
    steps.before(qemusocket.Monitor, "ask", lambda _, command, *__: not command.startswith(LOOKS))
    steps.before(mirror_lock, "_change")
    for name in ("_verb", "_link", "replace", "remove"):
        steps.before(mirror_node, name)
    return ctl.main(argv)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *sys.argv[2:]))
