"""The client: connections that stay, each asking again as soon as it has been answered. It answers bench.remote."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.remote import answer

_PATIENCE = 120.0  # seconds for one answer


def read(
    place: Sequence[Any], path: str, headers: Mapping[str, str], connections: int, seconds: float, least: int
) -> tuple[float, list[float], int]:
    """GET from [address, port], for so many seconds and until there are `least` answers.

    Seconds in all, seconds of each, and how many entries the list has that the first one tells: all have its length.
    """
    entries, length = _first(place, path, headers)
    took: list[list[float]] = [[] for _ in range(connections)]
    began = time.monotonic()

    def one(mine: list[float]) -> None:
        connection = _connect(place)
        while time.monotonic() < began + seconds or sum(map(len, took)) < least:
            start = time.monotonic()
            status, text = _ask(connection, "GET", path, headers)
            mine.append(time.monotonic() - start)
            if status != 200 or abs(len(text) - length) > length // 100 + 64:  # numbers and times in it may change
                raise RuntimeError(f"GET {path}: status {status}, {len(text)} octets, the first answer had {length}")
        connection.close()

    _together([lambda mine=mine: one(mine) for mine in took])  # type: ignore[misc]
    return time.monotonic() - began, [each for mine in took for each in mine], entries


def create(
    place: Sequence[Any], path: str, tokens: Sequence[str], each: int, body: Mapping[str, Any], refusal: int = 202
) -> tuple[float, list[tuple[float, str]]]:
    """A client for each token asks for so many servers, one after the other.

    Seconds in all; of each that is made the seconds to 202, and its id. RuntimeError when one is answered with another
    status, unless that is the `refusal`.
    """
    text = json.dumps(body)
    made: list[tuple[float, str]] = []

    def one(token: str) -> None:
        connection = _connect(place)
        headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
        for _ in range(each):
            start = time.monotonic()
            status, said = _ask(connection, "POST", path, headers, text)
            took = time.monotonic() - start
            if status not in (202, refusal):
                raise RuntimeError(f"POST {path}: status {status}: {said[:300]!r}")
            if status == 202:
                made.append((took, json.loads(said)["server"]["id"]))
        connection.close()

    began = time.monotonic()
    _together([lambda token=token: one(token) for token in tokens])  # type: ignore[misc]
    return time.monotonic() - began, made


def send(
    place: Sequence[Any], headers: Mapping[str, str], wanted: int, calls: Sequence[Sequence[Any]]
) -> list[tuple[float, Any]]:
    """[method, path, body] one after the other on a connection: of each the seconds to its answer, and what that says.

    RuntimeError when one is answered with another status than `wanted`.
    """
    connection, found = _connect(place), []
    for method, path, body in calls:
        start = time.monotonic()
        status, said = _ask(connection, method, path, {**headers, "Content-Type": "application/json"}, json.dumps(body))
        took = time.monotonic() - start
        if status != wanted:
            raise RuntimeError(f"{method} {path}: status {status}: {said[:300]!r}")
        found.append((took, json.loads(said)))
    connection.close()
    return found


def entries(answered: Any) -> int:
    """How many a list has: Compute's is the one value beside its links, the remote API's the answer itself."""
    if isinstance(answered, list):
        return len(answered)
    (found,) = (value for key, value in answered.items() if not key.endswith("_links"))
    return len(found)


def _first(place: Sequence[Any], path: str, headers: Mapping[str, str]) -> tuple[int, int]:
    connection = _connect(place)
    status, text = _ask(connection, "GET", path, headers)
    connection.close()
    if status != 200:
        raise RuntimeError(f"GET {path}: status {status}: {text[:300]!r}")
    return entries(json.loads(text)), len(text)


def _connect(place: Sequence[Any]) -> http.client.HTTPConnection:
    """One that stays, and is made anew when the other end does not keep it."""
    return http.client.HTTPConnection(place[0], place[1], timeout=_PATIENCE)


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, headers: Mapping[str, str], body: str | None = None
) -> tuple[int, bytes]:
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    return response.status, response.read()


def _together(calls: Sequence[Callable[[], None]]) -> None:
    """Each in a thread of its own; the first error of any, once all have ended."""
    failed: list[Exception] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as err:  # noqa: BLE001 (whatever it is, it is raised below)
            failed.append(err)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


if __name__ == "__main__":
    answer(read, create, send)
