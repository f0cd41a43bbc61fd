"""What fuzzing has found interesting (tests/fuzz), again and a little further."""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import seeds
from tests.fuzz.discovery import one

ROOT = Path(__file__).parents[3]
CORPUS = ROOT / "tests/data/nfdhcpd/corpus"


@cache
def corpus() -> list[bytes]:
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def test_the_corpus_reaches_every_kind_of_end() -> None:
    ends = {one(data) for data in corpus()}
    assert {"malformed", "spoofed", "other", "nothing", "noted", "ignored", "pass"} <= ends
    assert {"DISCOVER", "REQUEST", "INFORM", "LEASEQUERY", "RS", "NS", "SOLICIT6", "REQUEST6", "CONFIRM6"} <= ends


@given(st.data())
def test_what_is_near_the_corpus(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from(corpus())))
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)) | st.just(len(raw)))
    one(bytes(raw[:cut]) + data.draw(st.binary(max_size=20) | st.just(b"")))


@pytest.mark.skipif(not os.environ.keys() & {"CHECK", "CI"}, reason="five seconds of processor time: set CHECK=1")
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_short_run_guided_by_coverage(tmp_path: Path) -> None:
    seeds.main(tmp_path / "new")
    # A child's peak begins with that of the process it is from, which is this one's (getrusage(2)).
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + 1024  # MiB
    limits = (f"-rss_limit_mb={memory}", "-runs=20000", "-max_len=1500")
    command = [sys.executable, "-m", "tests.fuzz.run", *limits, f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        [*command, str(tmp_path / "new"), str(CORPUS)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
