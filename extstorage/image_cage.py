"""A program that opens what strangers brought: without network, rights, or any file but those it is given.

What the kernel or our rights do not allow is left out, and told: as root a user and a network of its own, everywhere
else Landlock (landlock(7)), a filter of system calls (seccomp(2)) and limits (setrlimit(2)).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import signal
import subprocess
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

NOBODY = 65534
_STACK = 1 << 20  # octets of a thread; QEMU starts many
_GRACE = 5  # seconds of processor time
_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWUSER, _NEWIPC, _NEWNET = 0x10000000, 0x08000000, 0x40000000
_PDEATHSIG, _SECCOMP, _NO_NEW_PRIVS, _FILTER = 1, 22, 38, 2
# linux/landlock.h; the numbers of these calls are the same on all architectures.
_CREATE, _ADD, _RESTRICT, _VERSION, _PATH_BENEATH = 444, 445, 446, 1, 1
_EXECUTE, _WRITE, _READ, _LIST, _TRUNCATE = 1, 2, 4, 8, 1 << 14
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}  # from which version on
_RULE = Struct("=Qi")
_READABLE = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/proc/self", "/sys/devices/system/cpu")
# audit's number of an architecture, and its number of socket(2).
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
_INSTRUCTION = Struct("=HBBI")
_X32 = 0x40000000


class Limits(NamedTuple):
    """Octets of address space and of a file that is written, seconds of processor time."""

    memory: int
    file: int
    seconds: int

    def set(self) -> None:
        pairs = (
            (resource.RLIMIT_AS, self.memory),
            (resource.RLIMIT_FSIZE, self.file),
            (resource.RLIMIT_STACK, _STACK),
            (resource.RLIMIT_NOFILE, 64),
            (resource.RLIMIT_CORE, 0),
        )
        for kind, value in pairs:
            resource.setrlimit(kind, (value, value))
        # At the hard limit comes SIGKILL, which says nothing.
        resource.setrlimit(resource.RLIMIT_CPU, (self.seconds, self.seconds + _GRACE))


def start(argv: Sequence[str], read: int, write: int | None, limits: Limits) -> subprocess.Popen[bytes]:
    """Start a program that gets two descriptors and opens what they are (/proc/self/fd/N), and ends when we do.

    As root the files become nobody's, so that it can. No thread of ours may run.
    """
    fds = [fd for fd in (read, write) if fd is not None]
    if os.geteuid() == 0:
        for fd in fds:
            with contextlib.suppress(PermissionError):  # on a server for whom root is nobody it is nobody's already
                os.fchown(fd, NOBODY, -1)
    mine = os.getpid()

    def confine() -> None:
        _isolate()
        _LIBC.prctl(_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != mine:
            os._exit(1)
        _LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        landlock(fds, [write] if write is not None else [])
        _without_sockets()
        limits.set()

    try:
        return _popen(argv, fds, confine)
    except FileNotFoundError:
        raise ExtError(f"{argv[0]}: not installed; is the package qemu-utils?") from None


def _popen(argv: Sequence[str], fds: list[int], confine: Callable[[], None]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=fds,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "1"},
        cwd="/",
        preexec_fn=confine,  # noqa: PLW1509 (start: no thread runs)
    )


def measures() -> list[str]:
    """What holds a program that `start` starts here."""
    found = ["limits"]
    if os.geteuid() == 0:
        found += ["user", "network"]
    if _landlock_version() > 0:
        found.append("landlock")
    if platform.machine() in _MACHINES:
        found.append("seccomp")
    return sorted(found)


def landlock(readable: Collection[int], writable: Collection[int]) -> bool:
    """Let this process open nothing from now on but the system's programs and these files; False where that cannot be.

    Files that are open stay so.
    """
    version = _landlock_version()
    if version <= 0:
        return False
    handled = next(rights for since, rights in sorted(_FILE_RIGHTS.items(), reverse=True) if version >= since)
    network = 3 if version >= 4 else 0  # to bind to TCP ports and to connect to them: none
    attributes = handled.to_bytes(8, "little") + (network.to_bytes(8, "little") if network else b"")
    rules = _LIBC.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    for path in _READABLE:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        rights = _READ | _EXECUTE | (_LIST if os.path.isdir(path) else 0)
        _allow(rules, fd, rights)
        os.close(fd)
    for fd in readable:
        _allow(rules, fd, _READ)
    for fd in writable:
        _allow(rules, fd, (_READ | _WRITE | _TRUNCATE) & handled)
    done = _LIBC.syscall(_RESTRICT, rules, 0)
    os.close(rules)
    return bool(done == 0)


def _allow(rules: int, fd: int, rights: int) -> None:
    _LIBC.syscall(_ADD, rules, _PATH_BENEATH, _RULE.pack(rights, fd), 0)


def _landlock_version() -> int:
    return int(_LIBC.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION))


def _isolate() -> None:
    """A network of its own, in which there is nothing, and a user who owns nothing."""
    if os.geteuid() != 0:
        _LIBC.unshare(_NEWUSER | _NEWNET)  # where unprivileged users may
        return
    _LIBC.unshare(_NEWNET | _NEWIPC)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _without_sockets() -> None:
    """Have socket(2) fail, of any architecture that this kernel would run."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return
    code = b"".join(_program(*machine))
    text = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    program = Program(len(code) // _INSTRUCTION.size, ctypes.addressof(text))
    _LIBC.prctl(_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)


def _program(architecture: int, socket: int) -> Iterator[bytes]:
    """In the language of linux/filter.h, over struct seccomp_data: call, architecture."""
    load, equal, above, answer = 0x20, 0x15, 0x35, 0x06
    allow, deny, end = 0x7FFF0000, 0x00050000 | 13, 0x80000000  # EACCES; SECCOMP_RET_KILL_PROCESS
    pack: Callable[[int, int, int, int], bytes] = _INSTRUCTION.pack
    yield pack(load, 0, 0, 4)
    yield pack(equal, 1, 0, architecture)
    yield pack(answer, 0, 0, end)
    yield pack(load, 0, 0, 0)
    yield pack(above, 1, 0, _X32)
    yield pack(equal, 0, 1, socket)
    yield pack(answer, 0, 0, deny)
    yield pack(answer, 0, 0, allow)
