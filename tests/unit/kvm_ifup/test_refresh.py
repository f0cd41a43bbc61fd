"""Taps that are up follow the tags of their instance, and an instance that came is announced."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ganeti_ext import binding
from ganeti_ext.errors import CommandError, ContractError, ExtError
from ganeti_ext.nicenv import Nic
from kvm_ifup import announce, apply, facts, firewall, plan, profiles, refresh, up
from kvm_ifup.modes import Facts, Link
from kvm_ifup.plan import Firewall
from kvm_ifup.settings import Settings
from kvm_ifup.state import Record, Records
from tests.unit.kvm_ifup.kernel import Kernel

NAME = "gx-1.example.org"
OWN = ("10.0.0.5", "2001:db8::5054:ff:fe00:1")
CUT = "[profile]\nestablished = cut\n"
UPLINK = Link("eth0", 2, "02:00:00:00:00:e0", 1500)


class Node:
    """The host that `refresh` meets; `cut` are the taps whose connections were cut, `sent` frames by interface."""

    def __init__(self, kernel: Kernel, records: Records, settings: Settings, bridge: Link) -> None:
        self.kernel, self.records, self.settings, self.bridge = kernel, records, settings, bridge
        self.cut: list[tuple[object, ...]] = []
        self.sent: dict[str, tuple[bytes, ...]] = {}

    def host(self, records: Records) -> apply.Host:
        return apply.Host(records, self.kernel.run, self.kernel.index, self.kernel.sysctl)

    def of(self, nic: Nic, below: str | None, _settings: Settings) -> Facts:
        index = self.kernel.index(nic.tap)
        if index is None:
            raise facts.LinkError(f"interface {nic.tap}: gone")
        tap = Link(nic.tap, index, "fe:11:22:33:44:55", 1500)
        return Facts(tap, self.bridge if below else None, uplink4=None if below else UPLINK)

    def start(self, env: dict[str, str]) -> None:
        list(up.set_up(env, Nic.from_env(env), self.settings, self.records))
        self.kernel.calls.clear()
        self.sent.clear()

    def retag(self, tags: str, told: str = "100.000000000") -> None:
        refresh.retag(NAME, tags, told, self.settings, self.records)

    def record(self, tap: str = "tap0") -> Record:
        found = self.records.read(tap)
        assert found is not None
        return found

    def profile(self, tap: str = "tap0") -> str:
        assigned = self.record(tap).firewall
        assert assigned is not None
        wanted = None if assigned.profile == "unprotected" else f"goto mark_{assigned.number}"
        assert self.kernel.elements.get(("bridge", "profile", f'"{tap}"')) == wanted
        return assigned.profile


@pytest.fixture
def node(
    kernel: Kernel, records: Records, settings: Settings, bridge: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Node:
    found = Node(kernel, records, settings, bridge)
    choose: Callable[..., Firewall] = firewall.of

    def send(interface: str, frames: Iterable[bytes]) -> None:
        found.sent[interface] = tuple(frames)

    for module in (up, refresh):
        monkeypatch.setattr(module, "Host", found.host)
        monkeypatch.setattr(module, "load", lambda: settings)
        monkeypatch.setattr(module, "Records", lambda: records)
    monkeypatch.setattr(facts, "of", found.of)
    monkeypatch.setattr(facts, "ifindex", kernel.index)
    monkeypatch.setattr(firewall, "of", lambda nic, settings: choose(nic, settings, str(tmp_path / "run")))
    monkeypatch.setattr("kvm_ifup.sender.send", send)
    monkeypatch.setattr("kvm_ifup.ctnetlink.condemn", lambda own, *zone: found.cut.append((tuple(own), *zone)))
    return found


@pytest.fixture
def two(node: Node, env: dict[str, str]) -> Node:
    """Two NICs of an instance, and one of another."""
    node.kernel.links.update(tap1=13, tap2=14)
    node.start(env)
    second = {"INTERFACE": "tap1", "INTERFACE_INDEX": "1", "INTERFACE_UUID": "nic-2", "MAC": "52:54:00:00:00:02"}
    node.start({**env, **second, "IP": "10.0.0.6"})
    node.start({**env, **second, "INTERFACE": "tap2", "INSTANCE": "gx-2.example.org", "IP": "10.0.0.7"})
    return node


def test_a_new_tag_is_in_force_in_one_transaction(node: Node, env: dict[str, str], bindings: Path) -> None:
    node.start(env)
    before = node.record()
    node.retag("ganeti-ext:firewall:protected nfdhcpd:lease:60 ganeti-ext:allow-address:10.0.0.9")
    assert [argv for argv, _ in node.kernel.calls] == [("nft", "-f", "-")]
    assert node.profile() == "protected"
    assert binding.read("tap0", str(bindings)).terms == (("lease", "60"),)
    assert ("netdev", "ip4_more", '"tap0" . 10.0.0.9') in node.kernel.elements
    found = node.record()
    assert found.told == "100.000000000"
    assert found.env == {
        **before.env,
        "TAGS": "ganeti-ext:firewall:protected nfdhcpd:lease:60 ganeti-ext:allow-address:10.0.0.9",
    }
    assert found.undo == before.undo


def test_a_tag_that_went_takes_its_own_along(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    stood = dict(node.kernel.elements)
    node.retag("ganeti-ext:spoof-allowed")
    assert not plan.judged(node.record())
    assert ("netdev", "port_12") not in node.kernel.chains
    node.retag("", "100.000000001")
    assert node.kernel.elements == stood
    assert ("netdev", "port_12") in node.kernel.chains


def test_only_the_taps_of_the_instance_change(two: Node) -> None:
    two.retag("ganeti-ext:firewall:protected")
    assert [two.profile(f"tap{number}") for number in range(3)] == ["protected", "protected", "unprotected"]
    assert two.record("tap2").told == ""


def test_a_tag_of_one_nic_changes_that(two: Node) -> None:
    two.retag("ganeti-ext:firewall.1:protected")
    assert [two.profile(f"tap{number}") for number in range(3)] == ["unprotected", "protected", "unprotected"]


@pytest.mark.parametrize(
    ("first", "second", "wins"),
    [
        ("100.000000000", "100.000000001", "limited"),
        ("100.000000001", "100.000000000", "protected"),
        ("100.000000000", "100.000000000", "protected"),
        ("99.999999999", "100.000000000", "limited"),
        ("100.000000000", "99.999999999", "protected"),
        ("100.000000009", "100.000000010", "limited"),
    ],
)
def test_the_newer_word_wins(node: Node, env: dict[str, str], first: str, second: str, wins: str) -> None:
    node.start(env)
    node.retag("ganeti-ext:firewall:protected", first)
    node.kernel.calls.clear()
    node.retag("ganeti-ext:firewall:limited", second)
    assert node.profile() == wins
    assert node.record().told == max(first, second, key=lambda told: tuple(map(int, told.split("."))))
    assert bool(node.kernel.calls) is (wins == "limited")


def test_a_tap_that_is_gone_is_left_to_the_reaper(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    before = node.record()
    node.kernel.lose("tap0")
    node.retag("ganeti-ext:firewall:protected")
    assert (node.kernel.calls, node.record()) == ([], before)


def test_a_tap_whose_name_another_has_by_now_is_left_alone(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    before = node.record()
    node.kernel.links["tap0"] = 77
    node.retag("ganeti-ext:firewall:protected")
    assert (node.kernel.calls, node.record()) == ([], before)


def test_a_tap_that_is_used_again_while_the_lock_is_awaited_keeps_its_own(
    node: Node, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.start(env)
    lock = node.records.lock

    def late(tap: str) -> object:
        monkeypatch.setattr(node.records, "lock", lock)
        node.kernel.lose("tap0")
        node.kernel.links["tap0"] = 77
        node.start({**env, "TAGS": "ganeti-ext:firewall:limited"})
        return lock(tap)

    monkeypatch.setattr(node.records, "lock", late)
    node.retag("ganeti-ext:firewall:protected")
    assert (node.kernel.calls, node.record().ifindex, node.profile()) == ([], 77, "limited")


def test_a_record_that_is_another_taps_by_now_is_left_alone(
    node: Node, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.start(env)
    lock = node.records.lock
    other = node.record()._replace(ifindex=99)

    def late(tap: str) -> object:
        node.records.write(other)
        return lock(tap)

    monkeypatch.setattr(node.records, "lock", late)
    node.retag("ganeti-ext:firewall:protected")
    assert (node.kernel.calls, node.record()) == ([], other)


def test_a_record_that_went_while_the_lock_was_awaited(
    node: Node, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.start(env)
    lock = node.records.lock

    def late(tap: str) -> object:
        node.records.remove(tap)
        return lock(tap)

    monkeypatch.setattr(node.records, "lock", late)
    node.retag("ganeti-ext:firewall:protected")
    assert (node.kernel.calls, list(node.records.taps())) == ([], [])


@pytest.mark.parametrize("failing", ["tap0", "tap1"])
def test_one_tap_that_fails_leaves_the_other_changed(two: Node, failing: str) -> None:
    other = {"tap0": "tap1", "tap1": "tap0"}[failing]
    wrong = {"tap0": "0", "tap1": "1"}[failing]
    with pytest.raises(ExtError) as caught:
        two.retag(f"ganeti-ext:firewall:protected ganeti-ext:allow-address.{wrong}:x")
    assert str(caught.value).startswith(
        f"{failing} of {NAME} stays as it was: tag ganeti-ext:allow-address.{wrong}:x: "
    )
    assert (two.profile(failing), two.profile(other)) == ("unprotected", "protected")


def test_all_taps_that_fail_are_told_of(two: Node) -> None:
    with pytest.raises(ExtError, match=r"tap\d of .*; tap\d of "):
        two.retag("ganeti-ext:allow-address:x")


def test_what_nft_refused_is_done_when_it_is_told_again(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    node.kernel.fail = {1: CommandError("nft: no")}
    with pytest.raises(ExtError, match=f"tap0 of {NAME} stays as it was: nft: no"):
        node.retag("ganeti-ext:firewall:protected")
    assert node.profile() == "unprotected"
    node.retag("ganeti-ext:firewall:protected")
    assert node.profile() == "protected"


def test_a_cut_in_the_tap_that_nft_refused_is_made_when_it_is_told_again(
    node: Node, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuts(monkeypatch, tmp_path)
    node.start(env)
    node.kernel.fail = {1: CommandError("nft: no")}
    with pytest.raises(ExtError):
        node.retag("ganeti-ext:firewall:strict")
    assert node.cut == []
    node.retag("ganeti-ext:firewall:strict")
    assert len(node.cut) == 1


def cuts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A profile `strict` that cuts."""
    load = profiles.load
    (tmp_path / "strict.conf").write_text(CUT)
    directories = (profiles.SHIPPED, str(tmp_path))
    monkeypatch.setattr(profiles, "load", lambda name: load(name, directories))


