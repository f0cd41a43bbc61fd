"""The guest's own shell script runs here, at the other end of a socket instead of a virtio port."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.storage import guest_image, guest_machine
from bench.storage.guest_machine import Guest
from ganeti_ext.errors import CommandError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text("qemu: words of the machine\n")
    return path


@pytest.fixture
def guest(tmp_path: Path, log: Path) -> Iterator[Guest]:
    port, theirs = socket.socketpair()
    begin, end = guest_image._INIT.index("echo ready"), guest_image._INIT.index("reboot")
    script = f"exec 3<&0\n{guest_image._INIT[begin:end]}".replace("/tmp/said", str(tmp_path / "said"))
    # fd 3 of the script is its end of the socket, for reading and writing.
    with port, theirs, subprocess.Popen(["/bin/sh", "-c", script], stdin=theirs.fileno()) as shell:
        theirs.close()
        made = Guest(port, log)
        made.ready(10)
        yield made
        made.close()
        port.shutdown(socket.SHUT_RDWR)
        assert shell.wait(10) == 0, "the guest goes on though nobody is there"


def test_a_line_is_done_by_a_shell_and_all_that_it_says_comes_back(guest: Guest) -> None:
    assert guest.ask("for number in 1 2; do echo $number; done; echo 3 >&2") == "1\n2\n3\n"
    assert guest.ask("true") == ""
    assert guest.ask("head -c 300000 /dev/zero | tr '\\0' x; echo '{\"a\": \"b c\"}'").endswith('x{"a": "b c"}\n')


def test_a_line_that_fails_is_an_error_with_its_words_and_the_guest_goes_on(guest: Guest) -> None:
    with pytest.raises(CommandError, match=r"in the guest: .*: exit code 3: no such disk"):
        guest.ask("echo no such disk; exit 3")
    assert guest.ask("echo still here") == "still here\n"


def test_a_guest_that_does_not_answer_in_time_is_an_error_with_the_machines_words(log: Path) -> None:
    port, silent = socket.socketpair()
    with port, silent, pytest.raises(CommandError, match=r"said nothing for 0\.01 s: qemu: words of the machine"):
        Guest(port, log).ask("true", 0.01)


@pytest.mark.parametrize("last", [b"", b"rea"])
def test_a_guest_that_ends_is_an_error_with_the_machines_words(log: Path, last: bytes) -> None:
    port, theirs = socket.socketpair()
    with port:
        theirs.sendall(last)
        theirs.close()
        with pytest.raises(CommandError, match="the guest has ended: qemu: words of the machine"):
            Guest(port, log).ready(10)


def test_the_guests_own_disk_comes_first_and_forgets_and_no_guest_starts_twice() -> None:
    words = guest_machine.argv("tcg", ["-device", "virtio-blk-pci,drive=disk-0"])
    first = next(word for word in words if word.startswith("virtio-blk-pci"))
    assert first == "virtio-blk-pci,drive=system,bootindex=0"
    assert next(word for word in words if "id=system" in word).endswith("snapshot=on")
    assert "-no-reboot" in words and words[-1] == "virtio-blk-pci,drive=disk-0"


def test_the_files_that_a_program_needs_are_those_that_ldd_names() -> None:
    said = (
        "\tlinux-vdso.so.1 (0x00007ffd)\n"
        "\tlibaio.so.1t64 => /lib/x86_64-linux-gnu/libaio.so.1t64 (0x00007f1)\n"
        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n"
    )
    assert guest_image.libraries(said) == ["/lib/x86_64-linux-gnu/libaio.so.1t64", "/lib64/ld-linux-x86-64.so.2"]
