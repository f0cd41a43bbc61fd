"""qemu-img, confined: what a file is, whether it is whole, and its content as a raw file."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from extstorage import image_cage
from extstorage.image_cage import Limits
from extstorage.image_error import Refused
from ganeti_ext.errors import ExtError

if TYPE_CHECKING:
    from extstorage.image_report import Report

_MEMORY = 2 << 30  # octets of address space: threads and buffers take 0.7 GiB of it, tables of a large image the rest
_LOOK, _LOOK_WALL = 30, 60.0  # seconds of processor time, and by the clock
_CHECK, _CHECK_WALL = 120, 600.0
_FIRST, _EACH = 120, 120  # seconds of processor time for a conversion, and for each GiB that was brought
_GIB = 1 << 30
# Data of the disk for each octet that was brought. The densest images of systems have 10; zeros do not count.
RATIO = 100
SPARE = 64 << 20
_PERCENT = re.compile(rb"\((\d+(?:\.\d+)?)/100%\)")
_WORDS = 1 << 16  # octets of what it says that are kept
_PAUSE = 0.1  # seconds between two looks at what is written
_KILLED = {
    -signal.SIGXCPU: "it took too much processor time",
    -signal.SIGXFSZ: "it is more than it said it would be",
    -signal.SIGABRT: "it took too much memory",
    -signal.SIGSYS: "it is no ordinary image",
}
_FULL = re.compile(rb"No space left|Disk quota exceeded|while writing")


class Source(NamedTuple):
    """A file that is what its head says."""

    fd: int
    format: str
    length: int

    @property
    def name(self) -> str:
        """As QEMU opens it: by this driver and no other, without anything beside it."""
        options: dict[str, object] = {"driver": self.format, "read-only": True}
        if self.format in ("qcow2", "vmdk"):
            options["backing"] = None
        options["file"] = {"driver": "file", "filename": f"/proc/self/fd/{self.fd}", "locking": "off"}
        return "json:" + json.dumps(options)


def measure(source: Source) -> int:
    """How many octets the disk has; Refused when it says that it needs anything else."""
    limits = Limits(_MEMORY, 0, _LOOK)
    done, words, _ = _run(["info", "--output=json", source.name], source.fd, limits, _LOOK_WALL)
    found = json.loads(done)
    if found.get("backing-filename") or found.get("full-backing-filename"):
        raise Refused("backing-file", "the image has a backing file: flatten it (qemu-img convert)")
    data = found.get("format-specific", {}).get("data", {})
    if data.get("data-file") or len(data.get("extents", ())) > 1:
        raise Refused("data-file", "the image keeps its data in another file")
    if found.get("encrypted"):
        raise Refused("encrypted", "the image is encrypted")
    if found.get("format") != source.format:
        raise ExtError(f"qemu-img takes a {source.format} for {found.get('format')!r}: {words!r}")
    return int(found["virtual-size"])


def check(source: Source) -> None:
    """Refused when its tables contradict each other or its end is missing."""
    limits = Limits(_MEMORY, 0, _CHECK)
    _, words, code = _run(["check", "-q", source.name], source.fd, limits, _CHECK_WALL, (0, 1, 2, 3, 63))
    if code in (1, 2):
        _tell(words)
        raise Refused("corrupt", "the image is damaged or cut off: qemu-img check finds errors in it")


def convert(source: Source, target: int, size: int, told: Report) -> None:
    """Write the disk's content to an empty file of its size."""
    os.ftruncate(target, size)
    seconds = _FIRST + _EACH * -(-source.length // _GIB)
    options = f"driver=raw,file.driver=file,file.filename=/proc/self/fd/{target},file.locking=off"
    argv = ["convert", "-p", "-n", "--target-is-zero", "-S", "64k", "--target-image-opts", source.name, options]
    process = image_cage.start(["qemu-img", *argv], source.fd, target, Limits(_MEMORY, size, seconds))
    with process:
        try:
            words = _watch(process, target, size, RATIO * source.length + SPARE, told)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise _failure(process.returncode, words)


def _watch(process: subprocess.Popen[bytes], target: int, size: int, most: int, told: Report) -> bytes:
    """Follow a conversion to the end; what it says on stderr. Refused when it writes far more than was brought."""
    assert process.stdout
    assert process.stderr
    out, err = process.stdout.fileno(), process.stderr.fileno()
    words, waiting = b"", {out, err}
    while waiting:
        for fd in select.select(list(waiting), [], [], _PAUSE)[0]:
            text = os.read(fd, 4096)
            if not text:
                waiting.discard(fd)
            elif fd == err:
                words = (words + text)[-_WORDS:]
            elif percents := _PERCENT.findall(text):
                told(int(size * min(100.0, float(percents[-1])) / 100))
        if os.fstat(target).st_blocks * 512 > most:
            raise Refused("bomb", f"the image unfolds to more than {RATIO} times what was brought: it is a bomb")
    return words


def _run(
    argv: list[str], fd: int, limits: Limits, wall: float, codes: tuple[int, ...] = (0,)
) -> tuple[bytes, bytes, int]:
    """What a short run says on stdout and stderr, and its exit code."""
    process = image_cage.start(["qemu-img", *argv], fd, None, limits)
    start = time.monotonic()
    try:
        out, words = process.communicate(timeout=wall)
    except BaseException as err:
        process.kill()
        process.communicate()
        if isinstance(err, subprocess.TimeoutExpired):
            past = time.monotonic() - start
            raise Refused("limits", f"the image cannot be looked at: no end after {past:.0f} s") from None
        raise
    if process.returncode not in codes:
        raise _failure(process.returncode, words)
    return out, words, process.returncode


def _failure(code: int, words: bytes) -> ExtError:
    """Why a run failed: for the image's fault one that its owner may read, whose details are for the administrator."""
    if code in _KILLED:
        return Refused("limits", f"the image cannot be used: {_KILLED[code]}")
    if code < 0:
        return ExtError(f"qemu-img was ended by signal {-code}: {words.decode(errors='replace').strip()}")
    if _FULL.search(words):
        return ExtError(f"qemu-img: {words.decode(errors='replace').strip()}")
    if b"memory" in words:
        return Refused("limits", "the image cannot be used: it took too much memory")
    _tell(words)
    return Refused("corrupt", "the image is damaged or cut off: qemu-img cannot read it")


def _tell(words: bytes) -> None:
    sys.stderr.write(f"qemu-img: {words.decode(errors='replace').strip()[:2000]}\n")
