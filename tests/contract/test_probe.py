"""A probe from the administrator's command through job file, real eventd, real outbox and real consumer, and back."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganeti_ext.event import HEARTBEAT_TAG
from tests.contract.eventd_node import HERE, Node
from tests.contract.test_monitor import Site
from tests.unit.frontend import remote

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl")


class Cluster:
    """Ganeti, whose remote API leaves the jobs that it takes in the queue of a node with our eventd."""

    def __init__(self, folder: Path) -> None:
        (folder / "node").mkdir()
        self.node = Node(folder / "node")
        self.site = Site(folder)
        self.site.answers["tags"] = self._tag

    def _tag(self, query: dict[str, list[str]]) -> int:
        job = json.loads((HERE / "data/jobs/heartbeat.json").read_text())
        job["ops"][0]["input"] |= {"tags": query["tag"], "dry_run": query["dry-run"] == ["1"]}
        self.node._replace(self.node.path / "queue/job-17", json.dumps({**job, "id": 17}))
        return 17


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path)
    with remote.serving(tmp_path, found.site.answers) as url:
        config = remote.configure(tmp_path, url)
        text = config.read_text().replace(f"outbox:{tmp_path}/outbox.db", f"outbox:{tmp_path}/node/state/outbox.db")
        config.write_text(text)
        yield found
    found.node.close()


def test_a_probe_comes_back_at_once(cluster: Cluster) -> None:
    cluster.node.start()
    with cluster.site.daemon("ganeti-ext-consumer"):
        done = cluster.site.run("ganeti-ext-manage", "health", "--probe", "--json")
    told = json.loads(done.stdout)["parts"]["probe"]
    assert told["ok"], done.stdout
    assert told["took"] < 5


def test_one_that_eventd_tells_of_later_is_not_lost(cluster: Cluster) -> None:
    with cluster.site.daemon("ganeti-ext-consumer"):
        done = cluster.site.run("ganeti-ext-manage", "health", "--probe")
        assert "its message did not come within 10 s: see eventd on the master" in done.stdout
        assert done.returncode == 1
        cluster.node.start()
        end = time.monotonic() + 20
        while "came through" not in (said := cluster.site.run("ganeti-ext-manage", "health").stdout):
            assert time.monotonic() < end, said


def test_the_tag_is_of_the_kind_that_eventd_knows() -> None:
    job = json.loads((HERE / "data/jobs/heartbeat.json").read_text())
    assert job["ops"][0]["input"]["tags"][0].startswith(HEARTBEAT_TAG)
