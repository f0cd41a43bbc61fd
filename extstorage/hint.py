"""Which loop device this node gave to a volume: a file in /run that is its lock too.

Loops belong to the kernel, not to a node: containers on one kernel see each other's, so a hint alone proves
nothing. A loop that we bind therefore carries the node's mark (see `mark`), set in the same atomic ioctl.
"""

from __future__ import annotations

import fcntl
import os

from ganeti_ext.errors import ExtError
from ganeti_ext.files import Lock, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

WIDTH = 10


class Hint:
    """The number of a volume's loop, held under an exclusive flock for the length of a `with` block.

    One write of fixed width changes it, so a kill leaves the old or the new one. A file that names no loop is
    removed at the end: unlike `files.Lock`, taking the lock therefore ends with a look whether the file is still there.
    """

    def __init__(self, directory: str, name: str) -> None:
        self.name = name
        self.directory = directory
        self._path = os.path.join(directory, name)
        self.number: int | None = None

    def __enter__(self) -> Hint:
        while True:
            self._fd = self._open()
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.fstat(self._fd).st_nlink:
                break
            os.close(self._fd)  # its last owner removed it while we waited
        text = os.read(self._fd, WIDTH).strip()
        self.number = int(text) if text.isdigit() else None
        return self

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return os.open(self._path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(self.directory, 0o755, exist_ok=True)
            return os.open(self._path, flags, 0o600)

    def note(self, number: int) -> None:
        """Write down which loop is about to be bound."""
        os.pwrite(self._fd, b"%-*d" % (WIDTH, number), 0)
        self.number = number

    def forget(self) -> None:
        """The volume has no loop."""
        self.number = None

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.number is None and os.fstat(self._fd).st_nlink:
                os.unlink(self._path)
        finally:
            os.close(self._fd)


def mark(directory: str, name: str) -> bytes:
    """What this node's loop of a volume carries in lo_file_name: the node's random token and the volume's name."""
    return f"{_token(directory)}:{name}".encode()


def names(directory: str) -> list[str]:
    """Volumes that may have a loop here."""
    try:
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))
    except FileNotFoundError:
        return []


def _token(directory: str) -> str:
    path = os.path.join(directory, ".node")
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    with Lock(os.path.join(directory, ".node.lock")):
        try:
            return _read(path)
        except FileNotFoundError:
            replace(path, os.urandom(4).hex())
    return _read(path)


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(fd, 64).decode()
    finally:
        os.close(fd)
    if len(text) != 8:
        raise ExtError(f"{path} should hold eight hexadecimal digits, found {text!r}")
    return text
