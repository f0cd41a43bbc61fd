"""The reaper undoes what is stale, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ganeti_ext import binding
from ganeti_ext.errors import CommandError
from kvm_ifup import firewall, plan
from kvm_ifup.apply import Host
from kvm_ifup.elements import of_tap
from kvm_ifup.numbers import Numbers
from kvm_ifup.profile import LAST
from kvm_ifup.reaper import Reaper
from kvm_ifup.settings import Settings
from kvm_ifup.state import Assigned, Record, Records
from tests.unit.kvm_ifup.kernel import Kernel


class Node:
    """A host whose interfaces are the test's. `refused` are words of texts that nft refuses."""

    def __init__(self, records: Records, settings: Settings) -> None:
        self.kernel = Kernel()
        self.there = self.kernel.links
        self.refused: list[str] = []
        self.records = records
        self.reaper = Reaper(records, Host(records, self._run, self.kernel.index), settings)

    def _run(self, argv: list[str], *, stdin: str = "") -> str:
        found = self.kernel.run(argv, stdin=stdin)
        if any(words in stdin for words in self.refused):
            raise CommandError("nft: no")
        return found

    @property
    def nft(self) -> list[str]:
        return [text for argv, text in self.kernel.calls if argv == ("nft", "-f", "-")]


@pytest.fixture
def node(records: Records, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    rules: Callable[..., str] = firewall.rules
    run = str(tmp_path / "run")
    monkeypatch.setattr(firewall, "rules", lambda names, settings: rules(names, settings, run))
    return Node(records, settings)


def named(record: Record, tap: str, ifindex: int = 12, profile: str = "protected") -> Record:
    number = {"protected": 1, "limited": 2}[profile]
    return record._replace(
        tap=tap,
        ifindex=ifindex,
        firewall=Assigned(profile, number, "br0", (f"10.0.0.{ifindex}",)),
        elements=(of_tap("netdev", "macs", tap, "52:54:00:00:00:01"),),
        undo=(("ip", f"link set dev {tap} nomaster"),),
    )


def test_nothing_to_do_starts_nothing(node: Node, record: Record) -> None:
    node.reaper.sweep()
    node.there["tap0"] = 12
    node.records.write(record)
    node.reaper.sweep()
    assert node.kernel.calls == []
    assert list(node.records.taps()) == ["tap0"]


@pytest.mark.parametrize("index", [None, 13])
def test_what_a_vanished_tap_had_is_undone(node: Node, record: Record, bindings: Path, index: int | None) -> None:
    if index:
        node.there["tap0"] = index
    node.records.write(record)
    (bindings / "tap0").touch()
    node.reaper.sweep()
    assert node.nft == [plan.forget(record)]
    assert [*node.records.taps(), *bindings.iterdir()] == []


def test_a_tap_that_comes_while_the_lock_is_awaited_keeps_its_own(
    node: Node, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.records.write(record)
    lock = node.records.lock
    new = record._replace(ifindex=13, env={**record.env, "INTERFACE_UUID": "nic-2"})

    def late(tap: str) -> object:
        node.there["tap0"] = 13
        node.records.write(new)
        return lock(tap)

    monkeypatch.setattr(node.records, "lock", late)
    node.reaper.sweep()
    assert node.kernel.calls == []
    assert node.records.read("tap0") == new


def test_one_failure_does_not_stop_the_others(node: Node, record: Record, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        node.records.write(named(record, f"tap{number}"))
    node.refused = ['"tap1"']
    node.reaper.sweep()
    assert list(node.records.taps()) == ["tap1"]
    assert [line.getMessage() for line in caplog.records if line.levelno == logging.ERROR] == ["tap tap1: nft: no"]
    node.refused = []
    node.reaper.sweep()
    assert list(node.records.taps()) == []


def test_a_step_that_cannot_be_undone_keeps_the_record(
    node: Node, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    node.records.write(record)
    node.kernel.fail = {1: CommandError("ip: Operation not permitted")}
    node.reaper.sweep()
    assert "tap tap0: ip: Operation not permitted" in caplog.text
    assert node.records.read("tap0") == record
    node.reaper.sweep()
    assert list(node.records.taps()) == []


def test_a_damaged_record_is_told_and_left(
    node: Node, record: Record, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node.records.write(record)
    (tmp_path / "run" / "taps" / "tap0").write_text("?")
    node.reaper.sweep()
    assert "not a record" in caplog.text
    assert node.kernel.calls == []


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("MAC=52:54:00:00:00:01\nHOSTNAME=h\nIFINDEX=9\n", False),
        ("MAC=52:54:00:00:00:01\nHOSTNAME=h\nIFINDEX=12\n", True),
        ("MAC=52:54:00:00:00:01\nHOSTNAME=h\n", True),
        ("damaged", True),
    ],
)
def test_bindings_without_a_record(node: Node, bindings: Path, text: str, stays: bool) -> None:
    node.there["tap0"] = 12
    (bindings / "tap0").write_text(text)
    node.reaper.sweep()
    assert (bindings / "tap0").exists() is stays
    assert node.kernel.calls == []


def test_no_directory_of_bindings(node: Node, bindings: Path, record: Record) -> None:
    bindings.rmdir()
    node.records.write(record)
    node.reaper.sweep()
    assert node.nft == [plan.forget(record)]


def test_restore_heals_those_that_are_there(node: Node, record: Record, settings: Settings, tmp_path: Path) -> None:
    node.there.update(tap0=12, tap1=13, tap2=99)
    alive = [named(record, "tap0"), named(record, "tap1", 13)]
    for one in (*alive, named(record, "tap2"), named(record, "tap3")):
        node.records.write(one)
    for _ in ("flushed", "standing"):
        node.reaper.restore()
        places = {place for place in node.kernel.elements if place[1] in ("macs", "profile")}
        assert {place[2].partition(" ")[0] for place in places} == {'"tap0"', '"tap1"'}
        assert {name for _, name in node.kernel.chains if name.startswith("port_")} == {"port_12", "port_13"}
    assert len(node.nft) == 2
    rules = plan.skeleton(settings, [record]) + firewall.rules(["protected"], settings)
    assert node.nft == [rules + "".join(map(plan.stands, alive))] * 2


def test_restore_says_the_rules_of_each_profile_in_use_once(node: Node, record: Record) -> None:
    node.there.update(tap0=12, tap1=13, tap2=14)
    for one in (named(record, "tap0"), named(record, "tap1", 13, "limited"), named(record, "tap2", 14, "limited")):
        node.records.write(one)
    node.reaper.restore()
    (text,) = node.nft
    assert text.count("flush chain inet ganeti_ext profile_") == 2


def test_restore_gives_a_number_to_a_profile_that_judges_by_now(
    node: Node, record: Record, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbers = Numbers("profiles", LAST, str(tmp_path / "run"))
    monkeypatch.setattr(firewall, "numbers", lambda _directory="": numbers)
    node.there["tap0"] = 12
    open_ = record._replace(firewall=Assigned("limited", 0, "br0", ("10.0.0.5",)))  # as its file was then
    node.records.write(open_)
    node.reaper.restore()
    found = node.records.read("tap0")
    assert found is not None
    assert found.firewall == Assigned("limited", numbers.all()["limited"], "br0", ("10.0.0.5",))
    assert ("bridge", "profile", '"tap0"') in node.kernel.elements


def test_a_tap_that_carries_no_profile_is_restored_too(node: Node, record: Record) -> None:
    node.there["tap0"] = 12
    node.records.write(named(record, "tap0")._replace(firewall=None))
    node.reaper.restore()
    assert ("netdev", "macs", '"tap0" . 52:54:00:00:00:01') in node.kernel.elements


def test_restore_without_taps_starts_nothing(node: Node) -> None:
    node.reaper.restore()
    assert node.kernel.calls == []


def test_restore_goes_one_by_one_when_one_is_refused(
    node: Node, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        node.there[f"tap{number}"] = 12
        node.records.write(named(record, f"tap{number}"))
    node.refused = ['"tap1"']
    node.reaper.restore()
    assert [sum(f'"tap{number}"' in text for text in node.nft) for number in range(3)] == [2, 2, 2]
    assert "tap tap1: rules not restored" in caplog.text
    assert "tap tap0: rules" not in caplog.text


@pytest.mark.parametrize("damage", ["record", "profile"])
def test_one_that_cannot_be_read_does_not_cost_the_others_theirs(
    node: Node, record: Record, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    node.there.update(tap0=12, tap1=13)
    node.records.write(named(record, "tap0"))
    other = named(record, "tap1", 13)
    node.records.write(other._replace(firewall=Assigned("removed", 7, "br0", ())))
    if damage == "record":
        (tmp_path / "run" / "taps" / "tap1").write_text("?")
    node.reaper.restore()
    assert ("netdev", "macs", '"tap0" . 52:54:00:00:00:01') in node.kernel.elements
    assert "tap tap1: rules not restored" in caplog.text
    assert "tap tap0: rules" not in caplog.text
    # A guest whose profile is gone is kept from speaking for others all the same.
    isolated = any(key[1] == "macs" and '"tap1"' in key[2] for key in node.kernel.elements)
    assert isolated is (damage == "profile")


def test_more_taps_than_locks_fit_are_restored_in_turns(
    node: Node, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvm_ifup.reaper._CHUNK", 2)
    for number in range(5):
        node.there[f"tap{number}"] = 20 + number
        node.records.write(named(record, f"tap{number}", 20 + number))
    node.reaper.restore()
    assert len(node.nft) == 3
    assert len([key for key in node.kernel.elements if key[1] == "macs"]) == 5


def test_what_it_did_is_counted(node: Node, record: Record, bindings: Path) -> None:
    for number in range(4):
        node.records.write(named(record, f"tap{number}", 12 + number))
    node.there.update({"tap0": 12, "tap1": 13})
    binding.write(binding.Binding("tap9", "52:54:00:00:00:09", "h", "web", ifindex=77), str(bindings))
    node.refused = ['"tap3"']
    node.reaper.sweep()
    told = node.reaper.tally.status()
    assert told.pop("swept") > 0
    assert told == {"records": 3, "taps": 2, "reaped": {"record": 1, "binding": 1}, "failures": 1, "restored": 0}
    node.reaper.restore()
    found = {(family.name, *sample.labels.values()): sample.value
             for family in node.reaper.tally.metrics() for sample in family.samples}  # fmt: skip
    assert found[("ganeti_ext_reaper_restored_total",)] == 2
    assert found[("ganeti_ext_reaper_reaped_total", "binding")] == 1
    assert (found[("ganeti_ext_reaper_records",)], found[("ganeti_ext_reaper_taps",)]) == (3, 2)
