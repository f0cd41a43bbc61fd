"""Who may do what with files of the image store: whoever may make files in its directory, root or the front's user."""

from __future__ import annotations

import contextlib
import os
import stat


def share(target: int | str, folder: str) -> None:
    """Let all who may make files in a folder write and remove this one, as far as it is ours to give."""
    owner, mine = os.stat(folder), os.stat(target)
    mode = 0o755 if stat.S_ISDIR(mine.st_mode) else 0o644
    with contextlib.suppress(PermissionError):
        os.chmod(target, mode | (owner.st_mode & 0o020))
        os.chown(target, owner.st_uid if os.geteuid() == 0 else -1, owner.st_gid)


def show(path: str, folder: str) -> None:
    """Let the same read what lies elsewhere, a snapshot that is an image, as far as it is ours to give."""
    with contextlib.suppress(PermissionError, FileNotFoundError):
        os.chown(path, -1, os.stat(folder).st_gid)
        os.chmod(path, 0o640)
