"""limit and marker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from flask import request

from frontend.web import context
from frontend.web.fault import BadRequest

T = TypeVar("T", bound=Mapping[str, Any])


class Page(NamedTuple):
    limit: int
    marker: str | None


def asked() -> Page:
    """What the request's query asks for; never more than max_page."""
    cap = context.services().settings.front.max_page
    return Page(min(number("limit", cap), cap), request.args.get("marker"))


def number(name: str, default: int = 0, digits: int = 9) -> int:
    """A number from 0 in the request's query; up to nine digits fit into a database's integer."""
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= digits):
        raise BadRequest(f"{name}: {text!r} is no number from 0 of at most {digits} digits")
    return int(text)


def cut(entries: Sequence[T], page: Page) -> tuple[Sequence[T], bool]:
    """The entries after the marker, and whether more follow. Entries have an "id"."""
    first = 0
    if page.marker is not None:
        known = [entry["id"] for entry in entries]
        if page.marker not in known:
            raise BadRequest(f"marker: {page.marker!r} was not found")
        first = known.index(page.marker) + 1
    return entries[first : first + page.limit], len(entries) > first + page.limit


def next_path(last: str) -> str:
    """The path of this request's next page."""
    query = [(key, value) for key, value in request.args.items(multi=True) if key != "marker"]
    return f"{request.path}?{urlencode([*query, ('marker', last)])}"


def next_link(shown: Sequence[Mapping[str, Any]], more: bool) -> list[dict[str, str]]:
    """Links to add under KIND_links; none on the last page and on an empty one."""
    if not (more and shown):
        return []
    return [{"rel": "next", "href": context.base() + next_path(shown[-1]["id"])}]
