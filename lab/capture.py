"""Packets on an interface of a node or of the switches, while something is tried."""

from __future__ import annotations

import subprocess
from types import TracebackType

from ganeti_ext.errors import CommandError


class Capture:
    """tcpdump for the length of a `with` block; `lines` are its words afterwards.

    `namespace` is a name of lab.wires: a node's namespace, or SWITCHES. `options` are more of tcpdump's.
    """

    def __init__(self, namespace: str, interface: str, expression: str, *options: str) -> None:
        # At once: what waits in the kernel's buffer at the end would be lost.
        command = ["tcpdump", "-lenn", "--immediate-mode", *options, "-i", interface, expression]
        self._command = ["ip", "netns", "exec", namespace, *command]
        self.lines: list[str] = []

    def __enter__(self) -> Capture:
        pipe = subprocess.PIPE
        self._tcpdump = subprocess.Popen(self._command, stdout=pipe, stderr=pipe, text=True)
        assert self._tcpdump.stderr is not None
        # Frames count from when it says so, not from when it is started.
        for line in self._tcpdump.stderr:
            if "listening on" in line:
                return self
        raise CommandError(f"{' '.join(self._command)}: exit code {self._tcpdump.wait()}")

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tcpdump.terminate()
        said, _ = self._tcpdump.communicate(timeout=10)
        self.lines = [line for line in said.splitlines() if line]
