from __future__ import annotations

from typing import Any

from eventd.hook_env import Site, environment
from ganeti_ext.hookenv import Hook

SITE = Site("cluster.example.org", "node1", "/var/lib/ganeti")
NETWORK: dict[str, Any] = {
    "name": "net1", "uuid": "u1", "tags": ["b", "a"], "network": "10.0.0.0/24", "gateway": "10.0.0.1",
    "network6": None, "gateway6": None, "mac_prefix": "aa:00:01",
}  # fmt: skip
INSTANCE: dict[str, Any] = {
    "name": "web1.example.org", "pnode": "node2", "admin_state": "up", "tags": ["z", "some:tag"],
    "nic.names": ["eth", None], "nic.uuids": ["n0", "n1"], "nic.ips": ["10.0.0.5", None],
    "nic.macs": ["aa:00:01:00:00:01", "aa:bb:cc:00:00:02"], "nic.modes": ["bridged", "routed"],
    "nic.links": ["br0", "100"], "nic.vlans": [None, ""], "nic.bridges": ["br0", None],
    "nic.networks.names": ["net1", None],
}  # fmt: skip


def test_in_ganetis_words() -> None:
    assert environment("OP_TAGS_DEL", INSTANCE, {"net1": NETWORK}, SITE, 1795200110_000000007) == {
        "PATH": "/sbin:/bin:/usr/sbin:/usr/bin",
        "GANETI_HOOKS_VERSION": "2",
        "GANETI_HOOKS_PHASE": "post",
        "GANETI_HOOKS_PATH": "instance-tags",
        "GANETI_OP_CODE": "OP_TAGS_DEL",
        "GANETI_OBJECT_TYPE": "INSTANCE",
        "GANETI_DATA_DIR": "/var/lib/ganeti",
        "GANETI_CLUSTER": "cluster.example.org",
        "GANETI_MASTER": "node1",
        "GANETI_OP_TARGET": "web1.example.org",
        "GANETI_INSTANCE_NAME": "web1.example.org",
        "GANETI_INSTANCE_PRIMARY": "node2",
        "GANETI_INSTANCE_STATUS": "up",
        "GANETI_INSTANCE_TAGS": "some:tag z",
        "GANETI_EXT_TAGS_TIME": "1795200110.000000007",
        "GANETI_INSTANCE_NIC_COUNT": "2",
        "GANETI_INSTANCE_NIC0_NAME": "eth",
        "GANETI_INSTANCE_NIC0_UUID": "n0",
        "GANETI_INSTANCE_NIC0_IP": "10.0.0.5",
        "GANETI_INSTANCE_NIC0_MAC": "aa:00:01:00:00:01",
        "GANETI_INSTANCE_NIC0_MODE": "bridged",
        "GANETI_INSTANCE_NIC0_LINK": "br0",
        "GANETI_INSTANCE_NIC0_VLAN": "",
        "GANETI_INSTANCE_NIC0_BRIDGE": "br0",
        "GANETI_INSTANCE_NIC0_NETWORK_NAME": "net1",
        "GANETI_INSTANCE_NIC0_NETWORK_UUID": "u1",
        "GANETI_INSTANCE_NIC0_NETWORK_TAGS": "a b",
        "GANETI_INSTANCE_NIC0_NETWORK_SUBNET": "10.0.0.0/24",
        "GANETI_INSTANCE_NIC0_NETWORK_GATEWAY": "10.0.0.1",
        "GANETI_INSTANCE_NIC0_NETWORK_MAC_PREFIX": "aa:00:01",
        "GANETI_INSTANCE_NIC1_UUID": "n1",
        "GANETI_INSTANCE_NIC1_IP": "",
        "GANETI_INSTANCE_NIC1_MAC": "aa:bb:cc:00:00:02",
        "GANETI_INSTANCE_NIC1_MODE": "routed",
        "GANETI_INSTANCE_NIC1_LINK": "100",
        "GANETI_INSTANCE_NIC1_VLAN": "",
    }


def test_without_tags_or_nics() -> None:
    bare = {**INSTANCE, "tags": None, **{key: None for key in INSTANCE if key.startswith("nic.")}}
    env = environment("OP_TAGS_SET", bare, {}, SITE, 0)
    assert (env["GANETI_INSTANCE_TAGS"], env["GANETI_INSTANCE_NIC_COUNT"]) == ("", "0")
    assert not [key for key in env if key.startswith("GANETI_INSTANCE_NIC0")]


def test_a_network_that_went_meanwhile() -> None:
    env = environment("OP_TAGS_SET", INSTANCE, {}, SITE, 0)
    assert [key for key in env if "_NETWORK_" in key] == ["GANETI_INSTANCE_NIC0_NETWORK_NAME"]


def test_our_own_hooks_can_read_it() -> None:
    hook = Hook.from_env(environment("OP_TAGS_SET", INSTANCE, {"net1": NETWORK}, SITE, 0))
    assert (hook.instance, hook.primary, hook.phase) == ("web1.example.org", "node2", "post")
    assert hook.nics[0]["network_name"] == "net1"
