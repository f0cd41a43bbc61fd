from __future__ import annotations

import pytest

from ganeti_ext.errors import ContractError
from ganeti_ext.hookenv import Hook
from hooks import dnstask
from hooks.dnstask import Task
from tests.unit.hooks.dns import ENV, FOUR, SETTINGS, SIX, WEB

NIC1 = {
    "GANETI_INSTANCE_NIC_COUNT": "2", "GANETI_INSTANCE_NIC1_IP": "192.0.2.6",
    "GANETI_INSTANCE_NIC1_MAC": "aa:00:00:00:00:06", "GANETI_INSTANCE_NIC1_NETWORK_NAME": "red",
}  # fmt: skip
TAGGED1 = {**NIC1, "GANETI_INSTANCE_NIC1_NETWORK_TAGS": "dns"}
PLAIN = {"GANETI_INSTANCE_NIC0_NETWORK_TAGS": "nfdhcpd dns2"}
OWNER = "cluster.example.org"


def of(**change: str) -> Task | None:
    return dnstask.of(Hook.from_env({**ENV, **change}), SETTINGS)


def wanted(**change: str) -> dict[str, tuple[str, ...]]:
    task = of(**change)
    assert task is not None
    assert task.complaints == ()
    return task.wanted


@pytest.mark.parametrize(
    "opcode", ["OP_INSTANCE_CREATE", "OP_INSTANCE_STARTUP", "OP_INSTANCE_REBOOT", "OP_INSTANCE_SET_PARAMS"]
)
def test_an_instance_is_to_have_its_addresses(opcode: str) -> None:
    assert of(GANETI_OP_CODE=opcode) == Task({WEB: (FOUR, SIX)}, (FOUR, SIX), OWNER, ())


def test_what_a_removed_instance_has_is_nothing() -> None:
    assert of(GANETI_OP_CODE="OP_INSTANCE_REMOVE") == Task({WEB: ()}, (FOUR, SIX), OWNER, ())


def test_a_rename_concerns_two_names() -> None:
    change = {"GANETI_OP_CODE": "OP_INSTANCE_RENAME", "GANETI_INSTANCE_NEW_NAME": "new.cloud.example.org"}
    assert wanted(**change) == {WEB: (), "new.cloud.example.org.": (FOUR, SIX)}
    assert wanted(**{**change, "GANETI_INSTANCE_NEW_NAME": "web"}) == {WEB: (FOUR, SIX)}


@pytest.mark.parametrize("opcode", ["OP_INSTANCE_SHUTDOWN", "OP_INSTANCE_MIGRATE", "OP_INSTANCE_FAILOVER", "OP_X"])
def test_other_operations_are_none_of_its_business(opcode: str) -> None:
    assert of(GANETI_OP_CODE=opcode) is None


@pytest.mark.parametrize("opcode", ["OP_INSTANCE_CREATE", "OP_INSTANCE_STARTUP", "OP_INSTANCE_REBOOT"])
def test_an_instance_on_no_tagged_network_asks_for_nothing(opcode: str) -> None:
    assert of(GANETI_OP_CODE=opcode, **PLAIN) is None
    assert of(GANETI_OP_CODE=opcode, GANETI_INSTANCE_NIC0_NETWORK_NAME="") is None
    assert of(GANETI_OP_CODE=opcode, GANETI_INSTANCE_NIC_COUNT="0") is None


@pytest.mark.parametrize("opcode", ["OP_INSTANCE_SET_PARAMS", "OP_INSTANCE_REMOVE"])
def test_but_what_it_had_before_may_have_to_go(opcode: str) -> None:
    assert of(GANETI_OP_CODE=opcode, **PLAIN) == Task({WEB: ()}, (), OWNER, ())


def test_without_a_name_there_is_nothing_to_do() -> None:
    assert of(GANETI_INSTANCE_NAME="") is None


def test_nics_on_other_networks_do_not_count() -> None:
    assert wanted(**NIC1) == {WEB: (FOUR, SIX)}
    assert wanted(**TAGGED1) == {WEB: (FOUR, SIX, "192.0.2.6")}
    assert wanted(**PLAIN, **TAGGED1) == {WEB: ("192.0.2.6",)}


