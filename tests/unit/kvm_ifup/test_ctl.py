"""The command: arguments, exit codes, plain text and JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ganeti_ext.errors import CommandError
from kvm_ifup import bridges, ctl, inquiry, links, ours, packet_words, standing, sweep
from kvm_ifup.bridges import ALIAS, Link
from kvm_ifup.check import Check
from kvm_ifup.check_rules import Finding
from kvm_ifup.explain import Seen
from kvm_ifup.profile import PROTOCOLS
from kvm_ifup.state import Record, Records
from tests.unit.kvm_ifup.explained import record

ROOT = Path(__file__).parents[3]
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where records are: tap0 stands, tap1 is gone."""
    found = tmp_path / "run"
    monkeypatch.setattr(inquiry, "DIRECTORY", str(found))
    monkeypatch.setattr(links, "ifindex", {"tap0": 12}.get)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(standing.Node, "shown", lambda _self, _bridge: Seen())
    for tap in ("tap0", "tap1"):
        Records(str(found)).write(record("limited", INTERFACE=tap)._replace(tap=tap))
    return found


def run(*argv: str) -> int:
    return ctl.main([*argv, *([] if "--config" in argv else ["--config", "/none"])])


def rows(capsys: Output) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_list(capsys: Output, place: Path) -> None:
    assert run("list") == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["TAP", "STATE"]
    assert [first.split()[:2], second.split()[:2]] == [["tap0", "up"], ["tap1", "gone"]]
    assert run("list", "--json") == 0
    assert [row["tap"] for row in rows(capsys)] == ["tap0", "tap1"]
    (place / "taps/tap2").write_text("nonsense")
    assert run("list") == 1
    assert "tap2: " in capsys.readouterr().out


def test_show(capsys: Output) -> None:
    assert run("show", "tap0") == 0
    assert capsys.readouterr().out.startswith("tap0: NIC 0 of gx-1.example.org\n")
    assert run("show", "tap0", "--json") == 0
    (row,) = rows(capsys)
    assert (row["tap"], row["state"], row["profile"]["name"]) == ("tap0", "up", "limited")
    assert run("show", "tap9") == 1
    assert "ganeti-ext-net: there is no record of a tap 'tap9'" in capsys.readouterr().err


def test_profiles(capsys: Output) -> None:
    assert run("profiles") == 0
    assert "PROFILE" in capsys.readouterr().out
    assert run("profiles", "--json") == 0
    others = dict.fromkeys(("protected", "ssh", "unprotected"), 0)
    assert {row["profile"]: row["taps"] for row in rows(capsys)} == {"limited": 2, **others}


