"""Other rules in the place of those of a tap that is up."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext import binding
from ganeti_ext.errors import CommandError
from kvm_ifup import firewall, plan
from kvm_ifup.apply import Host
from kvm_ifup.settings import Settings
from kvm_ifup.state import Records
from tests.unit.kvm_ifup.kernel import Kernel
from tests.unit.kvm_ifup.nics import Left, Make

# Tags of the instance, from and to, that change what is set for a tap that is up.
CHANGES = [
    ("", "ganeti-ext:firewall:protected"),
    ("ganeti-ext:firewall:protected", "ganeti-ext:firewall:limited"),
    ("", "ganeti-ext:spoof-allowed"),
    ("ganeti-ext:spoof-allowed", ""),
    ("", "disable_ipv6"),
    ("disable_ipv4", "disable_ipv6"),
    ("ganeti-ext:allow-address:10.0.0.0/24", "ganeti-ext:allow-address:10.0.0.0/25 nfdhcpd:lease:60"),
    ("ganeti-ext:allow-address:10.0.0.0/25", "ganeti-ext:allow-address:10.0.0.0/24 ganeti-ext:firewall:protected"),
    ("nfdhcpd:prefix6:2001:db8:77::/56", "nfdhcpd:prefix6:2001:db8:77::/60"),
]


def everything(kernel: Kernel) -> tuple[object, ...]:
    return kernel.chains, kernel.rules, kernel.elements


@pytest.mark.parametrize(("own", "other"), CHANGES)
@pytest.mark.parametrize("mode", ["bridged", "private-filtered", "routed", "ip-less-routed"])
def test_a_change_makes_the_rules_that_a_start_would_have_made(
    host: Host, make: Make, kernel: Kernel, records: Records, bindings: Path, mode: str, own: str, other: str
) -> None:
    before, after = make(mode, own), make(mode, other)
    host.set_up(before)
    kernel.calls.clear()
    host.change(before.record, after)
    # One transaction, and the tap itself is not touched.
    assert [argv for argv, _ in kernel.calls] == [("nft", "-f", "-")]
    found = records.read("tap0")
    assert found is not None
    assert found._replace(undo=()) == after.record._replace(undo=())
    assert binding.read("tap0", str(bindings)) == after.binding
    fresh = Kernel()
    fresh.links.update(kernel.links)
    fresh.run(["nft", "-f", "-"], stdin=make(mode, own).rules)
    Host(records, fresh.run, fresh.index, fresh.sysctl).set_up(after)
    assert everything(kernel) == everything(fresh)


@pytest.mark.parametrize(("own", "other"), CHANGES)
@pytest.mark.parametrize("mode", ["routed", "ip-less-routed"])
def test_after_a_change_all_that_was_set_up_is_still_undone(
    host: Host, make: Make, kernel: Kernel, records: Records, mode: str, own: str, other: str, left: Left
) -> None:
    before = make(mode, own)
    host.set_up(before)
    host.change(before.record, make(mode, other))
    kernel.lose("tap0")
    record = records.read("tap0")
    assert record is not None
    host.undo(record)
    assert left() == []


def test_a_change_may_take_the_binding_and_give_it(
    host: Host, make: Make, records: Records, bindings: Path, kernel: Kernel
) -> None:
    with_, without = make("bridged"), make("bridged", "disable_ipv4 disable_ipv6")
    host.set_up(with_)
    host.change(with_.record, without)
    assert list(bindings.iterdir()) == []
    host.change(without.record, with_)
    assert binding.read("tap0", str(bindings)) == with_.binding


def test_a_change_that_is_refused_leaves_rules_and_what_is_known_as_they_were(
    host: Host, make: Make, kernel: Kernel, records: Records, bindings: Path
) -> None:
    before, after = make("bridged"), make("bridged", "ganeti-ext:firewall:protected")
    host.set_up(before)
    stood, bound = everything(kernel), (bindings / "tap0").read_text()
    kernel.calls.clear()
    kernel.fail = {1: CommandError("nft: no")}
    with pytest.raises(CommandError, match="nft: no"):
        host.change(before.record, after._replace(record=after.record._replace(told="17.000000000")))
    assert everything(kernel) == stood
    assert (bindings / "tap0").read_text() == bound
    found = records.read("tap0")
    assert found is not None
    # Else the same word, told again, would be taken for old news, and its profile for the one that was there before.
    assert (found.told, found.env) == ("", before.record.env)
    assert found.firewall is not None
    assert found.firewall.profile == "unprotected"


class Died(BaseException):
    """The process is no more."""


class Mortal:
    """The user of a kernel, who dies before or behind the transaction of a change."""

    def __init__(self, records: Records, kernel: Kernel, *, behind: bool) -> None:
        self._kernel, self._behind = kernel, behind
        self.host = Host(records, self._run, kernel.index, kernel.sysctl)

    def _run(self, argv: list[str], *, stdin: str = "") -> str:
        if self._behind:
            self._kernel.run(argv, stdin=stdin)
        raise Died


def of_taps(kernel: Kernel) -> dict[tuple[str, str, str], str]:
    """Elements but those of profiles, which stay."""
    return {place: data for place, data in kernel.elements.items() if place[1] not in ("profiles", "enforced")}


@pytest.mark.parametrize(("own", "other"), CHANGES)
@pytest.mark.parametrize("mode", ["bridged", "routed"])
@pytest.mark.parametrize("then", ["undone", "changed again", "changed back", "changed to a third"])
@pytest.mark.parametrize("behind", [False, True])
def test_who_dies_in_a_change_leaves_what_can_be_undone_and_changed(
    records: Records,
    kernel: Kernel,
    host: Host,
    make: Make,
    left: Left,
    mode: str,
    own: str,
    other: str,
    then: str,
    behind: bool,
) -> None:
    before, after = make(mode, own), make(mode, other)
    host.set_up(before)
    with pytest.raises(Died):
        Mortal(records, kernel, behind=behind).host.change(before.record, after)
    record = records.read("tap0")
    assert record is not None
    # What was told is not known yet: it is told again, and cuts again.
    assert (record.told, record.env) == (before.record.told, before.record.env)
    third = make(mode, "ganeti-ext:allow-address:10.0.0.0/26 ganeti-ext:firewall:limited nfdhcpd:lease:99")
    wanted = {"changed again": after, "changed back": before, "changed to a third": third}.get(then)
    if wanted:
        host.change(record, wanted)
        record = records.read("tap0")
        assert record == wanted.record._replace(undo=before.record.undo)
        fresh = Kernel()
        fresh.run(["nft", "-f", "-"], stdin=plan.transaction(wanted))
        assert of_taps(kernel) == of_taps(fresh)
    host.undo(record)
    assert left() == []


@pytest.mark.parametrize(("own", "other"), [pair for pair in CHANGES if "/" in pair[0]])
@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("behind", [False, True])
def test_of_prefixes_that_a_dead_one_left_the_widest_is_restored(
    records: Records, kernel: Kernel, host: Host, make: Make, own: str, other: str, flushed: bool, behind: bool
) -> None:
    before, after = make("routed", own), make("routed", other)
    host.set_up(before)
    with pytest.raises(Died):
        Mortal(records, kernel, behind=behind).host.change(before.record, after)
    record = records.read("tap0")
    assert record is not None
    if flushed:
        kernel.flush()
    host.restore(plan.skeleton(Settings(), [record]), [record._replace(firewall=None)])
    found = [place for place in kernel.elements if place[1] in ("ip4_more", "ip6_prefix")]
    assert len(found) == 1
    assert found[0][2].endswith(f"/{min(_length(own), _length(other))}")


def _length(tags: str) -> int:
    return int(tags.partition("/")[2].partition(" ")[0])


@pytest.mark.parametrize(("own", "other"), [pair for pair in CHANGES if "/" not in pair[0]])
@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("behind", [False, True])
def test_what_a_dead_one_left_is_restored(
    records: Records,
    kernel: Kernel,
    host: Host,
    make: Make,
    tmp_path: Path,
    own: str,
    other: str,
    flushed: bool,
    behind: bool,
) -> None:
    before = make("bridged", own)
    host.set_up(before)
    with pytest.raises(Died):
        Mortal(records, kernel, behind=behind).host.change(before.record, make("bridged", other))
    record = records.read("tap0")
    assert record is not None
    if flushed:
        kernel.flush()
    record = firewall.renumbered(record, records, str(tmp_path / "run"))
    host.restore(before.rules, [record])
    assert set(before.record.elements) <= {
        (family, name, key + (f" : {data}" if data else "")) for (family, name, key), data in kernel.elements.items()
    }
    assert before.record.firewall is not None
    number = before.record.firewall.number
    if number or flushed or not behind:
        assert kernel.elements.get(("bridge", "profile", '"tap0"')) == (f"goto mark_{number}" if number else None)
