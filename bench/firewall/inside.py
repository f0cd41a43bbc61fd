"""The worker on a measured node: makes taps, runs and times programs, sets up many taps at once.

It runs on Debian 13 with the kvm_ifup that is measured, and answers bench.remote.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from collections.abc import Mapping, Sequence

from bench.inotify import DELETE, Watch
from bench.remote import answer
from ganeti_ext import binding, files
from ganeti_ext.config import load
from ganeti_ext.nicenv import Nic
from kvm_ifup import facts, firewall, state
from kvm_ifup import plan as plans
from kvm_ifup.apply import Host
from kvm_ifup.plan import Firewall, Plan
from kvm_ifup.reaper import Reaper
from kvm_ifup.settings import PATH, Settings
from kvm_ifup.state import Records

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 2, 0x1000
_PATIENCE = 20.0

_taps: dict[str, int] = {}


def tap(name: str) -> None:
    """Make a tap as Ganeti does: it lives as long as somebody has it open."""
    _taps[name] = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(_taps[name], _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))


def close(name: str) -> float:
    """Let it vanish, as it does when QEMU ends; milliseconds that the kernel takes."""
    start = time.perf_counter()
    os.close(_taps.pop(name))
    return 1000 * (time.perf_counter() - start)


def timed(argv: list[str], env: Mapping[str, str], stdin: str) -> tuple[float, float]:
    """Run a program to its end: milliseconds by the clock, and of the processor with all that it started."""
    with open(os.memfd_create("stdin"), "w+b") as given, open(os.memfd_create("stderr"), "w+b") as said:
        given.write(stdin.encode())
        given.seek(0)
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), number) for number, file in enumerate((given, said, said))]
        start = time.perf_counter()
        pid = os.posix_spawn(argv[0], argv, env, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - start
        said.seek(0)
        if status != 0:
            raise RuntimeError(f"{argv}: {os.waitstatus_to_exitcode(status)}: {said.read().decode()}")
    return 1000 * wall, 1000 * (usage.ru_utime + usage.ru_stime)


def vanish(name: str) -> float:
    """The same, until the reaper has removed the tap's record, which it does last."""
    folder = os.path.join(state.DIRECTORY, "taps")
    with contextlib.closing(Watch(folder, DELETE)) as deletions:
        start = time.perf_counter()
        close(name)
        while os.path.exists(os.path.join(folder, name)):
            deletions.names(_PATIENCE)
        return 1000 * (time.perf_counter() - start)


def populate(environments: Sequence[Mapping[str, str]]) -> None:
    """Have for many taps what the script would make: records, bindings, then all rules at once, then `ip`.

    All are of one network and one profile.
    """
    settings, records = load(PATH, "network", Settings), Records()
    host = Host(records)
    chosen = firewall.of(Nic.from_env(environments[0]), settings)
    made = [_plan(env, settings, chosen) for env in environments]
    for each in made:
        records.write(each.record)
        if each.binding and each.record.binding:
            files.replace(each.record.binding, binding.render(each.binding))
    Reaper(records, host, settings).restore()
    lines = [line for each in made for _, line in each.steps]
    timed(["/usr/sbin/ip", "-batch", "-"], {}, "\n".join(lines) + "\n")


def texts(env: Mapping[str, str]) -> tuple[str, str]:
    """What nft is told for a tap, and what when it is gone."""
    made = _plan(env, load(PATH, "network", Settings))
    return plans.transaction(made), plans.forget(made.record)


def change(env: Mapping[str, str]) -> str:
    """What nft is told when the tags of a tap that is up become those of this environment; its record says so then."""
    records = Records()
    made, before = _plan(env, load(PATH, "network", Settings)), records.read(env["INTERFACE"])
    records.write(made.record)
    return plans.transaction(made, before)


def undo(name: str) -> None:
    """Undo what a tap's record tells."""
    records = Records()
    record = records.read(name)
    if record is None:
        raise RuntimeError(f"{name} has no record")
    Host(records).undo(record)


def _plan(env: Mapping[str, str], settings: Settings, chosen: Firewall | None = None) -> Plan:
    nic = Nic.from_env(env)
    found = facts.of(nic, plans.lower(nic), settings)
    return plans.plan(env, nic, found, chosen or firewall.of(nic, settings), settings)


if __name__ == "__main__":
    answer(tap, close, timed, vanish, populate, texts, change, undo)