def test_files_of_profiles(capsys: Output, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.conf", tmp_path / "bad.conf"
    good.write_text("[profile]\n")
    bad.write_text("[profile]\nnew = 1\n[allow x]\n")
    assert run("profiles", "--check", str(good)) == 0
    assert capsys.readouterr().out == ""
    assert run("profiles", "--check", str(good), str(bad), "--json") == 1
    found = rows(capsys)
    assert {row["file"] for row in found} == {str(bad)}
    assert len(found) == 2


def test_check(capsys: Output, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: list[Finding] = []
    monkeypatch.setattr(Check, "findings", lambda _self: iter(found))
    assert run("check") == 0
    assert capsys.readouterr().out == "0 taps: all that must stand does, and nothing more\n"
    assert run("check", "--json") == 0
    assert rows(capsys) == []
    found.append(Finding("tap0", "it is down", "ip link set dev tap0 up"))
    assert run("check") == 1
    assert capsys.readouterr().out == "tap0: it is down\n    ip link set dev tap0 up\n"
    assert run("check", "--json") == 1
    assert rows(capsys) == [{"tap": "tap0", "found": "it is down", "todo": "ip link set dev tap0 up"}]
    config = tmp_path / "network.conf"
    config.write_text("[network]\nfirewall = none\n")
    assert run("check", "--config", str(config)) == 1
    assert "firewall has a bad value 'none'" in capsys.readouterr().out


def test_a_node_that_cannot_be_looked_at(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def rules(_self: object) -> None:
        raise CommandError("nft: not installed")

    monkeypatch.setattr(standing.Node, "rules", rules)
    assert run("check") == 1
    assert "ganeti-ext-net: nft: not installed" in capsys.readouterr().err


class Undone(sweep.Accountant):
    """Undoes records, and nothing on the node."""

    def __init__(self, records: Records) -> None:
        super().__init__(records, lambda _argv, stdin="": stdin, {"tap0": 12}.get)


def test_reap(capsys: Output, monkeypatch: pytest.MonkeyPatch, place: Path, tmp_path: Path) -> None:
    config = tmp_path / "network.conf"
    config.write_text(f"[network]\nbinding_directory = {tmp_path}/none\n")
    monkeypatch.setattr(sweep, "Accountant", Undone)
    assert run("reap", "--config", str(config)) == 0
    assert capsys.readouterr().out.startswith("tap1 of gx-1.example.org: undone:\n  ip link set dev tap0 down\n")
    assert run("reap", "tap0") == 1
    assert "tap0 stands, and gx-1.example.org uses it" in capsys.readouterr().err
    assert run("reap", "tap0", "--force", "--json") == 0
    (row,) = rows(capsys)
    assert row["tap"] == "tap0"
    assert list((place / "taps").iterdir()) == []
    (place / "taps/tap5").write_text("nonsense")
    assert run("reap", "--config", str(config)) == 1


def test_rules(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[bool] = []
    monkeypatch.setattr(ours, "listed", lambda: ["table inet ganeti_ext {", "}"])
    monkeypatch.setattr(ours, "remove", lambda: removed.append(True))
    assert run("rules") == 0
    assert capsys.readouterr().out == "table inet ganeti_ext {\n}\n"
    assert removed == []
    assert run("rules", "--remove") == 0
    assert removed == [True]
    assert "systemctl reload ganeti-ext-reaper" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["in", "tcp", "dport=22"], 0, "PASS: no rule on its way drops it"),
        (["in", "tcp", "dport=23"], 4, "DROP: nothing in the profile limited allows what is new and like this"),
        (["out", "src=10.0.0.9"], 4, "DROP: 10.0.0.9 is not an address that this guest may use"),
        (["out"], 0, "PASS: no rule on its way drops it"),
    ],
)
def test_explain(capsys: Output, words: list[str], code: int, why: str) -> None:
    assert run("explain", "tap0", *words) == code
    assert capsys.readouterr().out.splitlines()[-1] == f"  {why}"


@pytest.mark.parametrize("at", [0, 2, 4])
def test_explain_in_json(capsys: Output, at: int) -> None:
    argv = ["tap0", "in", "tcp", "dport=22"]
    assert run("explain", *argv[:at], "--json", *argv[at:]) == 0
    (row,) = rows(capsys)
    assert row["said"] == {"proto": "tcp", "dport": "22"}
    assert row["assumed"]["dst"] == "10.0.0.5"
    assert (row["verdict"], row["met"][-1]["stage"]) == ("pass", "profile")


def test_what_the_node_says_comes_from_its_bridge(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing.Node, "mac", lambda _self, name: {"br0": "02:00:00:00:00:b0"}.get(name))
    assert run("explain", "tap0", "in", "local", "--json") == 0
    (row,) = rows(capsys)
    assert row["assumed"]["mac"] == "02:00:00:00:00:b0"


def test_what_explain_cannot_understand(capsys: Output) -> None:
    assert run("explain", "tap0", "in", "tpc") == 2
    assert "ganeti-ext-net: 'tpc' is none of " in capsys.readouterr().err
    assert run("explain", "tap0", "in", "tcp") == 2
    assert "say dport= too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("of", "words", "why"),
    [
        (record(TAGS="ganeti-ext:spoof-allowed"), ["out"], "a tag allows this guest to say anything"),
        (record(MODE="openvswitch", BRIDGE=""), ["in"], "no rule judges what comes this way"),
    ],
)
def test_where_nothing_judges(capsys: Output, place: Path, of: Record, words: list[str], why: str) -> None:
    Records(str(place)).write(of)
    assert run("explain", "tap0", *words) == 0
    assert f"  PASS: {why}\n" in capsys.readouterr().out


