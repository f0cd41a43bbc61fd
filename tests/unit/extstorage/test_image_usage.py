"""What things take of a store, and whose disks the volumes are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from extstorage import ctl

MIB = 1 << 20


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node with a volume of an instance, one that nobody has, and an image."""
    for name in ("share/volumes", "share/images", "data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "cow.conf").write_text(
        f"[cow]\ndirectory = {tmp_path}/share\nrun_directory = {tmp_path}/run\nnode = a\n"
        f"data_directory = {tmp_path}/data\n"
    )
    (tmp_path / "rbd.conf").write_text(f"[rbd]\nconf = {tmp_path}/no-ceph.conf\n")
    for name, size in (("u.ext.disk0", "2M"), ("lone", "1M")):
        assert ctl.main(["create", "--config", str(tmp_path), name, size]) == 0
    (tmp_path / "share/images/i.raw").write_bytes(b"x" * MIB)
    return tmp_path


def configured(node: Path) -> None:
    """The configuration that a master candidate has."""
    disk = {"dev_type": "ext", "uuid": "d", "name": "vol-1", "size": 2, "logical_id": ["cow", "u.ext.disk0"]}
    owner = {"name": "gx-vol-1", "disks": ["d"], "admin_state": "down", "primary_node": "n"}
    config = {"nodes": {"n": {"name": "a"}}, "disks": {"d": disk}, "instances": {"i": owner}}
    (node / "data/config.data").write_text(json.dumps(config))


def usage(node: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    where = ["--config", str(node), "--ganeti-data", str(node / "data"), "--json"]
    assert ctl.main(["image", "usage", *where]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {row["name"]: row for row in rows}


def test_each_with_its_size_and_its_disk(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for disk, whose in ((None, None), ("vol-1", "gx-vol-1")):
        found = usage(node, capsys)
        assert {name: (row["kind"], row["logical"]) for name, row in found.items()} == {
            "i": ("image", MIB), "lone": ("volume", MIB), "u.ext.disk0": ("volume", 2 * MIB)
        }  # fmt: skip
        assert (found["u.ext.disk0"]["disk"], found["u.ext.disk0"]["instance"]) == (disk, whose)
        assert (found["lone"]["disk"], found["i"]["disk"], found["i"]["store"]) == (None, None, "cow")
        assert found["i"]["physical"] >= MIB
        configured(node)
