"""Which node this is, and which ones Ganeti knows to be down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from extstorage import node
from extstorage.lock import EXCLUSIVE, SHARED


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    host = os.uname().nodename.lower()
    (tmp_path / "ssconf_node_list").write_text(f"{host}.example.org\nb.example.org\nc.example.org\n")
    (tmp_path / "ssconf_offline_nodes").write_text("c.example.org\n")
    return tmp_path


def test_a_node_has_the_name_that_ganeti_gave_it(cluster: Path) -> None:
    host = os.uname().nodename.lower()
    assert node.this(str(cluster)).name == f"{host}.example.org"
    assert node.this(str(cluster / "nothing")).name == host
    assert node.this(str(cluster), "b.example.org").name == "b.example.org"
    (cluster / "ssconf_node_list").write_text(f"{host}.a.org\n{host}.b.org\n")
    assert node.this(str(cluster)).name == host


def test_offline_or_gone_is_down_and_silence_is_not(cluster: Path) -> None:
    here = node.this(str(cluster))
    assert here.down("b.example.org") == ""
    assert here.down("c.example.org") == "Ganeti has it offline"
    assert here.down("gone.example.org") == "it is not of this cluster"
    assert node.this(str(cluster / "nothing")).down("b.example.org") == ""


def test_a_holder_carries_this_boot(cluster: Path) -> None:
    found = node.this(str(cluster), "n").holder(exclusive=True)
    assert (found.node, found.mode, found.boot) == ("n", EXCLUSIVE, node.boot())
    assert len(found.boot) == 36
    assert found.since.endswith("Z")
    assert node.this(str(cluster), "n").holder(exclusive=False).mode == SHARED
