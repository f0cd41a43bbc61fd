"""Fuzz the answers of nfdhcpd, guided by coverage: python -m tests.fuzz.run CORPUS... [libFuzzer's options].

    python -m tests.fuzz.seeds build/corpus
    python -m tests.fuzz.run -max_total_time=600 build/corpus tests/data/nfdhcpd/corpus

What is found goes to the first of the directories, what breaks a rule to a file crash-... beside.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["nfdhcpd"]):
    from tests.fuzz.discovery import one


def target(data: bytes) -> None:
    one(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
