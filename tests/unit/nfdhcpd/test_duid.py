from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.dhcp6 import DUID_UUID

from ganeti_ext.errors import ConfigError
from nfdhcpd import duid

OWN = "00:03:00:01:02:00:00:00:00:01"


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    path = tmp_path / "ssconf_cluster_name"
    path.write_text("cluster.example\n")
    return path


def test_the_default_is_one_of_rfc_6355() -> None:
    assert DUID_UUID(duid.DEFAULT_DUID).type == 4
    assert len(duid.DEFAULT_DUID) == 18


def test_a_clusters_identifier_is_written_down(tmp_path: Path, cluster: Path) -> None:
    path = tmp_path / "state" / "nfdhcpd.duid"
    made = duid.ensure(str(path), str(cluster))
    assert DUID_UUID(made).type == 4
    assert len(made) == 18
    assert path.read_text() == made.hex(":") + "\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert duid.load(str(path)) == made


def test_all_nodes_of_a_cluster_have_the_same(tmp_path: Path, cluster: Path) -> None:
    one, two = (duid.ensure(str(tmp_path / node), str(cluster)) for node in ("node1", "node2"))
    assert one == two != duid.DEFAULT_DUID
    assert duid.of_cluster("Cluster.Example") == one
    assert duid.of_cluster("other.example") != one
    # What guests have learnt must not change with a version of ours.
    assert one.hex() == "000402ce182441915bf6b076feaa5d3be15b"


def test_what_is_written_wins(tmp_path: Path, cluster: Path) -> None:
    path = tmp_path / "nfdhcpd.duid"
    path.write_text(f" {OWN} \n")
    assert duid.ensure(str(path), str(cluster)) == bytes.fromhex(OWN.replace(":", ""))
    assert path.read_text() == f" {OWN} \n"


def test_a_cluster_that_gets_another_name_keeps_it(tmp_path: Path, cluster: Path) -> None:
    path = tmp_path / "nfdhcpd.duid"
    made = duid.ensure(str(path), str(cluster))
    cluster.write_text("renamed.example\n")
    assert duid.ensure(str(path), str(cluster)) == made


@pytest.mark.parametrize("name", [None, "", "\n"])
def test_without_a_cluster_nothing_is_written(tmp_path: Path, name: str | None) -> None:
    path, cluster = tmp_path / "nfdhcpd.duid", tmp_path / "ssconf_cluster_name"
    if name is not None:
        cluster.write_text(name)
    assert duid.ensure(str(path), str(cluster)) == duid.DEFAULT_DUID
    assert not path.exists()
    assert duid.load(str(path)) == duid.DEFAULT_DUID


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not a DUID"),
        ("00:04:0", "'00:04:0' is not"),
        ("000400", "is not a DUID"),
        ("00:04:xx", "is not a DUID"),
        ("00:04:00:", "is not a DUID"),
        ("00:04:00\n00:04:01", "is not a DUID"),
        ("00:04", "a DUID of 2 bytes"),
        (":".join(["00"] * 131), "a DUID of 131 bytes"),
    ],
)
def test_a_bad_file(tmp_path: Path, cluster: Path, text: str, why: str) -> None:
    path = tmp_path / "nfdhcpd.duid"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why) as found:
        duid.load(str(path))
    assert str(path) in str(found.value)
    with pytest.raises(ConfigError, match=why):
        duid.ensure(str(path), str(cluster))
    assert path.read_text() == text


def test_a_file_that_is_no_text(tmp_path: Path, cluster: Path) -> None:
    path = tmp_path / "nfdhcpd.duid"
    path.write_bytes(b"\0\4\xff\xfe")
    with pytest.raises(ConfigError, match=r"nfdhcpd\.duid"):
        duid.load(str(path))
    with pytest.raises(ConfigError, match=str(tmp_path)):
        duid.load(str(tmp_path))
    cluster.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cluster_name"):
        duid.ensure(str(tmp_path / "new"), str(cluster))


def test_a_place_that_cannot_be_written(tmp_path: Path, cluster: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        duid.ensure(str(tmp_path / "file" / "nfdhcpd.duid"), str(cluster))
