"""A node whose daemons live at another time.

All nodes have this machine's clock, and the kernel lets a namespace have another monotonic clock at most. So the
processes that stamp anything see another time of day by libfaketime, as after a step of the node's clock: it can be
stepped while they run. Their timers go on undisturbed, as those of the kernel do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lab.node import Node

_LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
_FILE = "/run/lab-clock"
_ENVIRONMENT = {
    "LD_PRELOAD": _LIBRARY,
    "FAKETIME_TIMESTAMP_FILE": _FILE,
    "FAKETIME_NO_CACHE": "1",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "FAKETIME_DISABLE_SHM": "1",
    "NO_FAKE_STAT": "1",  # files have the kernel's time
}
_GANETI = "/etc/default/ganeti"  # daemon-util hands on what it exports
_UNIT = "ganeti-ext-eventd"
_DROP_IN = f"/run/systemd/system/{_UNIT}.service.d/clock.conf"


@contextlib.contextmanager
def movable(node: Node) -> Iterator[None]:
    """Ganeti's daemons, its jobs and eventd on a node see a time that `step` changes, for the length of the block."""
    step(node, 0)
    before = node.read(_GANETI)
    settings = "".join(f"export {key}={value}\n" for key, value in _ENVIRONMENT.items())
    lines = "".join(f"Environment={key}={value}\n" for key, value in _ENVIRONMENT.items())
    # It reads the file at each look at the clock.
    node.write(_DROP_IN, f"[Service]\n{lines}BindReadOnlyPaths={_FILE}\n")
    node.write(_GANETI, before + settings)
    _restart(node)
    try:
        yield
    finally:
        node.write(_GANETI, before)
        node.run("rm", _DROP_IN)
        _restart(node)


def step(node: Node, seconds: int) -> None:
    """The node's clock is so far ahead of this machine's from now on."""
    # In place: a unit's sandbox keeps the file that it was given.
    node.run("sh", "-c", f"umask 022; echo '{seconds:+d}' > {_FILE}")


def now(node: Node) -> float:
    """What a daemon of that node takes for the time, in seconds since the epoch."""
    return float(node.run("date", "+%s.%N", env=_ENVIRONMENT))


def _restart(node: Node) -> None:
    node.run("/etc/init.d/ganeti", "restart", timeout=120)
    node.run("systemctl", "daemon-reload")
    node.run("systemctl", "restart", _UNIT)
