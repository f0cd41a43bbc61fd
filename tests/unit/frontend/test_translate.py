from __future__ import annotations

import pytest

from frontend.effect import translate


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (translate.start("gx-1"), ("PUT", "instances/gx-1/startup", None, None)),
        (translate.stop("gx-1", 90), ("PUT", "instances/gx-1/shutdown", {"timeout": 90}, None)),
        (
            translate.reboot("gx-1", "SOFT", 90),
            ("POST", "instances/gx-1/reboot", {"shutdown_timeout": 90}, {"type": "hard"}),
        ),
        (
            translate.reboot("gx-1", "HARD", 90),
            ("POST", "instances/gx-1/reboot", {"shutdown_timeout": 0}, {"type": "hard"}),
        ),
        (translate.delete("gx-1"), ("DELETE", "instances/gx-1", {"shutdown_timeout": 0}, None)),
        (
            translate.delete("gx-1", after=7),
            (
                "DELETE",
                "instances/gx-1",
                {"shutdown_timeout": 0, "depends": [[7, ["success", "error", "canceled"]]]},
                None,
            ),
        ),
    ],
)
def test_verbs(call: translate.Call, expected: tuple[object, ...]) -> None:
    assert tuple(call) == expected


@pytest.mark.parametrize(
    ("status", "task", "deleted", "shown", "vm_state", "power"),
    [
        ("BUILD", "spawning", None, "BUILD", "building", 0),
        ("ACTIVE", None, None, "ACTIVE", "active", 1),
        ("ACTIVE", "powering-off", None, "ACTIVE", "active", 1),
        ("ACTIVE", "rebooting", None, "REBOOT", "active", 1),
        ("SHUTOFF", None, None, "SHUTOFF", "stopped", 4),
        ("SHUTOFF", "rebooting", None, "SHUTOFF", "stopped", 4),
        ("ERROR", None, None, "ERROR", "error", 0),
        ("ACTIVE", None, 1.0, "DELETED", "deleted", 0),
    ],
)
def test_state_of_a_row(
    status: str, task: str | None, deleted: float | None, shown: str, vm_state: str, power: int
) -> None:
    row = {"status": status, "task": task, "deleted": deleted}
    assert (translate.status(row), translate.vm_state(row), translate.power_state(row)) == (shown, vm_state, power)


def test_addresses_by_network_with_both_versions() -> None:
    nics: list[dict[str, str | None]] = [
        {"network": "a", "ip": "10.0.0.2", "ip6": "fd00::2", "mac": "aa:00:00:00:00:01", "uuid": "1"},
        {"network": "b", "ip": None, "ip6": None, "mac": "aa:00:00:00:00:02", "uuid": "2"},
        {"network": None, "ip": "192.0.2.1", "ip6": None, "mac": "aa:00:00:00:00:03", "uuid": "3"},
    ]
    found = translate.addresses(nics)
    assert {name: [(each["version"], each["addr"]) for each in shown] for name, shown in found.items()} == {
        "a": [(4, "10.0.0.2"), (6, "fd00::2")],
        "b": [],
    }
    assert found["a"][0]["OS-EXT-IPS-MAC:mac_addr"] == "aa:00:00:00:00:01"
    assert found["a"][0]["OS-EXT-IPS:type"] == "fixed"
