"""The tenants' page: files that this service has under /page/, beside the API and before it.

The page is a client of the API as any other: nothing here knows of the database or what a token says, and no address of
the API answers otherwise because of it.
"""

from __future__ import annotations

import functools
import hashlib
import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit

from werkzeug.wrappers import Request, Response

from frontend.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FOLDER = Path(__file__).with_name("static")
PLACE = "/page"
_HTML = "text/html; charset=utf-8"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
_TOKEN = re.compile(r"[\w.=~-]{1,8192}")
_MOST = 16384  # octets of what the single sign-on posts
_YEAR = 31536000  # RFC 9111 1.2.2; of addresses that name what they hold
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Files(NamedTuple):
    """All that there is, read once: nothing else can be asked for."""

    version: str
    """Of all of them together; it is part of their addresses, so a browser may keep them."""
    content: dict[str, bytes]
    """By their names below /page/VERSION/."""


@functools.cache
def files(folder: Path = FOLDER) -> Files:
    content = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES or path.name == "index.html"
    }
    digest = hashlib.sha256(b"".join(name.encode() + b"\0" + content[name] + b"\0" for name in content))
    return Files(digest.hexdigest()[:12], content)


class Served:
    """A WSGI application: the page, and before all else `inner`."""

    def __init__(self, inner: WSGIApplication, settings: Settings) -> None:
        self._inner = inner
        self._files = files()
        self._headers = {**_HEADERS, "Content-Security-Policy": policy(settings)}
        self._index = _index(self._files, settings)
        self._waits = bool(_sign_on(settings))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        ours = path == PLACE or path.startswith(f"{PLACE}/")
        if not ours and not (path in ("", "/") and _is_browser(environ)):
            return self._inner(environ, start_response)
        request = Request(environ)
        answer = self._answer(request, path)
        answer.headers.update(self._headers)
        return answer.make_conditional(request)(environ, start_response)

    def _answer(self, request: Request, path: str) -> Response:
        if request.method == "POST" and path == f"{PLACE}/" and self._waits:
            return self._signed_on(request)
        if request.method not in ("GET", "HEAD"):
            return Response("Only to be read.\n", 405, {"Allow": "GET, HEAD"}, content_type="text/plain")
        if path in ("", "/", PLACE):
            return Response(
                status=302, headers={"Location": f"{request.root_path}{PLACE}/", "Cache-Control": "no-store"}
            )
        name = path.removeprefix(f"{PLACE}/")
        if not name:
            return _whole(self._index.replace(b"@TOKEN@", b""), _HTML, "no-cache")
        version, _, name = name.partition("/")
        if version != self._files.version or name not in self._files.content or name == "index.html":
            return Response("There is no such file.\n", 404, {"Cache-Control": "no-store"}, content_type="text/plain")
        kept = f"public, max-age={_YEAR}, immutable"
        return _whole(self._files.content[name], _TYPES[Path(name).suffix], kept)

    def _signed_on(self, request: Request) -> Response:
        """The page with the token that our own single sign-on posts: in no address, and in nothing that is kept.

        What another site's page posts is refused: it would have its visitor work in an account that is not his.
        """
        if request.headers.get("Sec-Fetch-Site") != "same-origin":  # W3C Fetch Metadata
            return Response("Sign in from the page itself.\n", 403, content_type="text/plain")
        if request.content_length is None or request.content_length > _MOST:
            return Response(f"At most {_MOST} octets.\n", 413, content_type="text/plain")
        token = request.form.get("token", "")
        if not _TOKEN.fullmatch(token):
            return Response("token: expected one\n", 400, content_type="text/plain")
        whole = self._index.replace(b"@TOKEN@", html.escape(token).encode())
        return Response(whole, content_type=_HTML, headers={"Cache-Control": "no-store"})


def policy(settings: Settings) -> str:
    """The Content-Security-Policy: this origin alone, the API's and Keystone's addresses where they are others."""
    named = {_origin(url) for url in (settings.front.public_url, _keystone(settings)) if url}
    # Nobody writes a text into the page as HTML, and the browser is told that nobody may (W3C Trusted Types).
    return "; ".join(
        (
            "default-src 'none'",
            *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "font")),
            " ".join(("connect-src", "'self'", *sorted(named))),
            "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
            "require-trusted-types-for 'script'; trusted-types 'none'",
        )
    )


def _origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urlsplit(url))


def _keystone(settings: Settings) -> str:
    """Where tokens come from, when it is not from here."""
    own = settings.identity.source == "own"
    return "" if own else (settings.keystone.public_url or settings.keystone.url).rstrip("/")


def _sign_on(settings: Settings) -> str:
    """The page's own address, if the single sign-on may post tokens to it."""
    if _keystone(settings) or not settings.federation.secret_file:
        return ""
    return next((each for each in settings.federation.origins if urlsplit(each).path.endswith(f"{PLACE}/")), "")


def _index(found: Files, settings: Settings) -> bytes:
    """The page itself, which says where it has its files and where it gets tokens."""
    keystone = _keystone(settings)
    identity = (keystone if keystone.endswith("/v3") else f"{keystone}/v3") if keystone else "../identity/v3"
    origin = _sign_on(settings)
    websso = f"{identity}/auth/OS-FEDERATION/websso/{settings.federation.protocol}?origin={quote(origin, safe='')}"
    federated = not keystone and settings.federation.secret_file
    said = {
        "VERSION": found.version,
        "IDENTITY": identity,
        "FEDERATION": f"{identity}/auth/OS-FEDERATION/credential" if federated else "",
        "WEBSSO": websso if origin else "",
    }
    text = found.content["index.html"].decode()
    for name, value in said.items():
        text = text.replace(f"@{name}@", html.escape(value))
    return text.encode()


def _is_browser(environ: WSGIEnvironment) -> bool:
    """Whether a person looks: API clients ask for JSON, or for whatever there is."""
    return environ["REQUEST_METHOD"] in ("GET", "HEAD") and "text/html" in environ.get("HTTP_ACCEPT", "")


def _whole(content: bytes, kind: str, kept: str) -> Response:
    answer = Response(content, content_type=kind, headers={"Cache-Control": kept})
    answer.set_etag(hashlib.sha256(content).hexdigest()[:32])
    return answer
