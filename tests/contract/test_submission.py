"""The question by which a create is found again, put to the real Ganeti."""

from __future__ import annotations

import json
import os

import pytest

from frontend.effect import lostjob
from tests.contract.ganeti_node import NAME, GanetiNode

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces: needs root")
_ASK = """
import json, sys
sys.path.insert(0, "/usr/share/ganeti/default")
from ganeti import cli
found = cli.GetClient().Query("job", ["id", "ops"], json.load(sys.stdin))
print(json.dumps([[row[0][1], row[1][1][0]["OP_ID"], row[1][1][0]["instance_name"]] for row in found.data]))
"""


def test_a_create_is_found_by_its_instance_and_by_no_other(ganeti: GanetiNode) -> None:
    def asked(instance: str, after: int = 0) -> list[list[object]]:
        found: list[list[object]] = json.loads(
            ganeti.run("python3", "-c", _ASK, stdin=json.dumps(lostjob.creates_of(instance, after)))
        )
        return found

    for name in ("gx-0a1b-22", "gx-0a1b-2"):
        options = ("--disk-template=diskless", "--os-type=none", "--no-name-check", "--no-ip-check", "--no-start")
        ganeti.run("gnt-instance", "add", f"--node={NAME}", *options, name, patience=60)
    ((job, kind, instance),) = asked("gx-0a1b-22")
    assert (kind, instance) == ("OP_INSTANCE_CREATE", "gx-0a1b-22")
    assert isinstance(job, int)
    assert asked("gx-0a1b-22", job) == []
    ((other, *_),) = asked("gx-0a1b-2")
    assert other != job
    assert asked("gx-0a1b") == asked("gx-0a1b-.*") == []
