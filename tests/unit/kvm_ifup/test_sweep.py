"""What is undone, and the account of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ganeti_ext import binding
from ganeti_ext.errors import CommandError, ExtError
from kvm_ifup import plan, sweep
from kvm_ifup.settings import Settings
from kvm_ifup.state import Record, Records
from kvm_ifup.sweep import Accountant
from tests.unit.kvm_ifup.kernel import Kernel


@pytest.fixture
def host(records: Records, record: Record, kernel: Kernel, bindings: Path) -> Accountant:
    """Nothing runs but the kernel of the test, where the tap of the record stands."""
    records.write(record)
    bound = binding.Binding("tap0", "52:54:00:00:00:01", "web", record.instance, ifindex=12)
    binding.write(bound, str(bindings))
    kernel.run(
        ["nft", "-f", "-"],
        stdin=plan.skeleton(Settings(), [record])
        + "add chain bridge ganeti_ext mark_3\nadd chain inet ganeti_ext mark_3\n",
    )
    kernel.run(["nft", "-f", "-"], stdin=plan.stands(record))
    return Accountant(records, kernel.run, kernel.index)


def test_what_stands_is_let_be(host: Accountant, records: Records, settings: Settings) -> None:
    assert sweep.sweep(settings, records, host) == ([], [])
    assert list(records.taps()) == ["tap0"]


def test_what_is_gone_is_accounted_for(
    host: Accountant, records: Records, settings: Settings, kernel: Kernel, bindings: Path
) -> None:
    kernel.lose("tap0")
    (account,), failed = sweep.sweep(settings, records, host)
    assert failed == []
    assert account == {
        "tap": "tap0",
        "instance": "gx-1.example.org",
        "undone": [
            "2 elements and the chain of nftables",
            "firewall profile protected",
            f"binding {bindings}/tap0",
        ],
    }
    assert kernel.of("tap0") == []
    assert sweep.sweep(settings, records, host) == ([account], []), "nothing is added"


def test_what_is_gone_already_was_not_undone_now(host: Accountant, records: Records, kernel: Kernel) -> None:
    gone = CommandError("ip link set dev tap0 down: exit code 1: Cannot find device")
    kernel.fail[len(kernel.calls) + 1] = gone
    (account,) = sweep.undo("tap0", records, host, force=True)
    assert account["undone"][:2] == ["ip link set dev tap0 nomaster", "2 elements and the chain of nftables"]


def test_bindings_without_a_record_are_accounted_for(
    records: Records, kernel: Kernel, settings: Settings, bindings: Path
) -> None:
    host = Accountant(records, kernel.run, kernel.index)
    old = binding.Binding("tap7", "52:54:00:00:00:07", "old", "gx-7", ifindex=99)
    binding.write(old, str(bindings))
    binding.write(old._replace(tap="own", ifindex=None), str(bindings))
    (bindings / "bad").write_text("nonsense")
    found, failed = sweep.sweep(settings, records, host)
    assert found == [{"tap": "tap7", "instance": "gx-7", "undone": ["its binding"]}]
    assert failed == []
    assert sorted(path.name for path in bindings.iterdir()) == ["bad", "own"]


def test_no_directory_of_bindings_is_no_matter(host: Accountant, records: Records, tmp_path: Path) -> None:
    assert sweep.sweep(Settings(binding_directory=str(tmp_path / "none")), records, host) == ([], [])


def test_what_cannot_be_undone_is_told(
    host: Accountant, records: Records, settings: Settings, kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    kernel.lose("tap0")
    kernel.fail[len(kernel.calls) + 1] = CommandError("ip: no")
    assert sweep.sweep(settings, records, host) == ([], ["tap0"])
    assert "tap tap0: ip: no" in caplog.text


def test_a_damaged_record_is_told(host: Accountant, records: Records, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "run/taps/tap5").write_text("nonsense")
    assert sweep.sweep(settings, records, host) == ([], ["tap5"])


def test_one_tap_that_stands_needs_force(host: Accountant, records: Records, kernel: Kernel) -> None:
    with pytest.raises(
        ExtError, match=r"tap0 stands, and gx-1\.example\.org uses it: --force takes it off the network"
    ):
        sweep.undo("tap0", records, host, force=False)
    assert kernel.of("tap0") != []
    (account,) = sweep.undo("tap0", records, host, force=True)
    assert account["undone"][0] == "ip link set dev tap0 down"
    assert kernel.of("tap0") == []
    assert list(records.taps()) == []


def test_one_tap_that_is_gone_needs_none(host: Accountant, records: Records, kernel: Kernel) -> None:
    kernel.links["tap0"] = 77
    (account,) = sweep.undo("tap0", records, host, force=False)
    assert account["tap"] == "tap0"


@pytest.mark.parametrize("tap", ["tap9", "../taps/tap0", ""])
def test_a_tap_without_a_record_is_named(host: Accountant, records: Records, tap: str) -> None:
    with pytest.raises(ExtError, match="there is no record of a tap"):
        sweep.undo(tap, records, host, force=True)


def test_a_tap_that_another_undoes_meanwhile(
    host: Accountant, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Callable[[str], Record | None] = lambda _tap: None  # noqa: E731
    monkeypatch.setattr(records, "read", read)
    with pytest.raises(ExtError, match="tap0 has been undone by another just now"):
        sweep.undo("tap0", records, host, force=True)
