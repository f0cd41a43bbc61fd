from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ganeti_ext.errors import CommandError, ExtError
from nfdhcpd import chains, divert, limit
from nfdhcpd.divert import DivertError
from nfdhcpd.settings import General, Ipv6, Settings
from tests.unit.nfdhcpd.test_chains import FOUR, SIX, listing
from tests.unit.nfdhcpd.test_limit import LISTING

TABLES = "table bridge nfdhcpd\ntable inet nfdhcpd\ntable bridge ganeti_ext\n"
IN_PLACE = {"iptables": listing(*FOUR), "ip6tables": listing(*SIX), "nft list tables": TABLES}


class Runner:
    """Records what is run; listings are answered from `answers`, by the command or its first word."""

    def __init__(self, answers: dict[str, str] | None = None) -> None:
        self.answers = {"iptables": listing(), "ip6tables": listing(), **(answers or {})}
        self.fed: dict[str, str] = {}
        self.ran: list[list[str]] = []
        self.broken: set[str] = set()

    def __call__(self, argv: Sequence[str], *, stdin: str = "") -> str:
        self.ran.append(list(argv))
        if argv[0] in self.broken:
            raise CommandError(f"{argv[0]}: failed")
        if stdin:
            assert "--noflush" in argv or argv == ["nft", "-f", "-"]
            self.fed[argv[0]] = stdin
            return ""
        return self.answers.get(" ".join(argv), self.answers.get(argv[0], ""))


@pytest.fixture
def bridge(tmp_path: Path) -> str:
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        (tmp_path / name).write_text("0\n")
    return str(tmp_path)


def test_all_rules_are_set(bridge: str) -> None:
    runner = Runner()
    divert.divert(Settings(), runner, bridge)
    assert runner.fed == {
        "nft": limit.rules(Settings()),
        "iptables-restore": chains.plan(listing(), chains.ipv4(Settings())),
        "ip6tables-restore": chains.plan(listing(), chains.ipv6(Settings())),
    }


def test_packets_are_limited_before_they_are_diverted(bridge: str) -> None:
    runner = Runner()
    divert.divert(Settings(), runner, bridge)
    writers = [argv[0] for argv in runner.ran if argv[0] in runner.fed]
    assert writers[0] == "nft"


def test_a_family_that_is_off_is_taken_away(bridge: str) -> None:
    runner = Runner(IN_PLACE)
    divert.divert(Settings(ipv6=Ipv6(enable=False)), runner, bridge)
    assert runner.fed["ip6tables-restore"].endswith("-X nfdhcpd-ns\nCOMMIT\n")
    assert Path(bridge, "bridge-nf-call-ip6tables").read_text().strip() == "0"


def test_undivert_takes_our_own_alone() -> None:
    runner = Runner(IN_PLACE)
    divert.undivert(runner)
    assert runner.fed == {
        "iptables-restore": chains.plan(listing(*FOUR), []),
        "ip6tables-restore": chains.plan(listing(*SIX), []),
        "nft": limit.forget(),
    }


@pytest.mark.parametrize("broken", ["iptables", "ip6tables", "nft"])
def test_undivert_tries_everything(broken: str) -> None:
    runner = Runner(IN_PLACE)
    runner.broken = {broken}
    with pytest.raises(CommandError, match=f"{broken}: failed"):
        divert.undivert(runner)
    assert {name.removesuffix("-restore") for name in runner.fed} == {"iptables", "ip6tables", "nft"} - {broken}


def test_nothing_is_missing() -> None:
    assert divert.missing(Settings(), Runner(IN_PLACE)) == []


def test_what_is_missing_is_named() -> None:
    answers = {
        "iptables": listing(*FOUR[:3]),
        "ip6tables": listing(*SIX[1:]),
        "nft list tables": TABLES.replace("bridge nfdhcpd", "bridge x"),
    }
    assert divert.missing(Settings(), Runner({**IN_PLACE, **answers})) == [
        f"iptables -t mangle {FOUR[3]}",
        f"ip6tables -t mangle {SIX[0]}",
        "nft table bridge nfdhcpd",
    ]


def test_what_is_off_is_not_missed() -> None:
    runner = Runner({"iptables": listing(*FOUR)})
    assert divert.missing(Settings(General(rate=0), ipv6=Ipv6(enable=False)), runner) == []
    assert [argv[0] for argv in runner.ran] == ["iptables"]


def test_dropped_packets_of_both_kinds_of_taps() -> None:
    routed = LISTING.replace("bridge", "inet").replace("tap0", "tap7")
    runner = Runner(
        {f"nft -j list set {table} nfdhcpd dropped": text for table, text in (("bridge", LISTING), ("inet", routed))}
    )
    assert divert.dropped(Settings(), runner) == {"tap0": 3690, "tap7": 3690, "tap12": 2}
    assert divert.dropped(Settings(General(rate=0)), runner) == {}


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
    assert "physdev" not in "".join(runner.fed.values())
    assert "-i tap+" in runner.fed["iptables-restore"]


def test_errors_have_an_exit_code() -> None:
    assert issubclass(DivertError, ExtError)
