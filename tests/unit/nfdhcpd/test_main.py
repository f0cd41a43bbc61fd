from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext import binding as file_of
from ganeti_ext.errors import CommandError
from nfdhcpd import divert, duid, main
from nfdhcpd.settings import Settings
from tests.unit.nfdhcpd.guest import binding


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "bindings").mkdir()
    (tmp_path / "nfdhcpd.conf").write_text(f"[general]\ndirectory = {tmp_path}/bindings\n")
    return str(tmp_path / "nfdhcpd.conf")


@pytest.fixture(autouse=True)
def missing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rules that are not in place."""
    rules: list[str] = []
    monkeypatch.setattr(divert, "missing", lambda _settings: rules)
    return rules


def test_check_of_good_bindings(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file_of.write(binding(ifindex=5), str(tmp_path / "bindings"))
    assert main.main(["--config", config, "--check"]) == 0
    assert capsys.readouterr().out == ""


def test_check_names_every_bad_binding(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for tap, about in (("tap0", {"subnet": "10.0.0.0/8", "ip": "11.0.0.1"}), ("tap1", {}), ("tap2", {"mac": "x"})):
        file_of.write(binding(tap=tap, **about), str(tmp_path / "bindings"))
    assert main.main(["--config", config, "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["binding of tap0", "binding of tap2"]


def test_check_names_every_missing_rule(config: str, missing: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    missing += ["iptables -t mangle -N nfdhcpd", "nft table inet nfdhcpd"]
    assert main.main(["--config", config, "--check"]) == 1
    assert capsys.readouterr().out == (
        "not in place: iptables -t mangle -N nfdhcpd (nfdhcpd --divert sets it)\n"
        "not in place: nft table inet nfdhcpd (nfdhcpd --divert sets it)\n"
    )


def test_check_without_the_right_to_see_rules(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_settings: object) -> list[str]:
        raise CommandError("iptables -S: Permission denied")

    monkeypatch.setattr(divert, "missing", fails)
    assert main.main(["--config", config, "--check"]) == 0
    assert "cannot be seen: iptables -S: Permission denied" in capsys.readouterr().err


def test_the_daemon_tells_what_is_missing(missing: list[str], caplog: pytest.LogCaptureFixture) -> None:
    main.warn(Settings())
    assert caplog.text == ""
    missing.append("nft table inet nfdhcpd")
    main.warn(Settings())
    assert "not in place: nft table inet nfdhcpd" in caplog.text


def test_a_bad_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.conf").write_text("[dhcp]\nleese = 5\n")
    assert main.main(["--config", str(tmp_path / "bad.conf"), "--check"]) == 3
    assert "unknown key 'leese'" in capsys.readouterr().err


def test_divert_and_undivert(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(divert, "divert", lambda settings: called.append(settings.general.directory))
    monkeypatch.setattr(divert, "undivert", lambda: called.append("undivert"))
    monkeypatch.setattr(duid, "ensure", lambda: called.append("duid"))
    assert main.main(["--config", config, "--divert"]) == 0
    assert main.main(["--config", "/nonexistent", "--undivert"]) == 0
    assert called == [str(Path(config).parent / "bindings"), "duid", "undivert"]


def test_what_cannot_be_diverted_is_said(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_settings: object) -> None:
        raise divert.DivertError("sysctl net.bridge.bridge-nf-call-iptables is missing")

    monkeypatch.setattr(divert, "divert", fails)
    assert main.main(["--config", config, "--divert"]) == 1
    assert capsys.readouterr().err == "nfdhcpd: sysctl net.bridge.bridge-nf-call-iptables is missing\n"
