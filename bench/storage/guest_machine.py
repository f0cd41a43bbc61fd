"""A guest at work: QEMU in the bench's root, which is asked over a virtio port."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import root
from bench.process import prefer
from bench.storage import guest_image
from bench.storage.place import NAMESPACE
from ganeti_ext.command import run
from ganeti_ext.errors import CommandError
from lab.step import step

if TYPE_CHECKING:
    from bench.storage.place import Bench

KVM, EMULATED = "kvm", "tcg"
MIB = 256  # of memory
# Seconds to boot in; a quiet machine emulates it in six.
PATIENCE = {KVM: 10.0, EMULATED: 180.0}
_IMAGE, _LOG = "/var/lib/guest.raw", "/var/log/guest.log"  # in the root


class Guest:
    """A shell in a guest that has booted."""

    def __init__(self, port: socket.socket, log: Path) -> None:
        self._port = port
        self._file = port.makefile("rwb")
        self._log = log

    def ready(self, patience: float) -> None:
        """Wait until it has booted."""
        self._port.settimeout(patience)
        if (said := self._line()) != "ready\n":
            raise CommandError(f"the guest was to be ready and said {said!r}")

    def ask(self, line: str, timeout: float = 60) -> str:
        """What a shell's line says there, on stderr too; CommandError when it fails, or says nothing for so long."""
        self._port.settimeout(timeout)
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        code, length = map(int, self._line().split())
        said = self._file.read(length).decode(errors="replace")
        if code != 0:
            raise CommandError(f"in the guest: {line[:200]}: exit code {code}: {said[-1000:]}")
        return said

    def close(self) -> None:
        """It ends when it has done what it was asked."""
        self._file.close()

    def _line(self) -> str:
        try:
            line = self._file.readline()
        except TimeoutError as err:
            raise CommandError(f"the guest said nothing for {self._port.gettimeout():g} s: {self._words()}") from err
        if not line.endswith(b"\n"):
            raise CommandError(f"the guest has ended: {self._words()}")
        return line.decode()

    def _words(self) -> str:
        return self._log.read_text(errors="backslashreplace")[-1000:]


@contextlib.contextmanager
def guest(bench: Bench, accelerator: str, drives: Sequence[str] = ()) -> Iterator[Guest]:
    """A guest with these drives, for the length of a `with` block. CommandError when it does not boot."""
    log = bench.root / _LOG[1:]
    port, theirs = socket.socketpair()
    with port:
        with theirs, log.open("wb") as said:
            # A session of its own: Ctrl-C is for us.
            child = subprocess.Popen(
                root.enter(NAMESPACE, bench.root, *argv(accelerator, drives)),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=said,
                start_new_session=True,
            )
        try:
            prefer(child.pid, bench.size.nice)
            with contextlib.closing(Guest(port, log)) as made:
                made.ready(PATIENCE[accelerator])
                yield made
        finally:
            _end(child)


def accelerator(bench: Bench) -> str:
    """KVM where a guest boots by it: that /dev/kvm opens, or runs a little, does not tell. Takes the image there."""
    target = bench.root / _IMAGE[1:]
    target.parent.mkdir(parents=True, exist_ok=True)
    run(["cp", "--sparse=always", str(guest_image.image(bench)), str(target)])
    if Path("/dev/kvm").exists():
        with step("Trying a guest by KVM"), contextlib.suppress(CommandError), guest(bench, KVM):
            return KVM
    return EMULATED


def argv(accelerator: str, drives: Sequence[str]) -> list[str]:
    """QEMU's command line: Ganeti's default machine, its first disk the guest's own, which forgets what is written."""
    machine = ["-machine", "pc", "-accel", accelerator, "-m", str(MIB), "-no-reboot"]
    nothing = ["-display", "none", "-monitor", "none", "-nic", "none"]
    console = ["-chardev", f"file,id=console,path={_LOG},append=on", "-serial", "chardev:console"]
    system = ["-drive", f"file={_IMAGE},format=raw,if=none,id=system,snapshot=on"]
    system += ["-device", "virtio-blk-pci,drive=system,bootindex=0"]
    port = ["-chardev", "stdio,id=port,signal=off", "-device", "virtio-serial-pci"]
    port += ["-device", "virtserialport,chardev=port,name=bench"]
    # A run that is killed takes it along (PR_SET_PDEATHSIG).
    return ["setpriv", "--pdeathsig=TERM", "qemu-system-x86_64", *machine, *nothing, *console, *system, *port, *drives]


def _end(child: subprocess.Popen[bytes]) -> None:
    """Politely: who dies with an RBD image open keeps others waiting for it."""
    child.terminate()
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
