from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ganeti_ext import event
from ganeti_ext.errors import ContractError, ExtError
from ganeti_ext.hookenv import Hook
from hooks import spool

ENV = {
    "GANETI_OP_CODE": "OP_INSTANCE_MIGRATE", "GANETI_HOOKS_PHASE": "post", "GANETI_OBJECT_TYPE": "INSTANCE",
    "GANETI_CLUSTER": "cluster.example.org", "GANETI_MASTER": "node1.example.org", "GANETI_INSTANCE_NAME": "gx-1",
    "GANETI_INSTANCE_PRIMARY": "node1.example.org", "GANETI_NEW_PRIMARY": "node2.example.org",
    "GANETI_INSTANCE_NIC_COUNT": "2",
    "GANETI_INSTANCE_NIC0_NAME": "port-1", "GANETI_INSTANCE_NIC0_UUID": "None", "GANETI_INSTANCE_NIC0_IP": "10.0.0.5",
    "GANETI_INSTANCE_NIC0_MAC": "aa:bb", "GANETI_INSTANCE_NIC0_MODE": "bridged", "GANETI_INSTANCE_NIC0_LINK": "br0",
    "GANETI_INSTANCE_NIC0_NETWORK_NAME": "net", "GANETI_INSTANCE_NIC1_MAC": "aa:cc", "GANETI_INSTANCE_NIC1_IP": "",
    "GANETI_OS_PARAM_img_passwd": "Passw0rd", "GANETI_INSTANCE_OS_PARAMS": "Passw0rd",
}  # fmt: skip


def test_a_note_is_a_message_for_the_front() -> None:
    message = spool.note(Hook.from_env(ENV), 1_795_200_000_123_456_789)
    assert message == {
        "type": "ganeti-net-status", "version": 1, "event_time": [1_795_200_000, 123_456],
        "cluster": "cluster.example.org", "instance": "gx-1", "operation": "OP_INSTANCE_MIGRATE",
        "primary": "node2.example.org",
        "nics": [
            {"name": "port-1", "uuid": None, "ip": "10.0.0.5", "mac": "aa:bb", "mode": "bridged", "link": "br0",
             "network": "net"},
            {"name": None, "uuid": None, "ip": None, "mac": "aa:cc", "mode": None, "link": None, "network": None},
        ],
    }  # fmt: skip
    assert event.decode(event.encode(message)) == message


def test_main_leaves_one_private_file(tmp_path: Path) -> None:
    spool.main("note", {**ENV, "GANETI_EXT_SPOOL": str(tmp_path)})
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    time_ns, pid = path.name.removesuffix(".json").split("-")
    assert int(time_ns) > 10**18
    assert int(pid) > 0
    assert "Passw0rd" not in path.read_text()
    assert json.loads(path.read_text())["instance"] == "gx-1"


@pytest.mark.parametrize("change", [{"GANETI_OBJECT_TYPE": "NODE"}, {"GANETI_INSTANCE_NAME": ""}])
def test_other_objects_leave_no_note(tmp_path: Path, change: dict[str, str]) -> None:
    spool.main("note", {**ENV, **change, "GANETI_EXT_SPOOL": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_a_broken_environment_is_named() -> None:
    with pytest.raises(ContractError, match="GANETI_OP_CODE is not set"):
        spool.main("note", {})


def test_a_missing_spool_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExtError, match=r"no note for ganeti-ext-eventd: .*none"):
        spool.main("note", {**ENV, "GANETI_EXT_SPOOL": str(tmp_path / "none")})


def test_a_full_spool_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganeti_ext.note.MOST", 2)
    env = {**ENV, "GANETI_EXT_SPOOL": str(tmp_path)}
    for _ in range(3):
        spool.main("note", env)
    with pytest.raises(ExtError, match="more than 2 notes wait"):
        spool.main("note", env)
    assert len(list(tmp_path.iterdir())) == 3
