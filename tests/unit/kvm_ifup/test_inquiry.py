"""What the files of a node tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext.errors import ExtError
from kvm_ifup import inquiry, links, profiles
from kvm_ifup.inquiry import Inquiry
from kvm_ifup.numbers import Numbers
from kvm_ifup.settings import Settings
from kvm_ifup.state import Assigned
from tests.unit.kvm_ifup.explained import record


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inquiry:
    """Records of tap0, whose profile is `limited`, and of tap1, which is gone."""
    monkeypatch.setattr(links, "ifindex", {"tap0": 12}.get)
    found = Inquiry(Settings(), str(tmp_path / "run"))
    for tap in ("tap0", "tap1"):
        found.records.write(record("limited", INTERFACE=tap)._replace(tap=tap))
    Numbers("profiles", 4094, str(tmp_path / "run")).of("limited")
    return found


def test_taps(known: Inquiry, tmp_path: Path) -> None:
    (tmp_path / "run/taps/tap2").write_text("nonsense")
    first, second, damaged = known.taps()
    assert (first["tap"], first["state"]) == ("tap0", "up")
    assert first["since"] == (tmp_path / "run/taps/tap0").stat().st_mtime
    assert (second["tap"], second["state"]) == ("tap1", "gone")
    assert damaged["tap"] == "tap2"
    assert "not a record" in damaged["error"]


def test_no_records_at_all(tmp_path: Path) -> None:
    assert list(Inquiry(Settings(), str(tmp_path)).taps()) == []


def test_a_tap(known: Inquiry, monkeypatch: pytest.MonkeyPatch) -> None:
    found = known.tap("tap0")
    assert "TCP to port 22 may come from anywhere [allow ssh]" in found["profile"]["rules"]
    monkeypatch.setattr(links, "ifindex", {"tap0": 99}.get)
    assert known.tap("tap0")["state"] == "other"


def test_a_record_that_cannot_be_planned_is_told(known: Inquiry) -> None:
    known.records.write(
        record(INTERFACE="tap3", TAGS="")._replace(tap="tap3", env={"INSTANCE": "i", "INTERFACE_UUID": "u"})
    )
    (found,) = [facts for facts in known.taps() if facts["tap"] == "tap3"]
    assert "INTERFACE is not set" in found["error"]


@pytest.mark.parametrize("tap", ["tap9", "../profiles", ""])
def test_a_tap_without_a_record_is_named(known: Inquiry, tap: str) -> None:
    with pytest.raises(ExtError, match="there is no record of a tap"):
        known.tap(tap)


def test_profiles(known: Inquiry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "web.conf").write_text("[profile]\ndescription = Web\n")
    (own / "bad.conf").write_text("[profile]\nnew = maybe\n")
    directories = (profiles.SHIPPED, str(own))
    monkeypatch.setattr(profiles.load, "__defaults__", (directories,))
    monkeypatch.setattr(profiles.paths, "__defaults__", (directories,))
    known.records.write(record(INTERFACE="tap4")._replace(tap="tap4", firewall=Assigned("lost", 9, "br0", ())))
    found = {one["profile"]: one for one in known.profiles()}
    assert list(found) == ["bad", "limited", "lost", "protected", "ssh", "unprotected", "web"]
    assert (found["limited"]["number"], found["limited"]["taps"]) == (1, 2)
    assert (found["web"]["number"], found["web"]["taps"]) == (None, 0)
    assert (found["web"]["description"], found["web"]["file"]) == ("Web", str(own / "web.conf"))
    assert "new has a bad value 'maybe'" in found["bad"]["error"]
    assert (found["lost"]["taps"], found["lost"]["file"]) == (1, None)
    assert "there is no firewall profile 'lost'" in found["lost"]["error"]
    assert known.tap("tap4")["profile"]["rules"][0].startswith("its file cannot be read: there is no firewall profile")


@pytest.mark.parametrize(
    ("name", "text", "wrong"),
    [
        ("web.conf", "[profile]\n[allow web]\nprotocol = tcp\n", []),
        ("web.txt", "[profile]\n", ["the name of a profile's file ends in .conf"]),
        ("Web.conf", "[profile]\n", ["'Web' cannot name a profile"]),
        ("web.conf", "", ["there is no section [profile]"]),
        ("web.conf", "[profile\n", ["expected [section] or key = value"]),
        (
            "web.conf",
            "[profile]\nnew = no\n[allow a]\nprotocol = tpc\n[allow b]\nprotocol = udp\nports = 0\n",
            [
                "[profile] new has a bad value 'no'",
                "[allow a] protocol has a bad",
                "[allow b] ports has a bad value '0'",
            ],
        ),
        ("web.conf", "[profile]\nnew = accept\n[allow a]\nprotocol = any\n", ["[allow a] has nothing to allow"]),
    ],
)
def test_every_error_of_a_file_is_named(tmp_path: Path, name: str, text: str, wrong: list[str]) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = list(inquiry.errors(str(path)))
    assert len(found) == len(wrong)
    for error, words in zip(found, wrong, strict=True):
        assert words in error
        assert str(path) in error


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert list(inquiry.errors(str(tmp_path / "web.conf"))) == [f"{tmp_path}/web.conf: there is no such file"]
