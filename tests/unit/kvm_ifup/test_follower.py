"""Groups that change while taps have them: one transaction for all taps, and numbers that go back."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ganeti_ext import members
from ganeti_ext.errors import CommandError
from kvm_ifup import firewall, groupfile, groups, ipset, member_sets, memberfile, profile_nft
from kvm_ifup.apply import Host
from kvm_ifup.follower import Follower
from kvm_ifup.numbers import Numbers
from kvm_ifup.profile import LAST
from kvm_ifup.settings import Settings
from kvm_ifup.state import Record, Records
from tests.unit.kvm_ifup.test_groups import IDENT, OTHER, OWN, group, rule, write


class Node:
    """`texts` is what nft was told; it refuses while `bad`, and texts that have the words `refused`."""

    def __init__(self, records: Records, settings: Settings, folder: Path) -> None:
        self.texts: list[str] = []
        self.bad, self.now, self.records = False, 0.0, records
        self.refused = "nothing of the kind"
        self.numbers = Numbers("profiles", LAST, str(folder / "run"))
        host = Host(records, self._run)
        self.follower = Follower(records, host, settings, str(folder / "run"), lambda: self.now)

    def _run(self, argv: list[str], *, stdin: str = "") -> str:
        assert argv == ["nft", "-f", "-"]
        if self.bad or self.refused in stdin:
            raise CommandError("nft: no")
        self.texts.append(stdin)
        return ""

    def tap(self, record: Record, name: str, profile: str) -> None:
        assert record.firewall is not None
        assigned = record.firewall._replace(profile=profile, number=self.numbers.of(profile))
        self.records.write(record._replace(tap=name, firewall=assigned))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(groupfile, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(groups, "_read", (None, {}))
    (tmp_path / "members").mkdir()
    monkeypatch.setattr(memberfile, "DIRECTORY", str(tmp_path / "members"))
    return tmp_path / groupfile.NAME


@pytest.fixture
def node(records: Records, settings: Settings, tmp_path: Path, file: Path) -> Node:
    write(file, group(rule("tcp", 80, 80)))
    return Node(records, settings, tmp_path)


def test_all_taps_in_one_transaction(node: Node, record: Record, file: Path) -> None:
    for number in range(20):
        node.tap(record, f"tap{number}", OWN)
    node.tap(record, "tap20", f"{OWN}+ssh")
    node.tap(record, "tap21", OTHER)
    node.tap(record, "tap22", "protected")
    node.follower.look()
    node.texts.clear()
    write(file, group(rule("tcp", 443, 443)), version=2)
    node.follower.follow()
    (text,) = node.texts
    assert text.count("tcp dport { 443 } return") == 2
    assert "{ 80 }" not in text
    assert "flush chain inet ganeti_ext profile_1\n" in text
    assert "profile_3" not in text, "another group's"
    assert "profile_4" not in text, "a file's"
    assert "tap" not in text.replace("to_tap", "")


def test_what_is_the_same_starts_nothing(node: Node, record: Record, file: Path) -> None:
    node.tap(record, "tap0", OWN)
    node.follower.look()
    node.texts.clear()
    node.follower.follow()
    file.touch()
    write(file, group(rule("tcp", 80, 80)), version=3)
    node.follower.follow()
    node.follower.look()
    assert node.texts == []


def test_without_such_taps_nothing_is_done(node: Node, record: Record, file: Path) -> None:
    node.tap(record, "tap0", "protected")
    node.follower.look()
    file.unlink()
    node.follower.look()
    assert node.texts == []


def test_what_fails_is_tried_again(node: Node, record: Record, caplog: pytest.LogCaptureFixture) -> None:
    node.tap(record, "tap0", OWN)
    node.bad = True
    with caplog.at_level(logging.ERROR):
        node.follower.follow()
    assert f"profile {OWN} stays as it was: nft: no" in caplog.text
    node.bad = False
    node.follower.follow()
    assert len(node.texts) == 1


def test_one_that_cannot_be_costs_no_other_its_own(
    node: Node, record: Record, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of an administrator's that is gone; rules that nft refuses."""
    for number, name in enumerate((OWN, OTHER, f"{OWN}+never", f"{OWN}+ssh")):
        node.tap(record, f"tap{number}", name)
    node.refused = "flush chain inet ganeti_ext profile_2\n"
    with caplog.at_level(logging.ERROR):
        node.follower.follow()
    assert f"profile {OWN}+never stays as it was: there is no firewall profile 'never'" in caplog.text
    assert f"profile {OTHER} stays as it was: nft: no" in caplog.text
    assert [text.count("{ 80 } return") for text in node.texts] == [1, 1]
    node.refused, node.texts = "nothing of the kind", []
    node.follower.follow()
    assert len(node.texts) == 1, "only what failed is tried again"
    assert "profile_2" in node.texts[0]
    assert "profile_1" not in node.texts[0]


