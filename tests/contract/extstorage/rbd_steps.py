"""Run verbs of the provider `rbd`, and kill them, or stop Ceph, at a step of theirs. Runs inside of the root.

    python3 rbd_steps.py before|after N VERB    kill it (signal 9) before or after its N-th step that changes something
    python3 rbd_steps.py freeze N VERB PID...   stop these processes before its N-th step
    python3 rbd_steps.py never 0 VERB           print how many steps change something, and how many there are in all

A step is a call of librados or librbd. VERB is one of the provider's, or `rollback` or `unlock` of the administrator.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, "/usr/share/ganeti-ext")

from extstorage import provider, rbd, rbd_admin, rbd_library, rbd_verbs
from ganeti_ext.errors import ExtError

CHANGING = {
    *(
        "rados_write_op_operate",
        "rados_blocklist_add",
        "rbd_create4",
        "rbd_clone3",
        "rbd_remove",
        "rbd_resize2",
    ),
    *("rbd_snap_create", "rbd_snap_remove", "rbd_metadata_set", "rbd_flatten", "rbd_rename"),
}


class Counting:
    """A library that counts its steps, and does something at one."""

    changed = 0
    done = 0

    def __init__(self, library: Any, when: str, number: int, pids: list[int]) -> None:
        self._library, self._when, self._number, self._pids = library, when, number, pids

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)

        def step(*arguments: Any) -> Any:
            Counting.done += 1
            Counting.changed += name in CHANGING
            if self._when == "freeze" and Counting.done == self._number:
                for pid in self._pids:
                    os.kill(pid, signal.SIGSTOP)
            mine = name in CHANGING and Counting.changed == self._number
            if mine and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*arguments)
            if mine and self._when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return step


def call(verb: str) -> None:
    settings = rbd.load(f"{os.environ['GANETI_EXT_CONFIG_DIR']}/rbd.conf", {})
    name = os.environ["VOL_NAME"]
    if verb == "rollback":
        rbd_admin.rollback(settings, name, os.environ["VOL_SNAPSHOT_NAME"])
    elif verb == "unlock":
        rbd_admin.unlock(settings, name)
    else:
        provider.main(rbd)(verb, os.environ)


def main() -> int:
    assert rbd_verbs  # loaded by now
    when, number, verb, pids = sys.argv[1], int(sys.argv[2]), sys.argv[3], [int(word) for word in sys.argv[4:]]
    modules = [module for name, module in sys.modules.items() if name.startswith("extstorage.rbd")]
    for name in ("rados", "rbd"):
        library = Counting(getattr(rbd_library, name)(), when, number, pids)
        for module in modules:
            if module is not rbd_library and callable(getattr(module, name, None)):
                setattr(module, name, lambda library=library: library)
    try:
        call(verb)
    except ExtError as err:
        sys.stderr.write(f"{verb}: {err}\n")
        return int(err.exit_code)
    sys.stdout.write(f"{Counting.changed} {Counting.done}\n")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
