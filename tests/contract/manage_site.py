"""A site of ganeti-ext-manage in a folder: its configuration, its database, its image store."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select

from frontend.database import db
from frontend.manage.manage_base import SERVICE_USER
from tests.contract.manage_fork import Forks
from tests.unit.frontend import remote

ROOT = Path(__file__).parents[2]
STORAGE = ROOT / "extstorage" / "ganeti-ext-storage"
# With a store of its own: its options stand behind the verb.
_COMMAND = '#!/bin/sh\nverb=$2; shift 2\nexec {python} -I {program} image "$verb" --config {folder} "$@"\n'
MANAGE = ROOT / "frontend" / "ganeti-ext-manage"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@functools.cache
def _forks() -> Forks:
    made = Forks(ENVIRONMENT)
    atexit.register(made.close)
    return made


class Manage:
    """`argv` is the program itself, `run` a fork of one that has been started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = remote.configure(folder)
        for name in ("images", "volumes"):
            (folder / "store" / name).mkdir(parents=True)
        (folder / "cow.conf").write_text(f"[cow]\ndirectory = {folder}/store\nnode = here\n")
        command = folder / "image-command"
        command.write_text(_COMMAND.format(python=sys.executable, program=STORAGE, folder=folder))
        command.chmod(0o755)

    def argv(self, *args: str) -> list[str]:
        return [sys.executable, "-I", str(MANAGE), "--config", str(self.config), *args]

    def run(self, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return _forks().call(["--config", str(self.config), *args], stdin)

    def ok(self, *args: str, stdin: str = "") -> str:
        done = self.run(*args, stdin=stdin)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def refused(self, *args: str, code: int = 1, stdin: str = "") -> str:
        done = self.run(*args, stdin=stdin)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert "Traceback" not in done.stderr
        return done.stderr

    def rows(self, table: Any) -> list[dict[str, Any]]:
        engine = create_engine(f"sqlite:///{self.folder}/front.db")
        with engine.connect() as connection:
            found = db.rows(connection, select(table))
        engine.dispose()
        return found

    def stored(self) -> list[str]:
        folder = self.folder / "store" / "images"
        return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@contextlib.contextmanager
def site() -> Iterator[Manage]:
    """In a folder of the services' user, where there is one: what root makes must be that user's."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        made = Manage(Path(folder))
        if os.geteuid() == 0:
            with contextlib.suppress(LookupError):
                shutil.chown(folder, SERVICE_USER, SERVICE_USER)
                made.folder.chmod(0o2750)  # as the package makes the outbox's directory
        yield made
