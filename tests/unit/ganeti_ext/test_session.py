"""The conversation, without its socket."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ganeti_ext.errors import ExtError
from ganeti_ext.session import LINE, ROOM, SLICE, Session


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def session(*answers: Iterator[Any], clock: Clock | None = None) -> tuple[Session, list[Any]]:
    """A session that gives these answers one after the other, and the requests that it has begun."""
    waiting, asked = list(answers), []

    def begin(request: Any) -> Iterator[Any]:
        asked.append(request)
        return waiting.pop(0)

    return Session(begin, clock or Clock()), asked


def said(found: Session) -> list[Any]:
    """What it has to say until it would wait."""
    text = b""
    while found.writes:
        found.make()
        text += found.out
        found.out.clear()
    return [json.loads(line) for line in text.splitlines()]


def test_an_answer_is_its_records_and_an_end() -> None:
    found, asked = session(iter([{"a": 1}, {"b": 2}]))
    found.take(b'{"do":')
    assert not found.writes
    found.take(b'"it"}\n')
    assert said(found) == [{"a": 1}, {"b": 2}, {"end": True}]
    assert asked == [{"do": "it"}]
    assert found.reads
    assert not found.over


def test_requests_are_answered_one_after_the_other() -> None:
    found, asked = session(iter([{"a": 1}]), iter([{"b": 2}]))
    found.take(b'{"n":1}\n{"n":2}\n')
    assert not found.reads
    found.make()
    assert said(found) == [{"a": 1}, {"end": True}, {"b": 2}, {"end": True}]
    assert asked == [{"n": 1}, {"n": 2}]


def test_after_the_end_of_the_requests_the_answers_are_given_and_it_is_over() -> None:
    found, _ = session(iter([{"a": 1}]), iter([{"b": 2}]))
    found.take(b"{}\n{}")
    found.take(b"")
    assert not found.over
    assert said(found) == [{"a": 1}, {"end": True}, {"b": 2}, {"end": True}]
    assert found.over


def test_a_peer_that_says_nothing_at_all() -> None:
    found, _ = session()
    found.take(b"")
    assert found.over


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"garbage", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"", "not JSON"),
        (b"[" * 4000, "not JSON"),
        (b'["do"]', "a request is a JSON object, not \"['do']\""),
        (b"7", "a request is a JSON object"),
    ],
)
def test_garbage_is_refused_and_the_next_request_is_answered(line: bytes, why: str) -> None:
    found, _ = session(iter([{"a": 1}]))
    found.take(line + b"\n{}\n")
    error, *rest = said(found)
    assert why in error["error"]
    assert rest == [{"a": 1}, {"end": True}]


def test_a_line_without_end_is_refused_for_good() -> None:
    found, _ = session()
    found.take(b"x" * LINE)
    assert found.reads
    found.take(b"x")
    assert said(found) == [{"error": f"a request of more than {LINE} bytes"}]
    assert found.over


def test_an_expected_failure_is_told_in_place_of_the_rest() -> None:
    def fails() -> Iterator[Any]:
        yield {"a": 1}
        raise ExtError("tap9 is gone")

    found, _ = session(fails())
    found.take(b"{}\n")
    assert said(found) == [{"a": 1}, {"error": "tap9 is gone"}]
    assert found.reads


def test_a_failure_at_the_very_begin() -> None:
    def begin(_request: Any) -> Iterator[Any]:
        raise ExtError("unknown")

    found = Session(begin, Clock())
    found.take(b"{}\n")
    assert said(found) == [{"error": "unknown"}]


def test_no_more_is_made_than_the_peer_has_room_for() -> None:
    endless = ({"n": n} for n in itertools.count())
    found, _ = session(endless)
    found.take(b"{}\n")
    for _ in range(3):
        found.make()
    assert ROOM <= len(found.out) <= ROOM + 100
    del found.out[: ROOM // 2]
    found.make()
    assert ROOM <= len(found.out) <= ROOM + 100
    assert [json.loads(line)["n"] for line in found.out.splitlines()[1:3]]


def test_a_call_ends_when_its_time_is_over() -> None:
    clock = Clock()

    def slow() -> Iterator[Any]:
        for n in itertools.count():
            clock.now += SLICE / 4
            yield {"n": n}

    found, _ = session(slow(), clock=clock)
    found.take(b"{}\n")
    found.make()
    assert len(found.out.splitlines()) == 4
    found.make()
    assert len(found.out.splitlines()) == 8


def test_many_bad_requests_at_once_take_no_longer_than_one_slice() -> None:
    clock = Clock()

    class Ticking(Clock):
        def __call__(self) -> float:
            clock.now += SLICE / 10
            return clock.now

    found = Session(lambda _request: iter(()), Ticking())
    found.take(b"\n" * 2000)
    found.make()
    assert len(found.out.splitlines()) <= 11


def test_an_answer_that_waits_neither_reads_nor_writes_until_it_is_resumed() -> None:
    news: list[Any] = [{"a": 1}]

    def watch() -> Iterator[Any]:
        while True:
            yield from news
            news.clear()
            yield None

    found, _ = session(watch())
    found.take(b"{}\n")
    assert said(found) == [{"a": 1}]
    assert (found.reads, found.writes) == (False, False)
    news.append({"b": 2})
    assert said(found) == []
    found.resume()
    assert said(found) == [{"b": 2}]


def test_closing_ends_the_answer() -> None:
    ended: list[bool] = []

    def watch() -> Iterator[Any]:
        try:
            while True:
                yield None
        finally:
            ended.append(True)

    found, _ = session(watch())
    found.take(b"{}\n")
    assert said(found) == []
    found.close()
    assert ended == [True]
