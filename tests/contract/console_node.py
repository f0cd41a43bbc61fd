"""A node's console daemon and guests in a Debian 13 root, started as Ganeti would start them; and the front's proxy."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganeti_ext.ask import Daemon, ask
from lab import layer
from tests.lab.clients.box import Box, Program

ROOTS = ("novnc",)
TREE = layer.HERE
CTRL, SCREENS, LOGS = "/run/ganeti/ctrl", "/run/ganeti-ext/vnc", "/run/ganeti-ext/console/log"
KVM, QEMU = f"{TREE}/console/ganeti-ext-kvm", "/usr/bin/qemu-system-x86_64"
PATIENCE = 30.0


def sector(text: bytes, *, flood: bool = False) -> bytes:
    """A disk whose boot sector writes a text to the first serial port, 18 times a second or without a pause."""
    #       xor ax,ax; mov ds,ax; mov si,text;  lodsb; test al,al; jz +6; mov dx,0x3f8; out dx,al; jmp lodsb
    code = "31c0 8ed8 be167c ac 84c0 7406 baf803 ee ebf5" + ("9090" if flood else "fbf4") + "ebea"
    return (bytes.fromhex(code) + text + b"\0").ljust(510, b"\0") + b"\x55\xaa"


class Node:
    """`address` is of the loopback: all nodes listen at the same port, as in a cluster."""

    def __init__(self, name: str, address: str, port: int, front: str, certificate: str) -> None:
        self.name, self.address = name, address
        self.box = Box(name, layer.lower("novnc", ROOTS), network=False)
        try:
            for folder in (CTRL, SCREENS, "/run/ganeti-ext/consoled"):
                self.box.run("mkdir", "-p", "-m", "700", folder)
            self.box.write("/var/lib/ganeti/rapi.pem", certificate, 0o600)
            self.box.write("/etc/ganeti-ext/console-clients.pem", front)
            self.box.write("/var/lib/ganeti/ssconf_instance_list", "")
            self.box.write(
                "/etc/ganeti-ext/console.conf",
                f"[console]\naddress = {address}\nport = {port}\nlog_size = 64\n[kvm]\npath = {QEMU}\n",
            )
            self.daemon = self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> Program:
        daemon = self.box.start(f"{TREE}/console/ganeti-ext-consoled")
        daemon.says("listening on port")
        return daemon

    def close(self) -> None:
        self.box.close()

    def guest(self, name: str, disk: bytes, *more: str, program: str = KVM) -> None:
        """Start one with what Ganeti 3.1 says (hv_kvm/__init__.py), less what a console has nothing to do with."""
        path = f"/srv/{name}.raw"
        self.box.write(path, "")
        self.box.path(path).write_bytes(disk)
        self.box.run(
            *(program, "-name", name, "-m", "16", "-smp", "1"),
            *("-pidfile", f"/run/{name}.pid", "-daemonize", "-machine", "pc", "-boot", "c"),
            *("-monitor", f"unix:{CTRL}/{name}.monitor,server,nowait"),
            *("-serial", f"unix:{CTRL}/{name}.serial,server,nowait", "-usb", "-usbdevice", "tablet"),
            *(("-vnc", "127.0.0.1:5102") if program == KVM else ("-display", "none")),
            *("-net", "none"),
            *("-qmp", f"unix:{CTRL}/{name}.qmp,server,nowait"),
            *("-drive", f"file={path},format=raw,if=ide,snapshot=on", *more),
        )

    def qmp(self, name: str) -> Qmp:
        return Qmp(self.box.path(f"{CTRL}/{name}.qmp"))

    def log(self, name: str) -> bytes:
        """What stands in the file, with what was cut off it."""
        found = (self.box.path(f"{LOGS}/{name}.{ending}") for ending in ("old", "log"))
        return b"".join(path.read_bytes() for path in found if path.exists())

    def serial(self, name: str) -> contextlib.closing[socket.socket]:
        """As `gnt-instance console` does."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(str(self.box.path(f"{CTRL}/{name}.serial")))
        return contextlib.closing(sock)

    def status(self) -> dict[str, Any]:
        path = str(self.box.path("/run/ganeti-ext/consoled/control"))
        (record,) = ask(path, {"do": "status"}, Daemon("ganeti-ext-consoled"))
        return record


class Qmp:
    """QEMU's machine protocol; `event` waits for one."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(path))
        self._file = self._socket.makefile("rb")
        self._next()
        self.do("qmp_capabilities")

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def do(self, command: str, **arguments: object) -> Any:
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            said = self._next()
            assert "error" not in said, said
            if "return" in said:
                return said["return"]

    def event(self, name: str, **data: object) -> None:
        while True:
            said = self._next()
            if said.get("event") == name and data.items() <= said.get("data", {}).items():
                return

    def _next(self) -> dict[str, Any]:
        line = self._file.readline()
        assert line, "QEMU has ended"
        found: dict[str, Any] = json.loads(line)
        return found


def until_read(sock: socket.socket, text: bytes) -> None:
    """Read a guest's serial port until it has said this."""
    found = b""
    while text not in found:
        chunk = sock.recv(4096)
        assert chunk, found
        found = (found + chunk)[-4096:]


def command_lines(pid: int) -> str:
    """Of all processes in a box."""
    there = Path(f"/proc/{pid}/ns/pid").stat().st_ino
    return "\n".join(_command_lines(there))


def _command_lines(there: int) -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal() and (entry / "ns/pid").stat().st_ino == there:
                yield (entry / "cmdline").read_text() + (entry / "environ").read_text(errors="replace")


def certificate() -> str:
    """A key and its certificate as Ganeti makes them (utils/x509.py): version 1, no name of a host."""
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-keyout", "-", "-days", "2", "-subj", "/CN=ganeti.example.com"),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
