"""The image store as the front sees it: runs of `ganeti-ext-storage image` (docs/images.md), each a process of its own.

What comes from a tenant is looked into there, confined, and never here.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple

from ganeti_ext.errors import CommandError, ExtError

log = logging.getLogger(__name__)

_ABSENT, _REFUSED = 5, 65  # exit codes
_CHUNK = 1 << 20
_SECONDS = 120.0  # for what looks at no content
_PATIENCE = 20.0  # for a process to clean up after SIGTERM


class Refused(ExtError):
    """What was brought is no image that may be had; the text is fit for a tenant."""

    http_status = 400


class Exists(ExtError):
    """There is an image of that id already."""

    http_status = 409


class Stored(NamedTuple):
    """An image that is in the store."""

    size: int
    """Octets of its content, which is raw; the checksums are of that, too."""
    md5: str
    sha256: str
    pool: str | None


class Wanted(NamedTuple):
    """What is to come."""

    ident: str
    format: str
    """raw qcow2 vmdk vdi vhdx, or auto."""
    provider: str | None
    most: int | None
    """Octets, as it comes and as a disk."""
    size: int | None = None
    """Octets that come; None: nobody said."""

    def argv(self, source: str) -> list[str]:
        options = {"--format": self.format, "--provider": self.provider, "--max-size": self.most, "--size": self.size}
        given = [f"{name}={value}" for name, value in options.items() if value is not None]
        return ["import", self.ident, source, "--json", "--hash=md5,sha256", *given]


class Store(NamedTuple):
    """`command` is the program, `raised` what a run of it is done in (the administrator's own rights)."""

    command: str
    raised: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext

    @contextlib.contextmanager
    def receive(self, wanted: Wanted) -> Iterator[Receiver]:
        """For a `with` block that writes the image and ends by `finish`; left without it, nothing stays."""
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
            process = self._start(wanted.argv("-"), stdin=subprocess.PIPE, stdout=said, stderr=errors)
            receiver = Receiver(process, said, errors)
            try:
                yield receiver
            finally:
                receiver.abandon()

    def take(self, wanted: Wanted, path: str, progress: Callable[[Mapping[str, Any]], None]) -> Stored:
        """Make an image of a file of this machine; `progress` hears the command's own lines."""
        with tempfile.TemporaryFile() as errors:
            process = self._start(wanted.argv(path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
            assert process.stdout is not None
            last = b""
            try:
                for line in process.stdout:
                    last = line
                    if (found := _object(line)).keys() >= {"progress"}:
                        progress(found)
                code = process.wait()
            finally:
                _end(process)
                process.stdout.close()
            return _result(code, last, errors)

    def export(self, ident: str, provider: str | None) -> Export:
        """Its content; CommandError when there is none."""
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (Export closes it)
        argv = ["export", ident, *_of(provider)]
        return Export(self._start(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors), errors)

    def remove(self, ident: str, provider: str | None) -> None:
        """Also of one that is not there. Disks that were made of it stay whole."""
        self._run(["remove", ident, "--json", *_of(provider)])

    def has(self, ident: str, provider: str | None) -> bool:
        with tempfile.TemporaryFile() as errors:
            code, _ = self._end_of(["show", ident, "--json", *_of(provider)], b"", errors)
            if code not in (0, _ABSENT):
                raise CommandError(_words(code, errors))
            return code == 0

    def note(self, ident: str, provider: str | None, facts: Mapping[str, Any]) -> None:
        """Write down beside the image what is known of it."""
        self._run(["facts", ident, "--set", "--json", *_of(provider)], json.dumps(facts).encode())

    def listed(self) -> list[dict[str, Any]]:
        """All that lies in the stores, as the command tells it."""
        return [found for line in self._run(["list", "--json"]).splitlines() if (found := _object(line))]

    def _run(self, argv: Sequence[str], stdin: bytes = b"") -> bytes:
        with tempfile.TemporaryFile() as errors:
            code, said = self._end_of(argv, stdin, errors)
            if code:
                raise CommandError(_words(code, errors))
            return said

    def _end_of(self, argv: Sequence[str], stdin: bytes, errors: IO[bytes]) -> tuple[int, bytes]:
        process = self._start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        try:
            said, _ = process.communicate(stdin, timeout=_SECONDS)
        except subprocess.TimeoutExpired as err:
            raise CommandError(f"{self.command} image {argv[0]}: no end after {_SECONDS:g} s") from err
        finally:
            _end(process)
        return process.returncode, said

    def _start(self, argv: Sequence[str], **files: Any) -> subprocess.Popen[bytes]:
        try:
            with self.raised():
                # A group of its own: what a terminal's Ctrl-C ends is this program, which then ends that one.
                return subprocess.Popen([self.command, "image", *argv], process_group=0, **files)
        except OSError as err:
            raise CommandError(f"[images] command: {self.command}: {err.strerror}") from err


class Receiver:
    """The end of a pipe into an import."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[bytes], errors: IO[bytes]) -> None:
        self._process, self._said, self._errors = process, said, errors

    def write(self, data: bytes) -> None:
        """Refused or CommandError when the import has ended before all was there."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except BrokenPipeError:
            self.finish()
            raise CommandError("the import ended well before all was sent") from None

    def finish(self) -> Stored:
        """All is sent: what became of it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        code = self._process.wait()
        self._said.seek(0)
        *_, last = [b"", *self._said.read().splitlines()]
        return _result(code, last, self._errors)

    def kill(self) -> None:
        """From another thread: it has lasted too long."""
        self._process.terminate()

    def abandon(self) -> None:
        """End the process, if it has not ended."""
        _end(self._process)
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()


class Export:
    """An image's content, in pieces; to be closed."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._process, self._errors = process, errors

    def __iter__(self) -> Iterator[bytes]:
        """CommandError when it breaks off."""
        assert self._process.stdout is not None
        while chunk := self._process.stdout.read(_CHUNK):
            yield chunk
        if code := self._process.wait():
            raise CommandError(_words(code, self._errors))

    def close(self) -> None:
        _end(self._process)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


def _of(provider: str | None) -> list[str]:
    return [f"--provider={provider}"] if provider else []


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        log.warning("%s did not end on SIGTERM", process.args)
        process.kill()
        process.wait()


def _result(code: int, last: bytes, errors: IO[bytes]) -> Stored:
    found = _object(last)
    if code == _REFUSED:
        raise Refused(f"The image is refused: {found.get('refused', 'its content is not what it should be')}.")
    if code == _ABSENT:
        raise Exists(_words(code, errors))
    if code:
        raise CommandError(_words(code, errors))
    try:
        return Stored(found["size"], found["md5"], found["sha256"], found.get("pool") or None)
    except KeyError as err:
        raise CommandError(f"import: the last line lacks {err}: {last!r:.200}") from err


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _words(code: int, errors: IO[bytes]) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - 2000))
    said = errors.read().decode(errors="backslashreplace").strip()
    return f"image store: exit code {code}: {said}"
