"""What Ganeti tells a hook."""

import pytest

from ganeti_ext.errors import ContractError
from ganeti_ext.hookenv import NIC_FIELDS, Hook
from ganeti_ext.nicenv import Network

START = {
    "GANETI_HOOKS_VERSION": "2",
    "GANETI_DATA_DIR": "/srv/ganeti",
    "GANETI_HOOKS_PHASE": "post",
    "GANETI_HOOKS_PATH": "instance-start",
    "GANETI_OP_CODE": "OP_INSTANCE_STARTUP",
    "GANETI_OBJECT_TYPE": "INSTANCE",
    "GANETI_CLUSTER": "cluster.example",
    "GANETI_MASTER": "node1.example",
    "GANETI_INSTANCE_NAME": "gx-1.example",
    "GANETI_INSTANCE_PRIMARY": "node2.example",
    "GANETI_INSTANCE_TAGS": "web disable_ipv6",
    "GANETI_INSTANCE_NIC_COUNT": "2",
    "GANETI_INSTANCE_NIC0_NAME": "",
    "GANETI_INSTANCE_NIC0_UUID": "u0",
    "GANETI_INSTANCE_NIC0_IP": "192.0.2.5",
    "GANETI_INSTANCE_NIC0_MAC": "aa:00:00:fa:3a:3f",
    "GANETI_INSTANCE_NIC0_MODE": "bridged",
    "GANETI_INSTANCE_NIC0_LINK": "br0",
    "GANETI_INSTANCE_NIC0_NETWORK_NAME": "blue",
    "GANETI_INSTANCE_NIC0_NETWORK_UUID": "n0",
    "GANETI_INSTANCE_NIC0_NETWORK_SUBNET": "192.0.2.0/24",
    "GANETI_INSTANCE_NIC0_NETWORK_GATEWAY": "192.0.2.1",
    "GANETI_INSTANCE_NIC0_NETWORK_SUBNET6": "2001:db8::/64",
    "GANETI_INSTANCE_NIC0_NETWORK_GATEWAY6": "2001:db8::1",
    "GANETI_INSTANCE_NIC0_NETWORK_MAC_PREFIX": "aa:00:01",
    "GANETI_INSTANCE_NIC0_NETWORK_TAGS": "nfdhcpd dns",
    "GANETI_INSTANCE_NIC1_UUID": "u1",
    "GANETI_INSTANCE_NIC1_MAC": "aa:00:00:fa:3a:40",
}


def test_every_variable_has_its_field() -> None:
    assert Hook.from_env(START) == Hook(
        opcode="OP_INSTANCE_STARTUP",
        phase="post",
        object_type="INSTANCE",
        cluster="cluster.example",
        master="node1.example",
        instance="gx-1.example",
        primary="node2.example",
        nics=(
            {
                "name": "",
                "uuid": "u0",
                "ip": "192.0.2.5",
                "mac": "aa:00:00:fa:3a:3f",
                "mode": "bridged",
                "link": "br0",
                "network_name": "blue",
            },
            {**dict.fromkeys(NIC_FIELDS, ""), "uuid": "u1", "mac": "aa:00:00:fa:3a:40"},
        ),
        networks=(
            Network(
                name="blue",
                uuid="n0",
                subnet="192.0.2.0/24",
                gateway="192.0.2.1",
                subnet6="2001:db8::/64",
                gateway6="2001:db8::1",
                mac_prefix="aa:00:01",
                tags=("dns", "nfdhcpd"),
            ),
            None,
        ),
        tags=("disable_ipv6", "web"),
        new_name=None,
        old_primary=None,
        data_directory="/srv/ganeti",
    )


def test_a_network_that_ganeti_has_lost_has_a_name_alone() -> None:
    env = {key: text for key, text in START.items() if "_NETWORK_" not in key}
    env["GANETI_INSTANCE_NIC1_NETWORK_NAME"] = "gone"
    lost = Network("gone", uuid="", subnet=None, gateway=None, subnet6=None, gateway6=None, mac_prefix=None, tags=())
    assert Hook.from_env(env).networks == (None, lost)


def test_a_rename_has_both_names() -> None:
    hook = Hook.from_env({**START, "GANETI_INSTANCE_NEW_NAME": "gx-2.example"})
    assert (hook.instance, hook.new_name) == ("gx-1.example", "gx-2.example")


def test_the_new_primary_of_a_migration_counts() -> None:
    env = {**START, "GANETI_OP_CODE": "OP_INSTANCE_MIGRATE", "GANETI_NEW_PRIMARY": "node3.example"}
    env["GANETI_OLD_PRIMARY"] = "node2.example"
    assert (Hook.from_env(env).primary, Hook.from_env(env).old_primary) == ("node3.example", "node2.example")


def test_an_empty_new_primary_does_not() -> None:
    assert Hook.from_env({**START, "GANETI_NEW_PRIMARY": ""}).primary == "node2.example"


def test_a_hook_of_the_cluster_has_no_instance() -> None:
    env = {
        "GANETI_OP_CODE": "OP_CLUSTER_VERIFY_CONFIG",
        "GANETI_HOOKS_PHASE": "post",
        "GANETI_OBJECT_TYPE": "CLUSTER",
    }
    hook = Hook.from_env(env)
    assert (hook.instance, hook.primary, hook.nics, hook.cluster, hook.master) == (None, None, (), None, None)
    assert (hook.networks, hook.tags, hook.data_directory) == ((), (), "/var/lib/ganeti")


@pytest.mark.parametrize("name", ["GANETI_OP_CODE", "GANETI_HOOKS_PHASE", "GANETI_OBJECT_TYPE"])
@pytest.mark.parametrize("value", [None, ""])
def test_what_every_hook_has_must_be_there(name: str, value: str | None) -> None:
    env = {key: text for key, text in START.items() if key != name}
    with pytest.raises(ContractError, match=f"^{name} is not set$"):
        Hook.from_env(env if value is None else {**env, name: value})


@pytest.mark.parametrize("count", ["two", "1.0", "0x2", "-1", "-20"])
def test_a_bad_number_of_nics_is_named(count: str) -> None:
    with pytest.raises(ContractError, match=f"^GANETI_INSTANCE_NIC_COUNT has a bad value '{count}'"):
        Hook.from_env({**START, "GANETI_INSTANCE_NIC_COUNT": count})


@pytest.mark.parametrize("count", ["", "0"])
def test_no_nics(count: str) -> None:
    assert Hook.from_env({**START, "GANETI_INSTANCE_NIC_COUNT": count}).nics == ()
