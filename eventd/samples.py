"""What the kernel tells of a guest's process and its taps: text of /proc in, numbers out. Pure.

proc(5): proc_pid_stat, proc_pid_statm, proc_pid_io; /proc/net/dev has a line for each interface.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_BEGAN = 8  # octets
# Behind the process' name, which may have blanks and brackets: fields 14, 15 and 22 of all.
_UTIME, _STIME, _STARTED = 11, 12, 19
_HEADER = 2  # lines
_SENT = (
    8  # among an interface's numbers; in front of it what was received. Octets, packets, errors and drops come first
)
_OF_EACH = 4


class Spent(NamedTuple):
    """Of a process, all its threads together. `started` is when, in ticks since the machine's start."""

    ticks: int
    started: int


def spent(stat: str) -> Spent:
    fields = stat.rpartition(")")[2].split()
    return Spent(int(fields[_UTIME]) + int(fields[_STIME]), int(fields[_STARTED]))


def resident(statm: str, page: int) -> int:
    """KiB that are in memory; `page` is how many octets one has."""
    return int(statm.split()[1]) * page // 1024


def disks(io: str) -> tuple[int, int]:
    """Octets that were read from disks and written to them: not those that were in the host's memory anyway."""
    fields = dict(line.split(": ") for line in io.splitlines())
    return int(fields["read_bytes"]), int(fields["write_bytes"])


def interfaces(dev: str) -> dict[str, tuple[int, ...]]:
    """Of each: octets, packets, errors and drops of what who is at its other end received, then of what he sent.

    A tap receives what its guest sends.
    """
    found = {}
    for line in dev.splitlines()[_HEADER:]:
        name, _, numbers = line.partition(":")
        counted = [int(number) for number in numbers.split()]
        found[name.strip()] = (*counted[_SENT : _SENT + _OF_EACH], *counted[:_OF_EACH])
    return found


def is_of(cmdline: str, instance: str) -> bool:
    """Whether this QEMU is the instance's, as Ganeti tells it (hv_kvm, _InstancePidInfo)."""
    words = cmdline.split("\0")
    return any(word == "-name" and name.split(",")[0] == instance for word, name in itertools.pairwise(words))


def began(boot: str, pid: int, started: int, taps: Iterable[str]) -> str:
    """What stands for the moment from which all counters count: another process or NIC, and it is another text.

    It says nothing of the node, which is none of the tenant's business.
    """
    return hashlib.blake2b(f"{boot} {pid} {started} {' '.join(taps)}".encode(), digest_size=_BEGAN).hexdigest()


def owners(claims: Iterable[tuple[str, int, str]]) -> Mapping[str, str]:
    """Whose each tap is, of (tap, time of the file that says so, instance): a file that was left behind is older."""
    return {tap: instance for tap, _, instance in sorted(claims, key=lambda claim: claim[1])}


def sample(instance: str, ticks: int, per_second: int, **values: Any) -> dict[str, Any]:
    """As a message has it (ganeti_ext/event.py)."""
    return {"instance": instance, "cpu_ns": ticks * 10**9 // per_second, **values}
