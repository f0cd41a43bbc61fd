"""Where a real Ganeti puts what the front asks it to: its allocator reads the tags and the node group."""

from __future__ import annotations

import json

import pytest

from frontend.effect import translate_create
from frontend.effect.translate import Call, Size
from frontend.effect.translate_create import ANYWHERE, Disk, Place
from tests.contract.ganeti_node import GanetiNode
from tests.contract.kvm_ifup_node import needs_node
from tests.contract.test_seed import finished, prepare

pytestmark = [pytest.mark.lab, needs_node]

GROUP, OTHER = "0ddddddd-0000-4000-8000-000000000001", "0ddddddd-0000-4000-8000-000000000002"
EXCLUSION = "htools:iextags:ganeti-ext:apart"
# One node alone could not take over what runs on another.
ALLOCATOR = '#!/bin/sh\nexec /usr/lib/ganeti/iallocators/hail --no-capacity-checks "$@"\n'


@pytest.fixture(scope="module")
def cluster(ganeti: GanetiNode) -> GanetiNode:
    prepare(ganeti)
    ganeti.write("/usr/local/lib/ganeti/iallocators/lone", ALLOCATOR, 0o755)
    ganeti.run("gnt-cluster", "modify", "--default-iallocator=lone")
    return ganeti


def create(name: str, group: str | None = None, place: Place = ANYWHERE) -> Call:
    facts = {"name": "web", **({"group": group, "apart": group} if group else {})}
    call = translate_create.create(f"gx-{name}", Size(1, 128, 8), Disk("cow", "i"), [], facts, {}, place)
    return call._replace(body={**(call.body or {}), "disk_template": "diskless", "disks": []})


def verdict(cluster: GanetiNode, call: Call) -> str:
    job = finished(cluster, call)
    return str(job["status"]) if job["status"] == "success" else json.dumps(job["opresult"])


def test_two_of_a_group_that_is_to_be_apart_get_no_node_together(cluster: GanetiNode) -> None:
    assert verdict(cluster, create("a1", GROUP)) == "success"
    assert verdict(cluster, create("a2", GROUP)) == "success"  # the cluster was not told that the tag excludes
    cluster.run("gnt-cluster", "add-tags", EXCLUSION)
    told = verdict(cluster, create("a3", GROUP))
    assert "FailTags: 1" in told
    assert "insufficient_resources" in told
    assert [verdict(cluster, create("a4", OTHER)), verdict(cluster, create("a5"))] == ["success", "success"]


def test_a_zone_is_a_node_group(cluster: GanetiNode) -> None:
    assert verdict(cluster, create("z1", place=Place(zone="default"))) == "success"
    cluster.run("gnt-group", "add", "empty")
    assert "insufficient_resources" in verdict(cluster, create("z2", place=Place(zone="empty")))