def test_a_profile_that_cuts_condemns_when_it_comes(two: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cuts(monkeypatch, tmp_path)
    two.retag("ganeti-ext:firewall.0:strict")
    assert two.cut == [(OWN,)]
    # Another tag of the instance is no reason to cut again.
    two.retag("ganeti-ext:firewall.0:strict nfdhcpd:lease:60", "101.000000000")
    assert len(two.cut) == 1


def test_a_cut_that_failed_is_made_when_it_is_told_again(
    node: Node, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuts(monkeypatch, tmp_path)
    node.start(env)

    def refused(*_: object) -> None:
        raise CommandError("conntrack: no")

    with monkeypatch.context() as once:
        once.setattr("kvm_ifup.ctnetlink.condemn", refused)
        with pytest.raises(ExtError, match="conntrack: no"):
            node.retag("ganeti-ext:firewall:strict")
    # The rules stand, but it is known that something is owed.
    assert node.kernel.elements["bridge", "profile", '"tap0"'] == "goto mark_1"
    node.retag("ganeti-ext:firewall:strict", "101.000000000")
    assert (node.profile(), node.cut) == ("strict", [(OWN,)])


def test_a_profile_that_keeps_condemns_nothing(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    node.retag("ganeti-ext:firewall:protected")
    node.retag("", "101.000000000")
    assert node.cut == []


def test_connections_of_a_private_network_are_cut_in_its_zone(
    node: Node, env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuts(monkeypatch, tmp_path)
    node.start({**env, "NETWORK_TAGS": "private-filtered"})
    node.retag("ganeti-ext:firewall:strict")
    assert node.cut == [(OWN, 1)]


def test_tags_of_a_network_are_followed_too(node: Node, env: dict[str, str]) -> None:
    node.start({**env, "NETWORK_TAGS": ""})
    told = {"nic-1": {"NETWORK_TAGS": "ganeti-ext:firewall:protected"}}
    refresh.retag(NAME, "", "100.000000000", node.settings, node.records, told)
    assert node.profile() == "protected"
    refresh.retag(NAME, "", "101.000000000", node.settings, node.records, {"nic-2": {"NETWORK_TAGS": ""}})
    assert node.profile() == "protected"


def test_another_ipv6_of_a_network_is_followed_too(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    told = {"_COUNT": "1", "0_UUID": "nic-1", "0_NETWORK_TAGS": "nfdhcpd", "0_NETWORK_SUBNET6": "fd00:9::/64"}
    networks = refresh.of_networks({f"GANETI_INSTANCE_NIC{key}": value for key, value in told.items()})
    refresh.retag(NAME, "", "100.000000000", node.settings, node.records, networks)
    assert {key[9:16] for _, name, key in node.kernel.elements if name == "ip6_source"} == {"fd00:9:"}


def test_a_new_master_whose_clock_is_behind_is_believed(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    node.retag("ganeti-ext:firewall:protected", "1000.000000000")
    node.retag("", "999.000000000")
    assert node.profile() == "protected"
    node.retag("", "900.000000000")
    assert node.profile() == "unprotected"


def test_main_reads_the_hooks_environment(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    hook = {"GANETI_INSTANCE_NAME": NAME, "GANETI_INSTANCE_TAGS": "ganeti-ext:firewall:protected"}
    refresh.main("instance-tags", {**hook, "GANETI_EXT_TAGS_TIME": "100.000000007"})
    assert (node.profile(), node.record().told) == ("protected", "100.000000007")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"GANETI_INSTANCE_NAME": ""}, "GANETI_INSTANCE_NAME is not set"),
        ({"GANETI_EXT_TAGS_TIME": ""}, "GANETI_EXT_TAGS_TIME is not set"),
        ({"GANETI_EXT_TAGS_TIME": "now"}, "GANETI_EXT_TAGS_TIME has a bad value 'now'"),
        ({"GANETI_EXT_TAGS_TIME": "17"}, "GANETI_EXT_TAGS_TIME has a bad value '17'"),
    ],
)
def test_what_the_hook_lacks_is_named(node: Node, env: dict[str, str], change: dict[str, str], words: str) -> None:
    node.start(env)
    hook = {"GANETI_INSTANCE_NAME": NAME, "GANETI_INSTANCE_TAGS": "", "GANETI_EXT_TAGS_TIME": "1.000000000"}
    with pytest.raises(ContractError, match=words):
        refresh.main("instance-tags", {**hook, **change})
    assert node.kernel.calls == []


def test_tags_that_are_not_told_are_not_taken_for_none(node: Node, env: dict[str, str]) -> None:
    node.start({**env, "TAGS": "ganeti-ext:firewall:protected"})
    hook = {"GANETI_INSTANCE_NAME": NAME, "GANETI_EXT_TAGS_TIME": "1.000000000"}
    with pytest.raises(ContractError, match="GANETI_INSTANCE_TAGS is not set"):
        refresh.main("instance-tags", hook)
    assert node.profile() == "protected"
    refresh.main("instance-tags", {**hook, "GANETI_INSTANCE_TAGS": ""})
    assert node.profile() == "unprotected"


def test_settling_reaps_what_is_gone_and_announces_what_is_here(
    node: Node, env: dict[str, str], bindings: Path
) -> None:
    ip_less = {**env, "MODE": "routed", "LINK": "100", "BRIDGE": "", "NETWORK_TAGS": "ip-less-routed"}
    node.start({**ip_less, "TAGS": "disable_ipv6"})
    node.kernel.links["tap1"] = 13
    node.start({**env, "INTERFACE": "tap1", "INTERFACE_UUID": "nic-2", "INSTANCE": "gx-2.example.org"})
    node.kernel.lose("tap1")
    refresh.main("instance-moved", {"GANETI_INSTANCE_NAME": NAME})
    assert list(node.records.taps()) == ["tap0"]
    assert list(bindings.iterdir()) == []
    assert node.sent == {"eth0": announce.frames(UPLINK.mac, "10.0.0.5", None)}


def test_a_bridged_instance_announces_itself(node: Node, env: dict[str, str]) -> None:
    node.start(env)
    refresh.main("instance-moved", {"GANETI_INSTANCE_NAME": NAME})
    assert (node.sent, node.kernel.calls) == ({}, [])


def test_an_instance_that_left_is_not_announced_by_the_node_that_it_left(node: Node, env: dict[str, str]) -> None:
    node.start({**env, "MODE": "routed", "LINK": "100", "BRIDGE": "", "NETWORK_TAGS": "ip-less-routed"})
    node.kernel.lose("tap0")
    refresh.main("instance-moved", {"GANETI_INSTANCE_NAME": NAME})
    assert node.sent == {}
    assert list(node.records.taps()) == []
