"""A Debian 13 root that daemons run in, in a network namespace of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.notice import Notice
from bench.process import Process, Where, running
from bench.root import OURS, enter
from ganeti_ext.command import run


@dataclass(frozen=True)
class Daemons:
    """`where` names the namespace, and the root again."""

    root: Path
    where: Where

    def file(self, path: str) -> Path:
        """A file of the root, whose directory is there then."""
        found = self.root / path[1:]
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def run(self, *argv: str) -> str:
        return run(enter(self.where.namespace, self.root, *argv), timeout=60)

    @contextlib.contextmanager
    def daemon(self, name: str, *argv: str, env: tuple[tuple[str, str], ...] = ()) -> Iterator[Process]:
        """A program that says when it is ready, from then to the end of the block."""
        path = f"/run/notify-{name}"
        told = {"NOTIFY_SOCKET": path, "PYTHONPATH": OURS, **dict(env)}
        with (
            Notice(self.root / path[1:]) as notice,
            running(argv, self.where, self.file(f"/var/log/bench-{name}.log"), told) as process,
        ):
            notice.wait(name, process)
            yield process

    def certificate(self, path: str) -> None:
        """Make a self-signed certificate, with its key, in one PEM file."""
        subject = ("-nodes", "-days", "2", "-subj", "/CN=rapi", "-keyout", path, "-out", f"{path}.crt")
        self.file(path)
        self.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *subject)
        with self.file(path).open("a", encoding="ascii") as both:
            both.write(self.file(f"{path}.crt").read_text(encoding="ascii"))
