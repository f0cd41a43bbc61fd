"""Where images may be downloaded from: which addresses, hosts, redirections."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from frontend.image.imagefetch import FetchError, Rules, fetch

ALL = Rules(("*",))
LOCAL = Rules.of(("*", "*:*"), ("127.0.0.0/8",))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.0.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fc00::1", "fd00::1", "ff02::1", "fec0::1", "2001:db8::1", "::ffff:10.0.0.1"),
        *("::ffff:127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:a00:1::1", "2001:0:a00:1::1", "::127.0.0.1"),
    ],
)
def test_what_is_not_public_is_not_asked(address: str) -> None:
    assert not ALL.allows(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "151.101.2.132", "2a04:4e42::644", "::ffff:8.8.8.8"])
def test_what_is_public_is(address: str) -> None:
    assert ALL.allows(ip_address(address))


def test_networks_of_the_administrators_own() -> None:
    rules = Rules.of(("*",), ("10.1.0.0/16", "fd00::/64"))
    assert [rules.allows(ip_address(each)) for each in ("10.1.2.3", "fd00::7", "::ffff:10.1.0.1")] == [True] * 3
    assert not rules.allows(ip_address("10.2.0.1"))


@pytest.mark.parametrize(
    ("hosts", "url", "is_allowed"),
    [
        (("*",), "http://a.example/x", True),
        (("*",), "https://a.example:443/x?y=z", True),
        (("*",), "http://a.example:80", True),
        (("*",), "http://a.example:22/x", False),
        (("*",), "http://a.example:8080/x", False),
        (("*.example:8080",), "http://a.example:8080/x", True),
        (("*.example",), "http://A.EXAMPLE/x", True),
        (("*.example",), "http://example/x", False),
        (("*.example",), "http://a.example.evil/x", False),
        (("*.example",), "http://evil/a.example", False),
        (("*.example",), "http://evil@a.example/x", False),
        (("*.example",), "http://a.example@evil/x", False),
        (("*",), "ftp://a.example/x", False),
        (("*",), "file:///etc/passwd", False),
        (("*",), "http:///x", False),
        (("*",), "http://a.example:x/", False),
        (("*",), "http://a.example/\r\nHost: b", False),
        (("*",), "http://a.example/ä", False),
        (("*",), "http://[::1", False),
        ((), "http://a.example/x", False),
    ],
)
def test_hosts(hosts: tuple[str, ...], url: str, is_allowed: bool) -> None:
    if is_allowed:
        Rules(hosts).check(url)
        return
    with pytest.raises(FetchError, match="uri"):
        Rules(hosts).check(url)


ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/image": (200, {"Content-Length": "5"}, b"image"),
    "/short": (200, {"Content-Length": "50"}, b"image"),
    "/packed": (200, {"Content-Encoding": "gzip", "Content-Length": "1"}, b"x"),
    "/moved": (302, {"Location": "/image"}, b""),
    "/again": (302, {"Location": "/again"}, b""),
    "/inside": (302, {"Location": "http://inside.example/image"}, b""),
    "/else": (307, {"Location": "file:///etc/passwd"}, b""),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = ANSWERS.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def find(host: str, _: int) -> list[str]:
    """There is one server; `inside` has an address that is not to be asked."""
    return {"inside.example": ["10.0.0.7"], "none.example": []}.get(host, ["10.0.0.7", "127.0.0.1"])


@pytest.mark.parametrize("path", ["/image", "/moved"])
def test_a_download(port: int, path: str) -> None:
    download = fetch(f"http://a.example:{port}{path}", LOCAL, 60, find)
    assert (download.size, b"".join(download)) == (5, b"image")
    download.close()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/never", "answers 404"),
        ("/again", "more than 5"),
        ("/inside", "no address that images may be downloaded from"),
        ("/else", "expected http://"),
        ("/packed", "encoded"),
    ],
)
def test_no_download(port: int, path: str, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        fetch(f"http://a.example:{port}{path}", LOCAL, 60, find)


def test_one_that_breaks_off_or_lasts(port: int) -> None:
    with pytest.raises(FetchError, match="broke off"):
        b"".join(fetch(f"http://a.example:{port}/short", LOCAL, 60, find))
    with pytest.raises(FetchError, match="too long"):
        b"".join(fetch(f"http://a.example:{port}/image", LOCAL, -1, find))


def test_the_address_that_was_checked_is_asked_whatever_the_name_says_next(port: int) -> None:
    answers = iter([["127.0.0.1"]])
    download = fetch(f"http://a.example:{port}/image", LOCAL, 60, lambda *_: next(answers))
    assert b"".join(download) == b"image"


def test_an_unknown_name_is_told_like_an_inner_one() -> None:
    told = []
    for host in ("inside.example", "none.example"):
        with pytest.raises(FetchError) as raised:
            fetch(f"http://{host}/x", ALL, 60, find)
        told.append(str(raised.value).replace(host, "HOST"))
    assert told[0] == told[1]