def test_bridges(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"eth1": Link("eth1", "", None, None, None, "", 1500, up=True)}
    done: list[str] = []
    monkeypatch.setattr(bridges, "links", lambda: there)
    monkeypatch.setattr(bridges, "apply", done.extend)
    wanted = ["--link", "eth1", "--prefix", "prv", "--vlans", "7"]
    assert run("bridges", "up", *wanted, "--mtu", "1400") == 0
    assert capsys.readouterr().out.splitlines()[0] == "ip link add link eth1 name eth1.7 type vlan id 7"
    assert any("mtu 1400" in line for line in done)
    there["prv7"] = Link("prv7", "bridge", None, None, None, ALIAS, 1500, up=True)
    there["tap3"] = Link("tap3", "tun", None, None, "prv7", "", 1500, up=True)
    assert run("bridges", "show", "--json") == 0
    assert rows(capsys)[0]["ports"] == ["tap3"]
    assert run("bridges", "show") == 0
    assert "prv7" in capsys.readouterr().out
    done.clear()
    assert run("bridges", "down", *wanted) == 1
    assert capsys.readouterr().out == "prv7 stays: in use by tap3\n"
    del there["tap3"]
    assert run("bridges", "down", *wanted, "--json") == 0
    assert (rows(capsys), done) == ([{"did": "link del dev prv7"}], ["link del dev prv7"])


@pytest.mark.parametrize(
    "argv", [["check"], ["reap"], ["rules"], ["bridges", "up", "--link", "e", "--prefix", "p", "--vlans", "1"]]
)
def test_what_takes_root_says_so(capsys: Output, monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(*argv) == 1
    assert capsys.readouterr().err.endswith(": be root\n")


def test_records_that_may_not_be_read(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    def listdir(_path: str) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", listdir)
    assert run("list") == 1
    assert "Permission denied: be root" in capsys.readouterr().err


def test_a_bad_configuration(capsys: Output, tmp_path: Path) -> None:
    config = tmp_path / "network.conf"
    config.write_text("[network]\nbindings = x\n")
    assert run("list", "--config", str(config)) == 3
    assert "unknown key 'bindings'" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    script = "import sys; from kvm_ifup.ctl import main; sys.exit(main())"
    argv = [sys.executable, "-c", script, "profiles", "--config", "/none"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.wait(10), process.stderr.read()) == (0, b"")


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["stop"],
        ["show"],
        ["reap", "--force"],
        ["explain", "tap0"],
        ["explain", "tap0", "up"],
        ["explain", "tap0", "in", "--src"],
        ["list", "tap0"],
        ["bridges"],
        ["bridges", "up", "--link", "eth1", "--prefix", "prv"],
        ["bridges", "up", "--link", "eth1", "--prefix", "prv", "--vlans", "5000"],
        ["bridges", "down", "--link", "eth1", "--prefix", "prv", "--vlans", "1", "--mtu", "1400"],
    ],
)
def test_usage(argv: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(argv)
    assert ended.value.code == 2
    assert "usage: ganeti-ext-net" in capsys.readouterr().err


def test_the_manual_tells_of_every_command_and_every_word() -> None:
    manual = (ROOT / "debian/man/ganeti-ext-net.8").read_text()
    macros = [line for line in manual.splitlines() if line.startswith((".Cm ", ".It Cm "))]
    said = {word.strip(",|") for line in macros for word in line.replace("=", "= ").split()}
    assert said >= set(ctl.VERBS)
    words = {*packet_words.OPERATIONS, *packet_words.ETHERTYPES, *PROTOCOLS, *packet_words.STATES}
    with pytest.raises(packet_words.PacketError) as told:
        packet_words.read(["nonsense"])
    words |= set(str(told.value).partition(" is none of ")[2].split(", "))
    assert words <= said


@pytest.mark.parametrize("verb", [*ctl.VERBS, ""])
def test_help(verb: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main([verb, "--help"] if verb else ["--help"])
    assert ended.value.code == 0
    assert verb in capsys.readouterr().out
