"""What plays Ganeti's remote API takes creates as the front submits them, and finds them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.api import ganeti
from frontend.effect import lostjob
from ganeti_ext.errors import RapiError, RapiLost
from ganeti_ext.rapi import Rapi
from tests.unit.frontend.remote import certificate


@pytest.fixture
def queue() -> ganeti.Queue:
    return ganeti.Queue()


@pytest.fixture
def rapi(tmp_path: Path, queue: ganeti.Queue) -> Iterator[Rapi]:
    made = certificate(tmp_path)
    both = tmp_path / "both.pem"
    both.write_text(made.read_text() + (tmp_path / "key.pem").read_text())
    server = ganeti.serve(str(both), 0, queue.answer)
    yield Rapi(f"https://127.0.0.1:{server.server_address[1]}", "u", "p", str(made), 5)
    server.server_close()


def test_a_create_is_a_job_and_a_call(rapi: Rapi, queue: ganeti.Queue) -> None:
    first, second = (rapi.submit("POST", "instances", {"instance_name": name}) for name in ("gx-a", "gx-b"))
    assert second == first + 1
    assert queue.made() == ["gx-a", "gx-b"]
    assert queue.calls() == {"POST /2/instances": 2}


def test_a_create_whose_answer_was_lost_is_there(rapi: Rapi, queue: ganeti.Queue) -> None:
    queue.lose(2)
    first = rapi.submit("POST", "instances", {"instance_name": "gx-a"})
    with pytest.raises(RapiLost):
        rapi.submit("POST", "instances", {"instance_name": "gx-b"})
    assert lostjob.find_create(rapi, "gx-b") == first + 1
    assert lostjob.find_create(rapi, "gx-c") is None
    assert queue.made() == ["gx-a", "gx-b"]


def test_every_call_counts(rapi: Rapi, queue: ganeti.Queue) -> None:
    with pytest.raises(RapiError):
        rapi.get("instances")
    assert queue.calls() == {"GET /2/instances": 1}
