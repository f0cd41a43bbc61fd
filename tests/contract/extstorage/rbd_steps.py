"""Run verbs of the provider `rbd` and kill them at each step that changes something in Ceph. Runs inside of the root.

    python3 rbd_steps.py before|after N VERB    kill it (signal 9) before or after its N-th step
    python3 rbd_steps.py never 0 VERB           print how many steps it takes

The steps are all functions of librados and librbd by which something is changed.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

sys.path.insert(0, "/usr/share/ganeti-ext")

from extstorage import provider, rbd, rbd_library, rbd_repair, rbd_verbs

STEPS = {
    *("rados_write_op_operate", "rados_blocklist_add", "rbd_create4", "rbd_clone3", "rbd_remove", "rbd_resize2"),
    *("rbd_snap_create", "rbd_snap_remove", "rbd_metadata_set", "rbd_flatten"),
}


class Counting:
    """A library that counts its steps, and kills us at one."""

    done = 0

    def __init__(self, library: Any, when: str, number: int) -> None:
        self._library, self._when, self._number = library, when, number

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)
        if name not in STEPS:
            return function

        def step(*arguments: Any) -> Any:
            Counting.done += 1
            mine = Counting.done == self._number
            if mine and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments)
            if mine and self._when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return step


def main(when: str, number: int, verb: str) -> None:
    assert rbd_repair and rbd_verbs  # loaded by now
    modules = [module for name, module in sys.modules.items() if name.startswith("extstorage.rbd")]
    for name in ("rados", "rbd"):
        library = Counting(getattr(rbd_library, name)(), when, number)
        for module in modules:
            if module is not rbd_library and callable(getattr(module, name, None)):
                setattr(module, name, lambda library=library: library)
    provider.main(rbd)(verb, os.environ)
    sys.stdout.write(f"{Counting.done}\n")


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
