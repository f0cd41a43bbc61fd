"""Downloads of images from where tenants say, and nowhere else: no way into a network that is not public.

The address that was checked is the one that is connected to, whatever a name server says a moment later; the target
of a redirection is checked as the first one was.
"""

from __future__ import annotations

import fnmatch
import http.client
import ipaddress
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from ganeti_ext.errors import ExtError

log = logging.getLogger(__name__)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_CHUNK = 1 << 20
_SILENCE = 30.0  # seconds without an octet
_REDIRECTIONS = 5
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"[!-~]{1,2048}", re.ASCII)
_MOVED = (301, 302, 303, 307, 308)
# Addresses that hold one of IPv4 (RFC 6052, RFC 8215, RFC 3056, RFC 4380): it need not be a public one.
_TRANSLATED = [ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")]


class FetchError(ExtError):
    """It cannot be downloaded; the text is fit for a tenant."""

    http_status = 400


class Rules(NamedTuple):
    """What may be asked."""

    hosts: tuple[str, ...]
    """Patterns of names, as *.example.org; with :PORT where it is neither 80 nor 443."""
    networks: tuple[Network, ...] = ()
    """That are not public and are allowed."""

    @classmethod
    def of(cls, hosts: tuple[str, ...], networks: tuple[str, ...]) -> Rules:
        return cls(hosts, tuple(map(ipaddress.ip_network, networks)))

    def check(self, url: str) -> SplitResult:
        """FetchError unless the URL may be asked as far as its text tells."""
        if not _URL.fullmatch(url):
            raise FetchError("uri: expected at most 2048 characters of printable ASCII without blanks")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise FetchError(f"uri: {url!r:.200}: no URL") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise FetchError(f"uri: {url!r:.200}: expected http://HOST/... or https://HOST/...")
        if parts.username is not None or parts.password is not None:
            raise FetchError("uri: a user and a password cannot be part of it")
        if not any(_is_one(parts.hostname, port, pattern.lower()) for pattern in self.hosts):
            raise FetchError(f"uri: images are not to be downloaded from {parts.netloc}")
        return parts

    def allows(self, address: Address) -> bool:
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        if address.version == 6 and (address.is_site_local or any(address in net for net in _TRANSLATED)):
            return False
        special = address.is_multicast or address.is_reserved or address.is_loopback or address.is_link_local
        return address.is_global and not special and not address.is_private


def _is_one(host: str, port: int | None, pattern: str) -> bool:
    name, colon, its_port = pattern.rpartition(":")
    if not colon:
        return port in (None, *_PORTS.values()) and fnmatch.fnmatchcase(host, pattern)
    return its_port in ("*", str(port)) and fnmatch.fnmatchcase(host, name)


Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a name, as texts."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


class Download:
    """One answer's body; to be closed."""

    def __init__(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, end: float) -> None:
        self._connection, self._answer, self._end = connection, answer, end
        self.size = answer.length
        """Octets; None: the server does not say."""

    def __iter__(self) -> Iterator[bytes]:
        """FetchError when it breaks off, or takes too long."""
        size = 0
        while chunk := self._read():
            size += len(chunk)
            yield chunk
        if self.size is not None and size != self.size:
            raise FetchError(f"the download broke off after {size} of {self.size} octets")

    def _read(self) -> bytes:
        if time.monotonic() > self._end:
            raise FetchError("the download took too long")
        try:
            return self._answer.read1(_CHUNK)
        except (OSError, http.client.HTTPException) as err:
            raise FetchError(f"the download broke off: {type(err).__name__}") from err

    def close(self) -> None:
        self._connection.close()


def fetch(url: str, rules: Rules, seconds: float, find: Resolve = resolve) -> Download:
    """Ask for a URL, and for what it is redirected to; all of it within so many seconds."""
    end = time.monotonic() + seconds
    for _ in range(_REDIRECTIONS + 1):
        parts = rules.check(url)
        connection, answer = _ask(parts, rules, find)
        if answer.status == http.HTTPStatus.OK:
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                connection.close()
                raise FetchError(f"uri: the server sends it encoded ({answer.headers['Content-Encoding']:.40})")
            return Download(connection, answer, end)
        connection.close()
        if answer.status not in _MOVED or "Location" not in answer.headers:
            raise FetchError(f"uri: the server answers {answer.status}")
        url = urljoin(url, answer.headers["Location"])
        if parts.scheme == "https" and not url.startswith("https:"):
            raise FetchError("uri: it is redirected from https to what is none")
    raise FetchError(f"uri: it is redirected more than {_REDIRECTIONS} times")


def _ask(
    parts: SplitResult, rules: Rules, find: Resolve
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    host = str(parts.hostname)
    port = parts.port or _PORTS[parts.scheme]
    address = _address(host, port, rules, find)
    connection = http.client.HTTPConnection(host, port, timeout=_SILENCE)
    try:
        sock = socket.create_connection((address, port), timeout=_SILENCE)
        connection.sock = sock
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Accept-Encoding": "identity", "User-Agent": "ganeti-ext"})
        return connection, connection.getresponse()
    except ssl.SSLCertVerificationError as err:
        connection.close()
        raise FetchError(f"uri: the certificate of {host} is not believed: {err.verify_message}") from err
    except (OSError, http.client.HTTPException) as err:
        connection.close()
        log.info("download from %s (%s): %s", host, address, err)
        raise FetchError(f"uri: {host} does not answer: {type(err).__name__}") from err


def _address(host: str, port: int, rules: Rules, find: Resolve) -> str:
    """One that may be connected to. Whether a name is unknown or an inner one's, is not told."""
    try:
        found = find(host, port)
    except (OSError, UnicodeError):
        found = []
    for text in found:
        if rules.allows(ipaddress.ip_address(text.partition("%")[0])):
            return text
    log.info("download from %s: %s", host, f"only {' '.join(found)}" if found else "no address")
    raise FetchError(f"uri: {host} has no address that images may be downloaded from")
