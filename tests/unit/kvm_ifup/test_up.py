"""A NIC comes up, and goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ganeti_ext import binding
from ganeti_ext.errors import CommandError, ContractError, ExtError
from ganeti_ext.nicenv import Nic
from kvm_ifup import announce, facts, firewall, sender, up
from kvm_ifup.apply import Host
from kvm_ifup.modes import Facts, Link
from kvm_ifup.plan import Firewall
from kvm_ifup.settings import Settings
from kvm_ifup.state import Record, Records
from tests.unit.kvm_ifup.kernel import Kernel
from tests.unit.kvm_ifup.nics import IP_LESS, MODES, UPLINKS

OWN6 = "2001:db8::5054:ff:fe00:1"


class Node:
    """The host that `up` meets; `sent` are frames by interface."""

    def __init__(self, kernel: Kernel, records: Records, settings: Settings, found: Facts) -> None:
        self.kernel, self.records, self.settings, self.facts = kernel, records, settings, found
        self.sent: dict[str, tuple[bytes, ...]] = {}
        self.broken: OSError | None = None

    def send(self, interface: str, frames: Iterable[bytes]) -> None:
        if self.broken:
            raise self.broken
        self.sent[interface] = tuple(frames)

    def set_up(self, env: dict[str, str]) -> list[str]:
        return list(up.set_up(env, Nic.from_env(env), self.settings, self.records))


@pytest.fixture
def node(
    kernel: Kernel,
    records: Records,
    settings: Settings,
    facts: Facts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Node:
    found = Node(kernel, records, settings, facts)
    choose: Callable[..., Firewall] = firewall.of
    monkeypatch.setattr(up, "Host", lambda records: Host(records, kernel.run, kernel.index, kernel.sysctl))
    monkeypatch.setattr("kvm_ifup.facts.of", lambda *_: found.facts)
    monkeypatch.setattr(firewall, "of", lambda nic, settings: choose(nic, settings, str(tmp_path / "run")))
    monkeypatch.setattr(sender, "send", found.send)
    monkeypatch.setattr(up, "load", lambda: settings)
    monkeypatch.setattr(up, "Records", lambda: records)
    return found


def test_a_nic_is_set_up(node: Node, env: dict[str, str], bindings: Path) -> None:
    assert node.set_up(env) == []
    record = node.records.read("tap0")
    assert record is not None
    assert (record.env, record.told) == (env, "")
    assert node.kernel.masters == {"tap0": "br0"}
    assert binding.read("tap0", str(bindings)).ip == "10.0.0.5"
    assert node.sent == {}


def test_what_stands_for_the_taps_name_goes_first(node: Node, env: dict[str, str], bindings: Path) -> None:
    node.set_up({**env, "MAC": "52:54:00:00:00:99", "IP": "10.0.0.99", "TAGS": "ganeti-ext:firewall:protected"})
    node.kernel.lose("tap0")
    node.kernel.links["tap0"] = 13
    node.facts = node.facts._replace(tap=node.facts.tap._replace(ifindex=13))
    (bindings / "tap0").write_text("left from before a reboot")
    node.set_up(env)
    assert not [key for key in node.kernel.elements if "99" in key[2]]
    assert {chain for _, chain in node.kernel.chains if chain.startswith("port_")} == {"port_13"}
    record = node.records.read("tap0")
    assert record is not None
    assert record.ifindex == 13
    assert binding.read("tap0", str(bindings)).mac == "52:54:00:00:00:01"


@pytest.mark.parametrize("tags", ["", "ganeti-ext:firewall:protected", "ganeti-ext:firewall:limited"])
@pytest.mark.parametrize("mode", ["bridged", "ip-less-routed"])
def test_a_guest_that_is_back_under_another_name_keeps_what_it_has_when_the_last_tap_is_reaped(
    node: Node, env: dict[str, str], mode: str, tags: str
) -> None:
    differs, more = MODES[mode]
    node.facts = node.facts._replace(**more)
    node.set_up({**env, **differs, "TAGS": "ganeti-ext:firewall:protected"})
    old = node.records.read("tap0")
    assert old is not None
    node.kernel.lose("tap0")
    node.kernel.links["tap1"] = 13
    node.facts = node.facts._replace(tap=node.facts.tap._replace(name="tap1", ifindex=13))
    node.set_up({**env, **differs, "INTERFACE": "tap1", "TAGS": tags})
    for _ in ("before", "afterwards"):
        record = node.records.read("tap1")
        assert record is not None
        assert record.firewall is not None
        behind = {place[1:]: data for place, data in node.kernel.elements.items() if '"br0"' in place[2]}
        wanted = (("profile_ip4", '"br0" . 10.0.0.5'), ("profile_ip6", f'"br0" . {OWN6}'))
        if mode == "bridged" and tags:
            assert behind == dict.fromkeys(wanted, f"goto mark_{record.firewall.number}")
        elif mode != "bridged":
            assert node.kernel.proxies == {"10.0.0.5 dev eth0", f"{OWN6} dev eth1"}
        Host(node.records, node.kernel.run, node.kernel.index).undo(old)
    assert list(node.records.taps()) == ["tap1"]


def test_a_binding_from_before_a_reboot_goes(node: Node, env: dict[str, str], bindings: Path) -> None:
    (bindings / "tap0").write_text("MAC=x")
    node.set_up({**env, "NETWORK_TAGS": ""})
    assert list(bindings.iterdir()) == []


def test_who_cannot_be_planned_leaves_what_stands(node: Node, env: dict[str, str]) -> None:
    node.set_up(env)
    stood = dict(node.kernel.elements)
    calls = len(node.kernel.calls)
    with pytest.raises(ContractError, match="tag ganeti-ext:allow-address:x"):
        node.set_up({**env, "TAGS": "ganeti-ext:allow-address:x"})
    assert (node.kernel.elements, len(node.kernel.calls)) == (stood, calls)


def test_no_isolation_no_guest(node: Node, env: dict[str, str], bindings: Path) -> None:
    node.kernel.fail = {1: CommandError("nft: no")}
    with pytest.raises(ExtError, match=r"tap0 of gx-1\.example\.org: nft: no"):
        node.set_up(env)
    assert [*node.kernel.of("tap0"), *node.records.taps(), *bindings.iterdir()] == []


def test_the_lock_is_held_while_it_is_set_up_and_free_when_neighbours_are_told(
    node: Node, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[bool] = []
    lock = node.records.lock("tap0")

    class Seen:
        def __enter__(self) -> object:
            locked.append(True)
            return lock.__enter__()

        def __exit__(self, *_: object) -> None:
            locked.append(False)
            lock.__exit__(None, None, None)

    def run(argv: list[str], *, stdin: str = "") -> str:
        assert locked == [True]
        return Kernel.run(node.kernel, argv, stdin=stdin)

    def send(interface: str, _frames: Iterable[bytes]) -> None:
        assert locked == [True, False], interface

    monkeypatch.setattr(node.records, "lock", lambda _tap: Seen())
    monkeypatch.setattr(node.kernel, "run", run)
    monkeypatch.setattr(sender, "send", send)
    node.facts = node.facts._replace(below=None, **UPLINKS)
    assert node.set_up({**env, **IP_LESS}) == []
    assert locked == [True, False]


def test_an_address_that_came_is_announced_on_its_uplink(node: Node, env: dict[str, str]) -> None:
    node.facts = node.facts._replace(below=None, **UPLINKS)
    assert node.set_up({**env, **IP_LESS}) == []
    assert node.sent == {
        "eth0": announce.frames("02:00:00:00:00:e0", "10.0.0.5", None),
        "eth1": announce.frames("02:00:00:00:00:e1", None, OWN6),
    }


def test_an_announcement_that_fails_is_a_warning(node: Node, env: dict[str, str]) -> None:
    node.broken = OSError(100, "Network is down", "eth0")
    node.facts = node.facts._replace(below=None, **UPLINKS)
    warnings = node.set_up({**env, **IP_LESS})
    assert [warning.partition(" ")[0] for warning in warnings] == ["10.0.0.5", OWN6]
    assert warnings[0].startswith("10.0.0.5 is not announced: ")
    assert "Network is down" in warnings[0]
    assert "tap0" in node.kernel.up


@pytest.mark.parametrize("mac", ["", "0a:00:00:01", "00:00:00:00:00:00:00:00:00:00:ff:ff:0a:00:00:01"])
def test_an_uplink_that_is_no_ethernet_is_a_warning(node: Node, env: dict[str, str], mac: str) -> None:
    tunnel = Link("wg0", 9, mac, 1420)
    node.kernel.links["wg0"] = 9
    node.facts = node.facts._replace(below=None, uplink4=tunnel)
    assert node.set_up({**env, **IP_LESS})[0].startswith("10.0.0.5 is not announced: ")
    assert "tap0" in node.kernel.up


def test_main_tells_warnings(node: Node, env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    up.main("kvm-vif-bridge", {**env, "TAGS": "nfdhcpd:x:1"})
    assert capsys.readouterr().err == "kvm-vif-bridge: tag nfdhcpd:x:1 is passed over: no such key\n"
    assert list(node.records.taps()) == ["tap0"]


@pytest.mark.parametrize("action", ["up", "", None])
def test_without_a_word_it_is_up(node: Node, env: dict[str, str], action: str | None) -> None:
    up.main("up", {**env, **({} if action is None else {"ACTION": action})})
    assert list(node.records.taps()) == ["tap0"]


def test_down_undoes_it(node: Node, env: dict[str, str], bindings: Path) -> None:
    up.main("up", env)
    up.main("down", {**env, "ACTION": "down"})
    assert [*node.kernel.of("tap0"), *node.records.taps(), *bindings.iterdir()] == []
    up.main("down", {**env, "ACTION": "down"})


@pytest.mark.parametrize("other", [{"INTERFACE_UUID": "nic-2"}, {"INSTANCE": "gx-2.example.org"}])
def test_down_leaves_the_tap_of_another(node: Node, env: dict[str, str], other: dict[str, str]) -> None:
    up.main("up", env)
    up.main("down", {**env, **other, "ACTION": "down"})
    assert list(node.records.taps()) == ["tap0"]
    assert "tap0" in node.kernel.up


def test_another_action_is_named(node: Node, env: dict[str, str]) -> None:
    with pytest.raises(ContractError, match="ACTION has a bad value 'restart': only up and down are known"):
        up.main("up", {**env, "ACTION": "restart"})
    assert node.kernel.calls == []


def test_ganetis_own_taps_are_left_alone(node: Node, env: dict[str, str]) -> None:
    up.main("kvm-vif-bridge", {**env, "INTERFACE": "gnt.com.0", "MODE": "routed"})
    assert (node.kernel.calls, list(node.records.taps())) == ([], [])


def test_an_error_of_the_system_names_tap_and_instance(node: Node, env: dict[str, str], record: Record) -> None:
    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    node.records.lock = full  # type: ignore[assignment,method-assign]
    with pytest.raises(ExtError, match=r"tap0 of gx-1.example.org: .*No space left"):
        up.main("kvm-vif-bridge", env)


def test_a_missing_interface_stops(node: Node, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> Facts:
        raise facts.LinkError("interface br0: gone")

    monkeypatch.setattr("kvm_ifup.facts.of", missing)
    with pytest.raises(facts.LinkError):
        up.main("kvm-vif-bridge", env)
    assert node.kernel.calls == []
