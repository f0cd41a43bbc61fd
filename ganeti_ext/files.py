"""Files that other processes read or write at the same time."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def replace(path: str, text: str, *, mode: int = 0o644, sync: bool = True) -> None:
    """Write a file so that a reader sees the old content or the new, never half.

    Without `sync` that is not so after a loss of power. The draft's name starts with a dot: whoever watches the
    directory skips such names.
    """
    content = text.encode()
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{os.getpid()}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(fd, mode)  # the umask of whoever called us does not count
            if sync:
                os.fsync(fd)
        os.rename(draft, path)
    except OSError:
        remove(draft)
        raise


def abandoned(folder: str) -> list[str]:
    """Paths of the drafts in a folder whose writers were killed; none where there is no such folder."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    drafts = [name for name in names if name.startswith(".") and name.rpartition(".")[2].isdecimal()]
    return [os.path.join(folder, name) for name in drafts if not os.path.exists(f"/proc/{name.rpartition('.')[2]}")]


def remove(path: str) -> bool:
    """Remove a file; tell whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def stamp(path: str) -> object:
    """Which file it is now: another one, if anything of it has changed. None without one."""
    try:
        seen = os.stat(path)
    except FileNotFoundError:
        return None
    return (seen.st_ino, seen.st_mtime_ns, seen.st_size)


def taken(file: int) -> bool:
    """Take an exclusive flock on an open file without waiting; False when another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Lock:
    """An exclusive flock for the length of a `with` block; freed by the kernel if we die."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> Lock:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
