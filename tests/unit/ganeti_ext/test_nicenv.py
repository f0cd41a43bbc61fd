"""What Ganeti tells an interface script."""

import pytest

from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import VARIABLES, Network, Nic, pick

# Every variable of Ganeti 3.1 (hv_base.py, ConfigureNIC), for a NIC of a network.
FULL = {
    "INTERFACE": "gnt.com.0",
    "INTERFACE_NAME": "eth0",
    "INTERFACE_INDEX": "0",
    "INTERFACE_UUID": "b2c7",
    "INSTANCE": "gx-1.example",
    "MAC": "AA:00:00:FA:3A:3F",
    "IP": "192.0.2.5",
    "MODE": "bridged",
    "LINK": "br0",
    "VLAN": ".100",
    "BRIDGE": "br0",
    "TAGS": "ganeti-ext:name:web nfdhcpd blue",
    "NETWORK_NAME": "blue",
    "NETWORK_UUID": "a1b2",
    "NETWORK_SUBNET": "192.0.2.0/24",
    "NETWORK_GATEWAY": "192.0.2.1",
    "NETWORK_SUBNET6": "2001:db8::/64",
    "NETWORK_GATEWAY6": "2001:db8::1",
    "NETWORK_MAC_PREFIX": "aa:00:01",
    "NETWORK_TAGS": "nfdhcpd anti-spoof",
}
LEAST = {
    "INTERFACE": "tap0",
    "INTERFACE_INDEX": "3",
    "INTERFACE_UUID": "b2c7",
    "INSTANCE": "i",
    "MAC": "aa:00:00:00:00:01",
    "MODE": "routed",
}


def test_every_variable_has_its_field() -> None:
    assert Nic.from_env(FULL) == Nic(
        tap="gnt.com.0",
        index=0,
        uuid="b2c7",
        name="eth0",
        instance="gx-1.example",
        mac="aa:00:00:fa:3a:3f",
        ip="192.0.2.5",
        mode="bridged",
        link="br0",
        vlan=".100",
        bridge="br0",
        tags=("blue", "ganeti-ext:name:web", "nfdhcpd"),
        network=Network(
            name="blue",
            uuid="a1b2",
            subnet="192.0.2.0/24",
            gateway="192.0.2.1",
            subnet6="2001:db8::/64",
            gateway6="2001:db8::1",
            mac_prefix="aa:00:01",
            tags=("anti-spoof", "nfdhcpd"),
        ),
    )


def test_ganetis_variables_are_all_that_is_read() -> None:
    assert sorted(VARIABLES) == sorted(FULL)


@pytest.mark.parametrize("given", [FULL, LEAST], ids=["full", "least"])
def test_what_is_picked_makes_the_same_nic(given: dict[str, str]) -> None:
    around = {"PATH": "/bin", "HOME": "/", "ACTION": "up", "NETWORK": "x", "GANETI_INSTANCE_TAGS": "a b"}
    assert pick({**around, **given}) == given
    assert Nic.from_env(pick({**around, **given})) == Nic.from_env(given)


@pytest.mark.parametrize("unset", [{}, dict.fromkeys(set(FULL) - set(LEAST), "")], ids=["absent", "empty"])
def test_what_a_nic_may_lack(unset: dict[str, str]) -> None:
    assert Nic.from_env({**LEAST, **unset}) == Nic(
        "tap0", 3, "b2c7", None, "i", "aa:00:00:00:00:01", None, "routed", None, None, None, (), None
    )


@pytest.mark.parametrize("name", sorted(LEAST))
def test_what_a_nic_must_have_is_named(name: str) -> None:
    with pytest.raises(ContractError, match=f"^{name} is not set$"):
        Nic.from_env({key: text for key, text in LEAST.items() if key != name})


def test_a_network_must_have_a_uuid() -> None:
    with pytest.raises(ContractError, match=r"^NETWORK_UUID is not set$"):
        Nic.from_env({**LEAST, "NETWORK_NAME": "blue"})


@pytest.mark.parametrize(
    "mac",
    [
        "aa:00:00:00:00",
        "aa:00:00:00:00:01:02",
        "aa:00:00:00:00:0g",
        "aa-00-00-00-00-01",
        "a:00:00:00:00:001",
        "aa:00:00:00:00: 1",
        "aa:00:00:00:00:01\n",
        "::::::",
        "aa:00:00:00:  :01",
    ],
)
def test_a_bad_mac_is_named_with_its_value(mac: str) -> None:
    with pytest.raises(ContractError) as caught:
        Nic.from_env({**LEAST, "MAC": mac})
    assert str(caught.value).startswith(f"MAC has a bad value {mac!r}: ")


@pytest.mark.parametrize("name", ["INTERFACE", "BRIDGE"])
@pytest.mark.parametrize("text", ["sixteen-letters.", "a/b", "a:0", "a b", ".", "..", " tap0", "tap0\n", "../etc"])
def test_a_bad_interface_is_named_with_its_value(name: str, text: str) -> None:
    with pytest.raises(ContractError) as caught:
        Nic.from_env({**LEAST, name: text})
    assert str(caught.value) == f"{name} has a bad value {text!r}: not an interface name"


@pytest.mark.parametrize("text", ["t", "fifteen-letters", "gnt.com.0", "br-100", "tap_0"])
def test_names_that_the_kernel_takes(text: str) -> None:
    assert Nic.from_env({**LEAST, "INTERFACE": text}).tap == text


def test_the_kernel_counts_octets() -> None:
    with pytest.raises(ContractError, match="not an interface name"):
        Nic.from_env({**LEAST, "INTERFACE": "é" * 8})


def test_a_bad_index_is_named() -> None:
    with pytest.raises(ContractError, match=r"^INTERFACE_INDEX has a bad value 'first'"):
        Nic.from_env({**LEAST, "INTERFACE_INDEX": "first"})