def tell(told: dict[str, list[str]]) -> None:
    """As group-members leaves it."""
    Path(memberfile.path()).write_text(f"1.0\n{members.render(told)}")


def test_of_members_only_sets_change(node: Node, record: Record, file: Path) -> None:
    """Those that the rules of taps name, of both families at once; and rules that name others bring theirs along."""
    write(file, group(rule("tcp", 80, 80, group=IDENT)), group(rule("tcp", 1, 1), ident=f"00000000{IDENT[8:]}"))
    node.tap(record, "tap0", OWN)
    node.tap(record, "tap1", OTHER)
    tell({"4f1a2b3c": ["10.0.0.1"]})
    node.follower.look()
    assert "add element inet ganeti_ext members4_4f1a2b3c { 10.0.0.1 }\n" in node.texts[0]
    node.texts.clear()
    tell({"4f1a2b3c": ["10.0.0.2", "10.0.0.3", "2001:db8::1"], "9e8d7c6b": ["10.0.0.9"]})
    node.follower.follow()
    assert node.texts == [member_sets.text(["4f1a2b3c"], memberfile.read())]
    assert "{ 10.0.0.2, 10.0.0.3 }" in node.texts[0]
    assert "{ 2001:db8::1 }" in node.texts[0]
    assert "chain" not in node.texts[0]
    tell({"4f1a2b3c": ["10.0.0.2", "10.0.0.3", "2001:db8::1"], "9e8d7c6b": []})
    node.follower.follow()
    node.follower.look()
    assert len(node.texts) == 1, "of others nothing is said"
    Path(memberfile.path()).unlink()
    node.follower.follow()
    assert "flush set inet ganeti_ext members4_4f1a2b3c\n" in node.texts[1]
    assert "add element" not in node.texts[1]


def test_with_iptables_its_sets_change(
    records: Records, record: Record, settings: Settings, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[tuple[str, object]] = []
    monkeypatch.setattr(ipset, "put", lambda keys, known: put.append(("put", {key: known.get(key) for key in keys})))
    monkeypatch.setattr(ipset, "remove", lambda keys: put.append(("remove", set(keys))))
    monkeypatch.setattr(firewall, "_put", lambda *_: None)
    node = Node(records, settings._replace(firewall="iptables"), tmp_path)
    write(file, group(rule("tcp", 80, 80, group=IDENT)))
    node.tap(record, "tap0", OWN)
    node.follower.look()
    tell({"4f1a2b3c": ["10.0.0.1"]})
    node.texts.clear()
    node.follower.follow()
    write(file, group(rule("tcp", 80, 80)), version=2)
    node.follower.look()
    known = ("10.0.0.1",)
    assert put == [("put", {"4f1a2b3c": None}), ("put", {"4f1a2b3c": known}), ("remove", {"4f1a2b3c"})]
    assert "members" not in "".join(node.texts)


def test_members_that_could_not_be_put_are_tried_again(
    node: Node, record: Record, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(file, group(rule("tcp", 80, 80, group=IDENT)))
    node.tap(record, "tap0", OWN)
    node.follower.follow()
    node.bad = True
    tell({"4f1a2b3c": ["10.0.0.1"]})
    with caplog.at_level(logging.ERROR):
        node.follower.follow()
    assert "members of 4f1a2b3c stay as they were: nft: no" in caplog.text
    node.bad = False
    node.texts.clear()
    node.follower.follow()
    assert "{ 10.0.0.1 }" in node.texts[0]


def test_a_set_that_no_rule_names_goes(node: Node, record: Record, file: Path) -> None:
    write(file, group(rule("tcp", 80, 80, group=IDENT)))
    node.tap(record, "tap0", OWN)
    node.follower.look()
    write(file, group(rule("tcp", 80, 80)), version=2)
    node.texts.clear()
    node.follower.look()
    assert node.texts[1:] == [member_sets.removal(["4f1a2b3c"])]
    node.follower.look()
    assert len(node.texts) == 2


def test_a_number_that_no_tap_needs_goes_back(node: Node, record: Record) -> None:
    node.tap(record, "tap0", OWN)
    node.numbers.of("protected")
    node.numbers.of(OTHER)
    node.follower.look()
    node.now = 599.0
    node.follower.look()
    assert set(node.numbers.all()) == {OWN, "protected", OTHER}
    node.texts.clear()
    node.now = 600.0
    node.follower.look()
    assert set(node.numbers.all()) == {OWN, "protected"}
    assert node.texts == [profile_nft.unchain(3)]
    node.records.remove("tap0")
    node.follower.look()
    node.tap(record, "tap0", OWN)
    node.now = 5000.0
    node.follower.look()
    assert set(node.numbers.all()) == {OWN, "protected"}, "it was needed again meanwhile"
