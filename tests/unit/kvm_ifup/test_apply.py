"""All of a plan or none of it; and afterwards nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext.errors import CommandError, ExtError
from kvm_ifup import apply
from kvm_ifup.apply import Host
from kvm_ifup.state import Assigned, Record, Records
from tests.unit.kvm_ifup.kernel import Kernel
from tests.unit.kvm_ifup.nics import MODES, TAGGED, Left, Make

EVERY = [*MODES, *TAGGED]


@pytest.mark.parametrize("mode", EVERY)
def test_what_is_set_up_is_undone_by_its_record(
    host: Host, make: Make, kernel: Kernel, records: Records, mode: str, left: Left
) -> None:
    plan = make(mode)
    host.set_up(plan)
    assert records.read("tap0") == plan.record
    assert "tap0" in kernel.up
    assert set(plan.record.elements) <= {
        (family, name, key + (f" : {data}" if data else "")) for (family, name, key), data in kernel.elements.items()
    }
    record = records.read("tap0")
    assert record is not None
    host.undo(record)
    assert left() == []


@pytest.mark.parametrize("mode", EVERY)
def test_what_a_vanished_tap_leaves_is_undone(host: Host, make: Make, kernel: Kernel, mode: str, left: Left) -> None:
    host.set_up(make(mode))
    kernel.lose("tap0")
    host.undo(make(mode).record)
    assert left() == []
    host.undo(make(mode).record)


@pytest.mark.parametrize("mode", EVERY)
def test_a_plan_that_fails_anywhere_leaves_nothing(
    host: Host, make: Make, kernel: Kernel, mode: str, left: Left
) -> None:
    plan = make(mode)
    host.set_up(plan)
    calls = len(kernel.calls)
    host.undo(plan.record)
    for number in range(1, calls + 1):
        kernel.calls.clear()
        kernel.fail = {number: CommandError("call: no")}
        with pytest.raises(ExtError, match=r"tap0 of gx-1.example.org: call: no$"):
            host.set_up(plan)
        assert left() == []


def test_the_record_stands_first_and_the_port_comes_up_last(
    records: Records, make: Make, kernel: Kernel, bindings: Path
) -> None:
    seen = []

    def run(argv: list[str], *, stdin: str = "") -> str:
        seen.append((argv[0], records.read("tap0") is not None, (bindings / "tap0").exists(), "tap0" in kernel.up))
        return kernel.run(argv, stdin=stdin)

    Host(records, run, kernel.index, lambda path, _value: seen.append((path, True, False, False))).set_up(
        make("routed")
    )
    assert seen == [
        ("nft", True, False, False),
        ("net/ipv4/conf/tap0/proxy_arp", True, False, False),
        ("net/ipv4/conf/tap0/forwarding", True, False, False),
        ("net/ipv6/conf/tap0/forwarding", True, False, False),
        ("ip", True, True, False),
        *[("ip", True, True, True)] * 2,
    ]


def test_steps_of_one_program_are_one_batch(host: Host, make: Make, kernel: Kernel) -> None:
    host.set_up(make("bridged, VLAN"))
    assert [argv for argv, _ in kernel.calls] == [
        ("nft", "-f", "-"),
        ("ip", "-batch", "-"),
        ("bridge", "-batch", "-"),
        ("ip", "-batch", "-"),
    ]
    kernel.calls.clear()
    host.set_up(make("openvswitch"))
    assert [argv[:3] for argv, _ in kernel.calls[1:]] == [
        ("ovs-vsctl", "--if-exists", "del-port"),
        ("ip", "-batch", "-"),
    ]


def test_rules_of_ipv6_are_of_ipv6(host: Host, make: Make, kernel: Kernel) -> None:
    host.set_up(make("routed"))
    assert sorted(kernel.policies) == ["-6 iif tap0 table 100", "iif tap0 table 100"]


def test_a_binding_that_fails_is_undone(
    host: Host, make: Make, kernel: Kernel, records: Records, bindings: Path
) -> None:
    bindings.rmdir()
    with pytest.raises(ExtError, match=str(bindings)):
        host.set_up(make())
    assert [*kernel.of("tap0"), *records.taps()] == []


def test_a_bug_is_undone_too_and_stays_a_bug(host: Host, make: Make, kernel: Kernel, left: Left) -> None:
    kernel.fail = {2: ZeroDivisionError()}
    with pytest.raises(ZeroDivisionError):
        host.set_up(make())
    assert left() == []


def test_what_cannot_be_undone_keeps_its_record(host: Host, make: Make, kernel: Kernel, records: Records) -> None:
    kernel.fail = {2: CommandError("ip: no"), 5: CommandError("nft: no")}
    with pytest.raises(ExtError, match=r"tap0 of gx-1.example.org: ip: no; undoing it failed too: nft: no"):
        host.set_up(make())
    assert records.read("tap0") == make().record
    host.undo(make().record)
    assert kernel.of("tap0") == []


def test_steps_are_undone_in_the_recorded_order_before_the_rules(
    host: Host, make: Make, kernel: Kernel, record: Record
) -> None:
    plan = make("ip-less-routed")
    host.set_up(plan)
    kernel.calls.clear()
    host.undo(plan.record)
    ran = [" ".join(argv) for argv, _ in kernel.calls]
    assert ran == [*(f"{program} {line}" for program, line in plan.record.undo), "nft -f -"]
    assert ran[-2] == "ip link set dev tap0 down"


WORDS = (
    'Cannot find device "tap0"',
    "RTNETLINK answers: No such device",
    "RTNETLINK answers: No such file or directory",
    "RTNETLINK answers: No such process",
    "RTNETLINK answers: Cannot assign requested address",
    "Error: FIB table does not exist.",
    'Error: argument "vpn" is wrong: invalid table ID',
    'Error: argument "vpn" is wrong: "table" value is invalid',
)


@pytest.mark.parametrize("words", WORDS)
def test_what_is_gone_already_is_fine(host: Host, record: Record, records: Records, kernel: Kernel, words: str) -> None:
    records.write(record)
    kernel.fail = {1: CommandError(f"ip link: exit code 2: {words}"), 2: CommandError(f"ip link: exit code 2: {words}")}
    host.undo(record)
    assert list(records.taps()) == []
    assert len(kernel.calls) == 3


@pytest.mark.parametrize(
    "words", ["RTNETLINK answers: Operation not permitted", "ip: not installed", "ip: no end after 30 s"]
)
def test_another_error_is_not(host: Host, record: Record, records: Records, kernel: Kernel, words: str) -> None:
    records.write(record)
    kernel.fail = {2: CommandError(words)}
    with pytest.raises(CommandError, match=words):
        host.undo(record)
    assert list(records.taps()) == ["tap0"]


@pytest.mark.parametrize("mode", EVERY)
def test_undoing_leaves_another_tap_of_the_name_alone(
    host: Host, make: Make, kernel: Kernel, records: Records, mode: str
) -> None:
    host.set_up(make(mode))
    kernel.lose("tap0")
    kernel.links["tap0"] = 13
    kernel.up.add("tap0")
    kernel.masters["tap0"] = "br9"
    kernel.routes.add("10.9.9.9/32 dev tap0 table 100")
    kernel.neighbours.add("10.9.9.9 dev tap0")
    host.undo(make(mode).record)
    assert ("tap0" in kernel.up, kernel.masters["tap0"]) == (True, "br9")
    assert (kernel.routes, kernel.neighbours) == ({"10.9.9.9/32 dev tap0 table 100"}, {"10.9.9.9 dev tap0"})
    assert (kernel.policies, kernel.proxies, kernel.ports) == ([], set(), {})
    assert list(records.taps()) == []


@pytest.mark.parametrize("mode", ["bridged", "ip-less-routed"])
def test_what_two_taps_that_are_gone_share_is_undone_with_the_first(
    host: Host, make: Make, kernel: Kernel, records: Records, mode: str
) -> None:
    first = make(mode)
    host.set_up(first)
    records.write(first.record._replace(tap="tap1", ifindex=13, undo=first.record.undo[:-1]))
    kernel.lose("tap0")
    host.undo(first.record)
    assert kernel.proxies == set()
    assert not [place for place in kernel.elements if '"br0"' in place[2]]


def test_who_undoes_and_who_notes_do_not_meet(
    make: Make, kernel: Kernel, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []
    shared = records.shared

    class Seen:
        def __enter__(self) -> None:
            self._lock = shared()
            self._lock.__enter__()
            held.append("shared")

        def __exit__(self, *_: object) -> None:
            held.pop()
            self._lock.__exit__(None, None, None)

    write = records.write

    def noted(record: Record) -> None:
        assert held == ["shared"]
        write(record)

    def run(argv: list[str], *, stdin: str = "") -> str:
        seen.append((argv[0], tuple(held)))
        return kernel.run(argv, stdin=stdin)

    seen: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(records, "shared", Seen)
    monkeypatch.setattr(records, "write", noted)
    plan, host = make(), Host(records, run, kernel.index)
    host.set_up(plan)
    # Not while programs run for it: nobody else would come up meanwhile.
    assert {locks for _, locks in seen} == {()}
    seen.clear()
    host.undo(plan.record)
    assert {locks for _, locks in seen} == {("shared",)}


def test_what_stands_though_no_record_tells_of_it_makes_room(
    host: Host, make: Make, kernel: Kernel, records: Records, left: Left
) -> None:
    host.set_up(make("private-filtered", "ganeti-ext:firewall:protected ganeti-ext:allow-address:10.0.0.0/24"))
    records.remove("tap0")
    kernel.calls.clear()
    after = make("private-filtered", "ganeti-ext:firewall:limited ganeti-ext:allow-address:10.0.0.0/25")
    host.set_up(after)
    assert kernel.elements["bridge", "profile", '"tap0"'] == "goto mark_2"
    assert ("netdev", "ip4_more", '"tap0" . 10.0.0.0/24') not in kernel.elements
    host.undo(after.record)
    assert left() == []


def test_what_another_tap_has_is_not_taken_for_room(host: Host, make: Make, kernel: Kernel) -> None:
    plan = make("bridged", "ganeti-ext:firewall:protected")
    host.set_up(plan)
    kernel.links["tap1"] = 13
    stood = {place for place in kernel.elements if '"tap0"' in place[2]}
    limited = make("bridged", "ganeti-ext:firewall:limited")
    record = limited.record._replace(tap="tap1", ifindex=13, elements=(), undo=())
    other = limited._replace(record=record, steps=(), binding=None)
    host.set_up(other)
    assert {place for place in kernel.elements if '"tap0"' in place[2]} == stood
    assert kernel.elements["inet", "profile_ip4", '"br0" . 10.0.0.5'] == "goto mark_2"


def test_another_refusal_is_no_matter_of_room(host: Host, make: Make, kernel: Kernel) -> None:
    kernel.fail = {1: CommandError("nft: Operation not permitted")}
    with pytest.raises(ExtError, match=r"Operation not permitted$"):
        host.set_up(make())
    assert ("nft", "-j", "list", "ruleset") not in [argv for argv, _ in kernel.calls]


def test_a_tap_is_gone_when_another_has_its_name(host: Host) -> None:
    assert not host.gone("tap0", 12)
    assert host.gone("tap0", 13)
    assert host.gone("tap1", 12)


def test_restore_is_one_transaction_and_heals(host: Host, make: Make, kernel: Kernel) -> None:
    plan = make("private-filtered")
    host.set_up(plan)
    stood = kernel.rules, kernel.elements, kernel.chains
    for lost in (True, False):
        if lost:
            kernel.flush()
        kernel.calls.clear()
        host.restore(plan.rules, [plan.record])
        assert (kernel.rules, kernel.elements, kernel.chains) == stood
        assert [argv for argv, _ in kernel.calls] == [("nft", "-f", "-")]


def test_a_program_gets_its_lines_as_arguments(records: Records) -> None:
    ran: list[list[str]] = []

    def run(argv: list[str], *, stdin: str = "") -> str:
        ran.append(argv)
        return ""

    Host(records, run)._do([("ovs-vsctl", "a b"), ("ovs-vsctl", "c"), ("ip -6", "d"), ("ip", "e")])
    assert ran == [["ovs-vsctl", "a", "b"], ["ovs-vsctl", "c"], ["ip", "-6", "-batch", "-"], ["ip", "-batch", "-"]]


def test_a_part_that_the_kernel_lacks_has_no_sysctl() -> None:
    apply.sysctl("net/ipv6/conf/no-such-tap/forwarding", "1")


def test_the_profile_is_the_taps(host: Host, make: Make, kernel: Kernel) -> None:
    host.set_up(make("bridged", "ganeti-ext:firewall:protected"))
    found = make("bridged", "ganeti-ext:firewall:protected").record.firewall
    assert found == Assigned("protected", 1, "br0", ("10.0.0.5", "2001:db8::5054:ff:fe00:1"))
    assert kernel.elements["bridge", "profile", '"tap0"'] == "goto mark_1"
