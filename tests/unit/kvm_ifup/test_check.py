"""One look over a node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from ganeti_ext import binding
from kvm_ifup import iptables, iptables_rule, profiles, required
from kvm_ifup.check import Check
from kvm_ifup.check_host import Links
from kvm_ifup.check_rules import Finding
from kvm_ifup.explain import Seen
from kvm_ifup.listing import Listing
from kvm_ifup.settings import Settings
from kvm_ifup.standing import Node
from kvm_ifup.state import Assigned, Records
from tests.unit.kvm_ifup.explained import MAC, record


class Healthy(Node):
    """All stands as it must, but for what a test changes."""

    def __init__(self) -> None:
        super().__init__(run=lambda *_: pytest.fail("a program was started"))
        self.listed = Listing(frozenset(("inet",)), {}, {}, {("inet", "s"): ['"x"']})
        self.seen = Seen()
        self.off: tuple[str, ...] = ()
        self.none: tuple[str, ...] = ()
        self.made: dict[str, str] = {}
        self.text = ""
        self.linked = Links(masters={"tap0": "br0"}, up=frozenset(("tap0",)))

    def rules(self) -> Listing:
        return self.listed

    def would_be(self, text: str) -> Listing:
        self.text = text
        return Listing(frozenset(("inet",)), {}, {}, {("inet", "s"): ['"x"']})

    def links(self, tables: Iterable[str]) -> Links:
        assert set(tables) <= {"main"}
        return self.linked

    def ports(self, taps: Iterable[str]) -> dict[str, str]:
        assert list(taps) == []
        return {}

    def sysctl(self, path: str) -> str | None:
        return "0" if path in self.off else None if path in self.none else "1"

    def shown(self, bridge: str) -> Seen:
        assert bridge == "br0"
        return self.seen

    def ganetis(self) -> Iterator[tuple[str, str]]:
        return iter(self.made.items())


@pytest.fixture
def node(records: Records, bindings: Path) -> Healthy:
    """tap0 has the profile `limited` and a binding."""
    records.write(record("limited")._replace(binding=str(bindings / "tap0")))
    bound = binding.Binding("tap0", MAC, "web", "gx-1.example.org", ifindex=12)
    binding.write(bound, str(bindings))
    return Healthy()


@pytest.fixture
def there() -> dict[str, int]:
    return {"tap0": 12}


@pytest.fixture
def check(node: Healthy, records: Records, settings: Settings, there: dict[str, int]) -> Check:
    return Check(settings, records, node, there.get)


def test_all_is_well(check: Check, node: Healthy) -> None:
    assert list(check.findings()) == []
    assert list(check.taps) == ["tap0"]
    assert 'port_12 { type filter hook ingress device "tap0"' in node.text
    assert 'comment "allow ssh"' in node.text


def test_a_tap_that_is_gone(check: Check, there: dict[str, int], node: Healthy) -> None:
    there["tap0"] = 13
    gone = Finding("tap0", "it is gone, and what it had for gx-1.example.org is not", "ganeti-ext-net reap")
    assert list(check.findings()) == [gone]
    node.listed.elements["inet", "s"] += ['"tap0"', '"tap1"']
    node.listed.chains["netdev", "port_12"] = "{}"
    assert [one.tap for one in check.findings()] == ["tap0", "tap1"], "its own is undone from its record"


def test_a_damaged_record(check: Check, tmp_path: Path) -> None:
    (tmp_path / "run/taps/tap3").write_text("nonsense")
    (one,) = check.findings()
    assert (one.tap, one.todo) == ("tap3", "remove the file and restart the instance")


def test_a_tap_of_ganetis_without_a_record(check: Check, node: Healthy, there: dict[str, int]) -> None:
    node.made = {"tap0": "gx-1", "tap5": "gx-5", "tap6": "gx-6", "gnt.com.0": "gx-7"}
    there.update({"tap5": 20, "gnt.com.0": 21})
    (one,) = check.findings()
    assert one == Finding(
        "tap5",
        "Ganeti made it for gx-5, and nothing of ours stands for it",
        "restart gx-5, or migrate it away and back",
    )


def test_bindings(check: Check, bindings: Path, there: dict[str, int]) -> None:
    old = binding.Binding("tap8", MAC, "old", "gx-8", ifindex=99)
    for tap, ifindex in (("tap8", 99), ("tap9", 21), ("own", None)):
        binding.write(old._replace(tap=tap, ifindex=ifindex), str(bindings))
    there["tap9"] = 21
    (bindings / "bad").write_text("nonsense")
    bad, left = check.findings()
    assert (bad.tap, bad.todo) == ("bad", f"correct it, or rm {bindings}/bad")
    assert left == Finding("tap8", f"{bindings}/tap8 is of a tap that is gone", "ganeti-ext-net reap")


@pytest.mark.parametrize("broken", ["missing", "other", "older"])
def test_a_taps_own_binding(check: Check, bindings: Path, broken: str) -> None:
    text = (bindings / "tap0").read_text()
    changed = {"other": text.replace(MAC, "52:54:00:00:00:66"), "older": text.replace("IFINDEX=12", "IFINDEX=11")}
    (bindings / "tap0").unlink()
    if broken in changed:
        (bindings / "tap0").write_text(changed[broken])
    (one,) = check.findings()
    assert (one.tap, one.todo) == ("tap0", "restart the instance, or migrate it away and back")


def test_no_directory_of_bindings(node: Healthy, records: Records, tmp_path: Path, there: dict[str, int]) -> None:
    records.write(record("limited")._replace(binding=None))
    assert list(Check(Settings(binding_directory=str(tmp_path / "none")), records, node, there.get).findings()) == []


def test_a_profile_without_a_file(check: Check, records: Records, node: Healthy) -> None:
    records.write(record("limited")._replace(firewall=Assigned("lost", 9, "br0", ()), binding=None))
    (one,) = check.findings()
    assert "there is no firewall profile 'lost'" in one.found
    assert one.todo == "correct that: until then no instance that has the profile starts"
    assert "add chain bridge ganeti_ext mark_9\n" in node.text, "its tap's element needs the chain"


def test_rules_of_both_kinds(check: Check, node: Healthy) -> None:
    node.listed.elements["inet", "s"][:] = ['"y"']
    assert [one.found for one in check.findings()] == [
        '"x" is missing in s of inet ganeti_ext',
        '"y" in s is in no record',
    ]


def test_two_taps_with_one_address(check: Check, records: Records, there: dict[str, int], node: Healthy) -> None:
    second = record("limited", INTERFACE="tap1")
    records.write(second._replace(tap="tap1", ifindex=13, binding=None, undo=()))
    there["tap1"] = 13
    node.linked = Links(masters={"tap0": "br0", "tap1": "br0"}, up=frozenset(("tap0", "tap1")))
    first, _ = check.findings()
    assert first == Finding("tap1", "br0 10.0.0.5: tap0 has the same address", "let one have another")
    assert node.text.count('"br0" . 10.0.0.5 : goto') == 1


def test_without_taps_nothing_must_stand(node: Healthy, tmp_path: Path, settings: Settings) -> None:
    node.listed = Listing(frozenset(), {}, {}, {})
    node.linked = Links()
    settings = settings._replace(binding_directory=str(tmp_path / "none"))
    assert list(Check(settings, Records(str(tmp_path / "none")), node, dict[str, int]().get).findings()) == []


def test_the_node_beside_rules(check: Check, node: Healthy) -> None:
    node.seen = Seen(ip4=False)
    assert [one.tap for one in check.findings()] == ["tap0"]


def test_sysctls(node: Healthy, records: Records, settings: Settings) -> None:
    records.write(record(MODE="routed", LINK="", BRIDGE="", NETWORK_TAGS=""))
    routes = {
        ("main", 4): frozenset((("10.0.0.5", "tap0"),)),
        ("main", 6): frozenset((("2001:db8::5054:ff:fe00:1", "tap0"),)),
    }
    node.linked = Links(up=frozenset(("tap0",)), routes=routes)
    node.off = ("net/ipv6/conf/all/forwarding",)
    settings = settings._replace(binding_directory="/none")
    (one,) = Check(settings, records, node, {"tap0": 12}.get).findings()
    assert one.todo == "sysctl -w net/ipv6/conf/all/forwarding=1"
    node.off, node.none = (), ("net/ipv6/conf/all/forwarding",)
    assert list(Check(settings, records, node, {"tap0": 12}.get).findings()) == [], "a kernel without IPv6"


def test_rules_of_iptables(
    node: Healthy, records: Records, settings: Settings, there: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = settings._replace(firewall="iptables")
    lines = iptables_rule.lines(required.legacy({3: profiles.load("limited")}, old))
    assert lines[0].startswith("iptables -A FORWARD ")
    assert any(line.startswith("ip6tables -A ganeti-ext-limited ") for line in lines)
    monkeypatch.setattr(iptables, "found", lambda: ["iptables -A ganeti-ext-web -j DROP", *lines])
    check = Check(old, records, node, there.get)
    assert list(check.findings()) == []
    monkeypatch.setattr(iptables, "found", lambda: lines[1:])
    (one,) = check.findings()
    assert one.found == f"there is no rule {lines[0]}"
