"""Names of routing tables, and the conversation with the kernel. Real routes are in tests/contract."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext.errors import ContractError
from kvm_ifup import uplink

LOOPBACK = 1


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body + bytes(-len(body) % 4)


def route(*, table: int = 100, ifindex: int = LOOPBACK, length: int = 0, odd: bytes = b"") -> bytes:
    header = struct.pack("=8BI", 2, length, 0, 0, 0, 4, 0, 1, 0)
    return message(24, header + struct.pack("=HHIHHI", 8, 15, table, 8, 4, ifindex) + odd)


def end(code: int = 0, kind: int = 3) -> bytes:
    return message(kind, struct.pack("=i", code))


class Kernel:
    """Stands for a netlink socket; `asked` is what it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.asked = b""
        self.closed = False

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True

    def setsockopt(self, *option: int) -> None:
        assert option == (270, 12, 1)

    def send(self, data: bytes) -> None:
        self.asked = data

    def recv(self, room: int) -> bytes:
        assert room >= 1 << 15  # netlink(7): a part of a dump has up to 32 KiB
        return self._answers.pop(0)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    vendor, own = tmp_path / "usr", tmp_path / "etc"
    monkeypatch.setattr(uplink, "NAMES", (str(vendor), str(own)))
    return vendor, own


def ask(monkeypatch: pytest.MonkeyPatch, *answers: bytes, table: str = "100", version: int = 4) -> tuple[str, Kernel]:
    kernel = Kernel(*answers)

    def opened(*_: Any) -> Kernel:
        return kernel

    monkeypatch.setattr(socket, "socket", opened)
    name = uplink.find(table, version)
    assert kernel.closed
    return name, kernel


def test_the_question_names_family_and_table(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, family in ((4, 2), (6, 10)):
        name, kernel = ask(monkeypatch, route(), end(), version=version)
        assert name == "lo"
        assert struct.unpack_from("=IHH", kernel.asked) == (len(kernel.asked), 26, 0x301)
        assert kernel.asked[16] == family
        assert kernel.asked[28:] == struct.pack("=HHI", 8, 15, 100)


def test_an_answer_of_many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    subnet = route(length=24, ifindex=99)
    assert ask(monkeypatch, subnet * 3, subnet + route(odd=b"\5\0\x63\0a"), subnet, end())[0] == "lo"
    assert ask(monkeypatch, subnet + route() + end())[0] == "lo"


def test_routes_of_other_tables_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ContractError, match="'100' has no usable default route of IPv4, but no route at all"):
        ask(monkeypatch, route(table=101) + end())


def test_what_was_found_is_told_and_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ContractError, match=r"'100' .*IPv6, but default(, default){4} and 2 more$"):
        ask(monkeypatch, route(length=24) * 7 + end(), version=6)


@pytest.mark.parametrize("kind", [2, 3])
def test_a_table_that_is_not_there_has_no_routes(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    with pytest.raises(ContractError, match="no route at all"):
        ask(monkeypatch, end(-errno.ENOENT, kind))


@pytest.mark.parametrize("kind", [2, 3])
def test_a_refusal_is_an_error(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    with pytest.raises(OSError, match="dump of routes: Operation not permitted"):
        ask(monkeypatch, end(-errno.EPERM, kind))


@pytest.mark.parametrize(
    ("table", "number"), [("100", 100), ("0x64", 100), ("main", 254), ("local", 255), ("default", 253)]
)
def test_numbers_and_the_kernels_own_names(folders: tuple[Path, Path], table: str, number: int) -> None:
    assert uplink._number(table) == number


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("snf_public", r"no routing table is called 'snf_public' in .*/usr or .*/etc"),
        ("all", "no routing table is called 'all'"),
        ("", "no routing table is called ''"),
        ("0", "'0' is no routing table: its number is 0"),
        ("-1", "'-1' is no routing table"),
        ("4294967296", "'4294967296' is no routing table"),
    ],
)
def test_what_is_no_table_is_told(folders: tuple[Path, Path], table: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        uplink._number(table)


def test_names_are_found_where_ip_finds_them(folders: tuple[Path, Path]) -> None:
    vendor, own = folders
    for folder in folders:
        (folder / "rt_tables.d").mkdir(parents=True)
    (vendor / "rt_tables").write_text("254 main\n10 vendors\n")
    (vendor / "rt_tables.d" / "a.conf").write_text("11 a\n")
    (vendor / "rt_tables.d" / "b.conf").write_text("12 b\n")
    (own / "rt_tables.d" / "b.conf").write_text("13 c\n14 77\n")
    (own / "rt_tables.d" / "README").write_text("15 readme\n")
    found = {}
    for name in ("main", "vendors", "a", "b", "c", "77", "readme"):
        try:
            found[name] = uplink._number(name)
        except ContractError:
            continue
    assert found == {"main": 254, "vendors": 10, "a": 11, "c": 13, "77": 14}
    (own / "rt_tables").write_text("254 main\n")
    with pytest.raises(ContractError, match="'vendors'"):
        uplink._number("vendors")
