from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ganeti_ext.errors import CommandError, ExtError
from nfdhcpd import divert
from nfdhcpd.divert import DivertError
from nfdhcpd.settings import Dhcp, General, Ipv6, Settings

EMPTY = "-P PREROUTING ACCEPT\n-P FORWARD ACCEPT\n"
FOREIGN = "-A PREROUTING -i eth0 -j MARK --set-xmark 0x1/0xffffffff\n"
OURS = (
    "-P PREROUTING ACCEPT\n-N nfdhcpd\n"
    "-A PREROUTING -p udp -m udp --dport 67 -j nfdhcpd\n" + FOREIGN + "-A nfdhcpd -i tap+ -j NFQUEUE --queue-num 42\n"
)


class Runner:
    """Records what is run; listings are answered from `tables`."""

    def __init__(self, **tables: str) -> None:
        self.tables = tables
        self.restored: dict[str, str] = {}
        self.ran: list[list[str]] = []
        self.broken: set[str] = set()

    def __call__(self, argv: Sequence[str], *, stdin: str = "") -> str:
        self.ran.append(list(argv))
        if argv[0] in self.broken:
            raise CommandError(f"{argv[0]}: failed")
        if argv[0].endswith("-restore"):
            assert "--noflush" in argv
            self.restored[argv[0].removesuffix("-restore")] = stdin
            return ""
        return self.tables.get(argv[0], EMPTY)


@pytest.fixture
def bridge(tmp_path: Path) -> str:
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        (tmp_path / name).write_text("0\n")
    return str(tmp_path)


def test_rules_look_at_the_protocol_first_and_at_taps_alone(bridge: str) -> None:
    runner = Runner()
    divert.divert(Settings(), runner, bridge)
    assert runner.restored == {
        "iptables": "*mangle\n:nfdhcpd - [0:0]\n"
        "-A nfdhcpd -m physdev --physdev-in tap+ -j NFQUEUE --queue-num 42\n"
        "-A nfdhcpd -i tap+ -j NFQUEUE --queue-num 42\n"
        "-I PREROUTING -p udp -m udp --dport 67 -j nfdhcpd\nCOMMIT\n",
        "ip6tables": "*mangle\n:nfdhcpd - [0:0]\n"
        "-A nfdhcpd -m physdev --physdev-in tap+ -j NFQUEUE --queue-num 43\n"
        "-A nfdhcpd -i tap+ -j NFQUEUE --queue-num 43\n"
        "-I PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 133 -j nfdhcpd\nCOMMIT\n",
    }


def test_a_dead_daemon_lets_nothing_through(bridge: str) -> None:
    runner = Runner()
    divert.divert(Settings(), runner, bridge)
    assert "bypass" not in "".join(runner.restored.values())


def test_again_is_one_jump_still() -> None:
    rules = divert.chain(General(), 42)
    text = divert.plan(OURS + "-A PREROUTING -p udp -m udp --dport 67 -j nfdhcpd\n", divert._DHCP, rules)
    assert text.count("-D PREROUTING -p udp -m udp --dport 67 -j nfdhcpd\n") == 2
    assert text.count("-I PREROUTING") == 1
    assert "eth0" not in text


def test_undivert_takes_our_own_alone() -> None:
    runner = Runner(iptables=OURS)
    divert.undivert(runner)
    assert runner.restored == {
        "iptables": "*mangle\n-D PREROUTING -p udp -m udp --dport 67 -j nfdhcpd\n-F nfdhcpd\n-X nfdhcpd\nCOMMIT\n"
    }


def test_undivert_tries_both_families() -> None:
    runner = Runner(ip6tables=OURS)
    runner.broken = {"iptables"}
    with pytest.raises(CommandError, match="iptables: failed"):
        divert.undivert(runner)
    assert "ip6tables" in runner.restored


def test_other_queues_and_another_prefix(bridge: str) -> None:
    runner = Runner()
    divert.divert(Settings(General(tap_prefix="vm"), Dhcp(queue=0), Ipv6(queue=7)), runner, bridge)
    assert "--physdev-in vm+ -j NFQUEUE --queue-num 0\n" in runner.restored["iptables"]
    assert "-i vm+ -j NFQUEUE --queue-num 7\n" in runner.restored["ip6tables"]


def test_a_family_that_is_off_is_taken_away(bridge: str) -> None:
    runner = Runner(ip6tables=OURS)
    divert.divert(Settings(ipv6=Ipv6(enable=False)), runner, bridge)
    assert runner.restored["ip6tables"].endswith("-X nfdhcpd\nCOMMIT\n")
    assert Path(bridge, "bridge-nf-call-ip6tables").read_text().strip() == "0"


def test_switches_are_set(bridge: str) -> None:
    divert.check_bridge(Settings(), Runner(), bridge)
    assert [path.read_text().strip() for path in sorted(Path(bridge).iterdir())] == ["1", "1"]


def test_a_switch_that_may_not_be_set(bridge: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, mode: str = "r", **about: str) -> object:
        if mode == "w":
            raise PermissionError(13, "Permission denied")
        return real(path, mode, **about)  # type: ignore[call-overload]

    real = open
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DivertError, match=r"net\.bridge\.bridge-nf-call-iptables must be 1, is 0: Permission denied"):
        divert.check_bridge(Settings(), Runner(), bridge)


def test_br_netfilter_missing(tmp_path: Path) -> None:
    runner = Runner()
    with pytest.raises(DivertError, match=r"net\.bridge\.bridge-nf-call-iptables is missing.*br_netfilter"):
        divert.check_bridge(Settings(), runner, str(tmp_path / "none"))
    assert ["modprobe", "br_netfilter"] in runner.ran
    runner.broken = {"modprobe"}
    with pytest.raises(DivertError, match=r"load the module br_netfilter \(modprobe: failed\)"):
        divert.check_bridge(Settings(), runner, str(tmp_path / "none"))


def test_br_netfilter_is_loaded(tmp_path: Path, bridge: str) -> None:
    def load(argv: Sequence[str]) -> str:
        target.mkdir()
        Path(bridge, "bridge-nf-call-iptables").rename(target / "bridge-nf-call-iptables")
        return ""

    target = tmp_path / "late"
    divert.check_bridge(Settings(ipv6=replace(Ipv6(), enable=False)), load, str(target))
    assert (target / "bridge-nf-call-iptables").read_text() == "1"


def test_a_host_without_bridged_taps_needs_no_br_netfilter(tmp_path: Path) -> None:
    runner = Runner()
    divert.divert(Settings(General(bridged=False)), runner, str(tmp_path / "none"))
    assert "physdev" not in "".join(runner.restored.values())
    assert "-i tap+" in runner.restored["iptables"]


def test_errors_have_an_exit_code() -> None:
    assert issubclass(DivertError, ExtError)
