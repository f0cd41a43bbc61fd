"""GET /servers/ID/diagnostics, of samples that are in the database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert

from frontend.compute import diagnostics
from frontend.database import db
from frontend.web import view
from tests.unit.frontend.admins import administrator
from tests.unit.frontend.conftest import COMPUTE, FOREIGN, Api

NOW = 1_800_000_000.0
BIG = 1 << 53
STANDARD = (
    *("state", "driver", "hypervisor", "num_cpus", "num_disks", "num_nics"),
    *("cpu_details", "memory_details", "disk_details", "nic_details"),
)
TAP3, TAP11 = ["tap3", 7, 2, 0, 1, 5, 3, 0, 0], ["tap11", 70, 20, 10, 30, 50, 40, 60, 80]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "time", SimpleNamespace(time=lambda: NOW))


def sample(api: Api, server: dict[str, Any], age: float, **values: Any) -> None:
    """One of this age; the older, the less was used."""
    used = {"cpu_ns": BIG - int(age), "memory_kib": 4096, "read": 100, "written": 200, "nics": [TAP3]}
    row = {"server_id": server["id"], "at": NOW - age, "began": "a1", **used, **values}
    with api.engine.begin() as connection:
        connection.execute(insert(db.sample).values(row))


def ask(api: Api, server: dict[str, Any], since: str | None = None) -> Any:
    query = {} if since is None else {"since": since}
    return api.get(f"{COMPUTE}/servers/{server['id']}/diagnostics", query_string=query)


def test_it_tells_what_libvirt_would_of_the_newest_sample(api: Api) -> None:
    server, other = api.server(ram=512), api.server()
    sample(api, server, 90, cpu_ns=1, began="a0")
    sample(api, server, 30, nics=[TAP3, TAP11])
    sample(api, other, 5, cpu_ns=2)
    answer = ask(api.become("rita"), server)
    assert answer.status_code == 200
    found = {key: value for key, value in answer.json.items() if key not in STANDARD}
    assert found == {
        "cpu0_time": BIG - 30,
        "memory": 512 * 1024,
        "memory-rss": 4096,
        "tap3_rx": 7, "tap3_rx_packets": 2, "tap3_rx_errors": 0, "tap3_rx_drop": 1,
        "tap3_tx": 5, "tap3_tx_packets": 3, "tap3_tx_errors": 0, "tap3_tx_drop": 0,
        "tap11_rx": 70, "tap11_rx_packets": 20, "tap11_rx_errors": 10, "tap11_rx_drop": 30,
        "tap11_tx": 50, "tap11_tx_packets": 40, "tap11_tx_errors": 60, "tap11_tx_drop": 80,
        "vda_read": 100,
        "vda_write": 200,
    }  # fmt: skip


def test_openstacksdk_finds_the_words_of_later_versions(api: Api) -> None:
    server = api.server(vcpus=2, disks=[{"name": None, "uuid": "d", "size": 1}] * 3)
    sample(api, server, 30, nics=[TAP11])
    found = ask(api, server).json
    assert {key: found[key] for key in STANDARD} == {
        "state": "running",
        "driver": "ganeti",
        "hypervisor": "kvm",
        "num_cpus": 2,
        "num_disks": 3,
        "num_nics": 1,
        "cpu_details": [{"id": 0, "time": BIG - 30}],
        "memory_details": {"maximum": 512, "used": 4},
        "disk_details": [{"read_bytes": 100, "write_bytes": 200}],
        "nic_details": [
            {"rx_octets": 70, "rx_packets": 20, "rx_errors": 10, "rx_drop": 30,
             "tx_octets": 50, "tx_packets": 40, "tx_errors": 60, "tx_drop": 80},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "nothing was measured of it within the last minutes"),
        ({"status": "SHUTOFF", "power": "SHUTOFF"}, "it does not run (vm_state stopped, status SHUTOFF)"),
        ({"status": "BUILD"}, "it does not run (vm_state building, status BUILD)"),
        ({"status": "UNKNOWN", "power": "UNKNOWN"}, "it does not run"),
    ],
)
def test_what_there_is_nothing_of(api: Api, columns: dict[str, Any], words: str) -> None:
    server = api.server(**columns)
    for since in (None, view.stamp(NOW - 60)):
        answer = ask(api, server, since)
        assert answer.status_code == 409
        message = answer.json["conflictingRequest"]["message"]
        assert message.startswith(f"Cannot 'get_diagnostics' instance {server['id']}: ")
        assert words in message


def test_an_old_sample_is_none_of_now(api: Api) -> None:
    server = api.server()
    sample(api, server, diagnostics.FRESH + 5)
    assert ask(api, server).status_code == 409
    found = ask(api, server, view.stamp(NOW - 3600)).json
    assert (set(found), len(found["samples"])) == ({"samples"}, 1)


@pytest.mark.parametrize("status", ["ERROR", "VERIFY_RESIZE", "RESCUE"])
def test_a_guest_that_runs_whatever_is_said_of_its_server(api: Api, status: str) -> None:
    server = api.server(status=status, power="ACTIVE")
    sample(api, server, 1)
    assert ask(api, server).status_code == 200


def test_samples_since_a_time_are_shown_oldest_first(api: Api) -> None:
    server = api.server()
    for age, began in ((200, "a0"), (140, "a0"), (80, "a1"), (20, "a1")):
        sample(api, server, age, began=began, nics=[TAP3, TAP11])
    found = ask(api, server, view.stamp(NOW - 140)).json
    assert found["cpu0_time"] == BIG - 20
    assert [(each["at"], each["cpu_ns"], each["began"]) for each in found["samples"]] == [
        (view.stamp(NOW - age), BIG - age, began) for age, began in ((140, "a0"), (80, "a1"), (20, "a1"))
    ]
    rest = {"memory_kib": 4096, "received": 77, "sent": 55, "read": 100, "written": 200}
    assert all({key: each[key] for key in rest} == rest for each in found["samples"])
    assert ask(api, server, view.stamp(NOW + 60)).json["samples"] == []


def test_a_stopped_server_shows_what_it_was_when_it_ran(api: Api) -> None:
    server = api.server(status="SHUTOFF", power="SHUTOFF")
    sample(api, server, 20)
    assert ask(api, server).status_code == 409
    found = ask(api, server, view.stamp(NOW - 3600)).json
    assert (set(found), len(found["samples"])) == ({"samples"}, 1)
    assert ask(api, server, view.stamp(NOW)).status_code == 409


def test_of_too_many_samples_the_newest_are_shown(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "MOST", 3)
    server = api.server()
    for age in range(5):
        sample(api, server, age)
    found = ask(api, server, "1999-01-01").json["samples"]
    assert [each["cpu_ns"] for each in found] == [BIG - 2, BIG - 1, BIG]


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z"])
def test_since_has_to_be_a_time(api: Api, text: str) -> None:
    server = api.server()
    sample(api, server, 1)
    answer = ask(api, server, text)
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, f"since: {text!r} is no ISO 8601 time")


def test_anothers_server_is_unknown_but_to_administrators(api: Api) -> None:
    server = api.server(project_id=FOREIGN)
    sample(api, server, 1)
    assert (ask(api, server).status_code, ask(api, server, "1999-01-01").status_code) == (404, 404)
    assert (ask(api.become("bob", "foreign"), server).status_code, ask(administrator(api), server).status_code) == (
        200,
        200,
    )
