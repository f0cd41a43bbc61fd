from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ganeti_ext.errors import ConfigError, ExtError
from ganeti_ext.hookenv import Hook
from hooks import dnsserver, dnssettings, dnsupdate, node
from hooks.dnsanswer import Answer, Question
from tests.unit.hooks.dns import ENV, SETTINGS


class Server:
    """Holds all zones, empty, and refuses updates of some."""

    def __init__(self, *refuses: str) -> None:
        self.updated: list[str] = []
        self._refuses = refuses

    def ask(self, questions: Sequence[Question]) -> dict[Question, Answer]:
        return {(name, kind): Answer(True, zone=name.partition(".")[2]) for name, kind in questions}

    def update(self, zone: str, text: str) -> None:
        assert f"zone {zone}\n" in text
        self.updated.append(zone)
        if zone in self._refuses:
            raise ExtError(f"{zone} refused")


ZONES = [
    "example.org.", "2.0.192.in-addr.arpa.",
    "0.0.0.0.0.e.f.f.f.0.0.0.0.8.a.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
]  # fmt: skip


def carry_out(server: Server, **change: str) -> None:
    dnsupdate.carry_out(Hook.from_env({**ENV, **change}), SETTINGS, server)  # type: ignore[arg-type]


def test_names_go_before_addresses() -> None:
    server = Server()
    carry_out(server)
    assert server.updated == ZONES


def test_what_is_not_wanted_is_not_asked_for() -> None:
    carry_out(None, GANETI_OP_CODE="OP_INSTANCE_SHUTDOWN")  # type: ignore[arg-type]


def test_no_address_leads_to_a_name_that_was_refused() -> None:
    server = Server("example.org.")
    with pytest.raises(ExtError, match=r"^example\.org\. refused$"):
        carry_out(server)
    assert server.updated == ZONES[:1]


def test_a_reverse_zone_that_is_refused_does_not_keep_the_next_back() -> None:
    server = Server(*ZONES[1:])
    with pytest.raises(ExtError) as raised:
        carry_out(server)
    assert str(raised.value) == f"{ZONES[1]} refused; {ZONES[2]} refused"
    assert server.updated == ZONES


def test_what_cannot_be_is_told_after_all_that_can() -> None:
    server = Server()
    with pytest.raises(ExtError, match=r"^'web\.lab' is no name in the zones"):
        carry_out(server, GANETI_INSTANCE_NAME="web.lab")
    assert server.updated == []


@pytest.fixture
def acted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The servers that were spoken to, on the master of a cluster whose hook is configured."""
    servers: list[str] = []

    def speak(hook: Hook, settings: dnssettings.Settings, server: dnsserver.Server) -> None:
        servers.append(settings.server)
        if hook.instance == "broken":
            raise ExtError("one line\n and another")

    config = tmp_path / "dns.conf"
    config.write_text("[dns]\nserver = ns\nkey = /k\nzones = example.org\n")
    monkeypatch.setattr(dnssettings, "PATH", str(config))
    monkeypatch.setattr(dnsupdate, "carry_out", speak)
    monkeypatch.setattr(node, "is_this", lambda name, _: name == "node1.example.org")
    return servers


def test_the_master_acts(acted: list[str]) -> None:
    dnsupdate.main("dns", ENV)
    assert acted == ["ns"]


@pytest.mark.parametrize(
    "change",
    [
        {"GANETI_MASTER": "node2.example.org"}, {"GANETI_MASTER": ""}, {"GANETI_HOOKS_PHASE": "pre"},
        {"GANETI_OBJECT_TYPE": "NODE"},
    ],
)  # fmt: skip
def test_elsewhere_and_at_other_times_nothing_is_done(acted: list[str], change: dict[str, str]) -> None:
    Path(dnssettings.PATH).write_text("nonsense")
    dnsupdate.main("dns", {**ENV, **change})
    assert acted == []


def test_without_settings_the_environment_is_not_even_read(acted: list[str]) -> None:
    Path(dnssettings.PATH).unlink()
    dnsupdate.main("dns", {})
    assert acted == []


def test_without_a_server_it_is_off(acted: list[str]) -> None:
    Path(dnssettings.PATH).write_text("[dns]\n#server =\n")
    dnsupdate.main("dns", ENV)
    assert acted == []


def test_bad_settings_are_told(acted: list[str]) -> None:
    Path(dnssettings.PATH).write_text("[dns]\nserver = ns\n")
    with pytest.raises(ConfigError, match="key is not set"):
        dnsupdate.main("dns", ENV)


def test_a_failure_is_one_line_with_the_instance(acted: list[str]) -> None:
    with pytest.raises(ExtError, match=r"^broken: one line and another$"):
        dnsupdate.main("dns", {**ENV, "GANETI_INSTANCE_NAME": "broken"})
