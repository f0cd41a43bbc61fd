"""All of a plan or none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext import binding
from ganeti_ext.errors import CommandError, ExtError
from ganeti_ext.nicenv import Nic
from kvm_ifup import apply, ruleset
from kvm_ifup.apply import Host, LinkError
from kvm_ifup.plan import Link, Plan, plan, take_down
from kvm_ifup.state import Record, Records


class Programs:
    """Notes what is run; the nth call of those in `fail` fails."""

    def __init__(self, *fail: int) -> None:
        self.calls: list[tuple[str, str]] = []
        self._fail = fail

    def __call__(self, argv: list[str], *, stdin: str) -> str:
        assert argv in (["nft", "-f", "-"], ["ip", "-batch", "-"])
        self.calls.append((argv[0], stdin))
        if len(self.calls) in self._fail:
            raise CommandError(f"{argv[0]} call {len(self.calls)}: no")
        return ""


@pytest.fixture
def planned(nic: Nic, tap: Link, bridge: Link, bindings: Path) -> Plan:
    return plan(nic, tap, bridge, str(bindings))


def nowhere(_tap: str) -> None:
    """No such interface."""


def undone(planned: Plan) -> list[tuple[str, str]]:
    record = planned.record
    return [("ip", take_down("tap0")), ("nft", ruleset.forget("tap0", 12, record.elements))]


def test_a_plan_is_done_in_order(planned: Plan, records: Records, bindings: Path) -> None:
    seen = []

    def run(argv: list[str], *, stdin: str) -> str:
        seen.append((argv[0], stdin, records.read("tap0") is not None, (bindings / "tap0").exists()))
        return ""

    Host(records, run, {"tap0": 12}.get).set_up(planned)
    assert seen == [("nft", planned.nft, True, False), ("ip", planned.ip, True, True)]
    assert records.read("tap0") == planned.record
    assert binding.read("tap0", str(bindings)) == planned.binding


def test_rules_that_fail_are_undone(planned: Plan, records: Records, bindings: Path) -> None:
    run = Programs(1)
    with pytest.raises(ExtError, match=r"tap0 of gx-1.example.org: nft call 1: no"):
        Host(records, run, {"tap0": 12}.get).set_up(planned)
    assert run.calls == [("nft", planned.nft), *undone(planned)]
    assert [*records.taps(), *bindings.iterdir()] == []


def test_a_bridge_that_fails_is_undone(planned: Plan, records: Records, bindings: Path) -> None:
    run = Programs(2)
    with pytest.raises(ExtError, match="ip call 2: no"):
        Host(records, run, {"tap0": 12}.get).set_up(planned)
    assert run.calls == [("nft", planned.nft), ("ip", planned.ip), *undone(planned)]
    assert [*records.taps(), *bindings.iterdir()] == []


def test_a_binding_that_fails_is_undone(planned: Plan, records: Records, bindings: Path) -> None:
    bindings.rmdir()
    run = Programs()
    with pytest.raises(ExtError, match=str(bindings)):
        Host(records, run, {"tap0": 12}.get).set_up(planned)
    assert run.calls == [("nft", planned.nft), *undone(planned)]
    assert list(records.taps()) == []


def test_a_bug_is_undone_too(planned: Plan, records: Records) -> None:
    def run(argv: list[str], *, stdin: str) -> str:
        if stdin == planned.nft:
            raise ZeroDivisionError
        return ""

    with pytest.raises(ZeroDivisionError):
        Host(records, run, {"tap0": 12}.get).set_up(planned)
    assert list(records.taps()) == []


def test_what_cannot_be_undone_keeps_its_record(planned: Plan, records: Records) -> None:
    with pytest.raises(ExtError, match=r"ip call 2: no; undoing it failed too: nft call 4: no"):
        Host(records, Programs(2, 4), {"tap0": 12}.get).set_up(planned)
    assert records.read("tap0") == planned.record


def test_undoing_leaves_another_tap_of_the_name_alone(record: Record, records: Records, bindings: Path) -> None:
    records.write(record)
    (bindings / "tap0").touch()
    run = Programs()
    Host(records, run, {"tap0": 13}.get).undo(record)
    assert run.calls == [("nft", ruleset.forget("tap0", 12, record.elements))]
    assert [*records.taps(), *bindings.iterdir()] == []


def test_undoing_twice_is_fine(record: Record, records: Records) -> None:
    host = Host(records, Programs(), nowhere)
    host.undo(record)
    host.undo(record)


def test_a_tap_that_may_say_anything_has_no_rules_to_undo(record: Record, records: Records) -> None:
    run = Programs()
    Host(records, run, nowhere).undo(record._replace(elements=()))
    assert run.calls == []


def test_restore_is_one_transaction(record: Record, records: Records) -> None:
    run = Programs()
    other = record._replace(tap="tap1", ifindex=13)
    Host(records, run).restore([record, other])
    text = ruleset.skeleton() + ruleset.allow("tap0", 12, record.elements) + ruleset.allow("tap1", 13, other.elements)
    assert run.calls == [("nft", text)]


def test_links_are_read_from_sys(tmp_path: Path) -> None:
    (tmp_path / "tap0").mkdir()
    for name, text in (("ifindex", "12\n"), ("address", "9a:11:22:33:44:55\n"), ("mtu", "1500\n")):
        (tmp_path / "tap0" / name).write_text(text)
    assert apply.link("tap0", str(tmp_path)) == Link("tap0", 12, "9a:11:22:33:44:55", 1500)
    assert apply.ifindex("tap0", str(tmp_path)) == 12
    assert apply.ifindex("tap1", str(tmp_path)) is None
    with pytest.raises(LinkError, match="interface tap1"):
        apply.link("tap1", str(tmp_path))
