"""What the front and a node say to each other of consoles."""

from __future__ import annotations

import socket
import struct

import pytest

from ganeti_ext import consolewire
from ganeti_ext.errors import ExtError
from ganeti_ext.guestname import is_name


def test_an_object_arrives_and_what_follows_stays() -> None:
    here, there = socket.socketpair()
    with here, there:
        consolewire.send(here, {"do": "log", "instance": "gx-1"})
        here.sendall(b"RFB")
        assert consolewire.receive(there) == {"do": "log", "instance": "gx-1"}
        assert there.recv(10) == b"RFB"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "0 of 2"),
        (struct.pack("!H", 5) + b"{}", "2 of 5"),
        (struct.pack("!H", 2) + b"{{", "not JSON"),
        (struct.pack("!H", 2) + b"[]", "expected a JSON object"),
        (struct.pack("!H", 60000) + b"[" * 60000, "not JSON"),
    ],
)
def test_what_is_no_object_is_named(said: bytes, words: str) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.sendall(said)
        here.shutdown(socket.SHUT_WR)
        with pytest.raises(ExtError, match=words):
            consolewire.receive(there)


def test_a_request_is_understood() -> None:
    assert consolewire.request({"do": "screen", "instance": "gx-1"}) == ("screen", "gx-1")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({}, "unknown request 'None'"),
        ({"do": ["log"]}, "unknown request"),
        ({"do": "log"}, "no name of an instance: 'None'"),
        ({"do": "screen", "instance": "../etc/passwd"}, "no name of an instance: '../etc/passwd'"),
    ],
)
def test_a_wrong_request_is_named(record: dict[str, object], words: str) -> None:
    with pytest.raises(ExtError, match=words):
        consolewire.request(record)


def test_an_account_is_understood() -> None:
    assert consolewire.account({"user": "root", "password": " a b "}) == ("root", " a b ")


@pytest.mark.parametrize("user", ["root", "", 7, "a\n"])
@pytest.mark.parametrize("password", [None, "", ["s3cret"], "s3cret\0", "s3cret\ud800"])
def test_a_wrong_account_is_refused_without_its_words(user: object, password: object) -> None:
    with pytest.raises(ExtError) as err:
        consolewire.account({"user": user, "password": password})
    assert "s3cret" not in str(err.value)


@pytest.mark.parametrize("name", ["gx-0c0ffee0-0000-4000-8000-000000000000", "web.example.org", "a", "A_1"])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a\0", "a\n", "ä", "a" * 201, None, 7])
def test_no_names(name: object) -> None:
    assert not is_name(name)