@pytest.mark.parametrize(
    ("instance_tags", "left"),
    [
        ("disable_ipv4", (SIX,)),
        ("a disable_ipv6 b", (FOUR,)),
        ("disable_ipv6 disable_ipv4", ()),
        ("disable", (FOUR, SIX)),
    ],
)
def test_tags_switch_families_off(instance_tags: str, left: tuple[str, ...]) -> None:
    task = of(GANETI_INSTANCE_TAGS=instance_tags)
    assert task == Task({WEB: left}, (FOUR, SIX), OWNER, ())


@pytest.mark.parametrize(
    ("instance", "name"),
    [
        ("web", "web.example.org."), ("web.example.org", "web.example.org."), ("a.b.example.org", "a.b.example.org."),
        ("web.cloud.example.org", "web.cloud.example.org."), ("Web", "web.example.org."),
    ],
)  # fmt: skip
def test_a_name_without_a_dot_is_in_the_first_zone(instance: str, name: str) -> None:
    assert list(wanted(GANETI_INSTANCE_NAME=instance)) == [name]


@pytest.mark.parametrize("instance", ["web.lab", "web.example.com", "-k", "a..example.org", "web\nsend", "x" * 64])
def test_a_name_in_no_zone_is_told(instance: str) -> None:
    task = of(GANETI_INSTANCE_NAME=instance)
    assert task is not None
    assert (task.wanted, task.complaints) == (
        {},
        (f"{instance!r} is no name in the zones example.org. cloud.example.org.",),
    )
    # Nobody wants to hear that of an instance that is not to be in the DNS.
    task = of(GANETI_INSTANCE_NAME=instance, GANETI_OP_CODE="OP_INSTANCE_SET_PARAMS", **PLAIN)
    assert task is not None
    assert (task.wanted, task.complaints) == ({}, ())


@pytest.mark.parametrize("subnet6", ["", "2001:db8::/48", "2001:db8::/80"])
def test_without_a_64_there_is_no_ipv6_address(subnet6: str) -> None:
    assert wanted(GANETI_INSTANCE_NIC0_NETWORK_SUBNET6=subnet6) == {WEB: (FOUR,)}


def test_a_nic_may_have_no_address() -> None:
    assert wanted(GANETI_INSTANCE_NIC0_IP="") == {WEB: (SIX,)}
    assert wanted(GANETI_INSTANCE_NIC0_IP="", GANETI_INSTANCE_NIC0_NETWORK_SUBNET6="") == {WEB: ()}


def test_an_address_has_one_form() -> None:
    assert wanted(GANETI_INSTANCE_NIC0_IP="2001:DB8:0:0::9") == {WEB: ("2001:db8::9", SIX)}


def test_the_owner_may_be_named() -> None:
    task = dnstask.of(Hook.from_env(ENV), SETTINGS._replace(owner="us"))
    assert task is not None
    assert task.owner == "us"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"GANETI_INSTANCE_NIC0_IP": "192.0.2.256"}, "GANETI_INSTANCE_NIC0_IP has a bad value '192.0.2.256'"),
        ({"GANETI_INSTANCE_NIC0_MAC": "aa:bb"}, "NIC0_MAC or NETWORK_SUBNET6 has a bad value: 'aa:bb' is not a MAC"),
        ({"GANETI_INSTANCE_NIC0_MAC": ""}, "NIC0_MAC or NETWORK_SUBNET6 has a bad value: '' is not a MAC"),
        ({"GANETI_INSTANCE_NIC0_MAC": "auto"}, "NIC0_MAC or NETWORK_SUBNET6 has a bad value: non-hexadecimal"),
        ({"GANETI_INSTANCE_NIC0_NETWORK_SUBNET6": "blue"}, "NIC0_MAC or NETWORK_SUBNET6 has a bad value: .*'blue'"),
        ({"GANETI_CLUSTER": ""}, "GANETI_CLUSTER has a bad value"),
        ({"GANETI_CLUSTER": 'c"\nsend'}, "GANETI_CLUSTER has a bad value"),
    ],
)
def test_what_cannot_be_read_is_named(change: dict[str, str], why: str) -> None:
    with pytest.raises(ContractError, match=why):
        of(**change)
