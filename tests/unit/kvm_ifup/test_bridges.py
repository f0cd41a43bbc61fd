"""Plans for bridges of VLANs; and what ip takes of them, but for the VLAN devices that not every kernel has."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from ganeti_ext.errors import ContractError, ExtError
from kvm_ifup import bridges
from kvm_ifup.bridges import ALIAS, Link, Links, Wanted

ETH1 = Link("eth1", "", None, None, None, "", 9000, up=True)
WANTED = Wanted("eth1", "prv", (100, 101))


def device(vlan: int, /, **more: Any) -> Link:
    return Link(f"eth1.{vlan}", "vlan", "eth1", vlan, f"prv{vlan}", ALIAS, 9000, up=True)._replace(**more)


def bridge(vlan: int, /, **more: Any) -> Link:
    return Link(f"prv{vlan}", "bridge", None, None, None, ALIAS, 9000, up=True)._replace(**more)


def there(*links: Link) -> Links:
    return {link.name: link for link in (ETH1, *links)}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("100", (100,)), ("100-102", (100, 101, 102)), ("7,1-2,2", (1, 2, 7)), ("4094", (4094,))],
)
def test_vlans(text: str, numbers: tuple[int, ...]) -> None:
    assert bridges.vlans(text) == numbers


@pytest.mark.parametrize("text", ["", "0", "4095", "1-", "-1", "a", "1-4095", "1,,2", "9-8", "1-2-3"])
def test_what_is_no_vlan(text: str) -> None:
    with pytest.raises(ValueError, match=r"no VLAN from 1 to 4094|ends before it begins"):
        bridges.vlans(text)


def test_all_is_made_where_nothing_is() -> None:
    assert bridges.up(Wanted("eth1", "prv", (100,)), there()) == [
        "link add link eth1 name eth1.100 type vlan id 100",
        "link add name prv100 type bridge stp_state 0 forward_delay 0",
        "link set dev eth1.100 alias ganeti-ext-net addrgenmode none",
        "link set dev prv100 alias ganeti-ext-net addrgenmode none",
        "link set dev eth1.100 master prv100",
        "link set dev eth1.100 up",
        "link set dev prv100 up",
    ]


def test_an_mtu_is_set_on_both() -> None:
    lines = bridges.up(WANTED._replace(vlans=(100,), mtu=1400), there())
    assert [line for line in lines if "mtu" in line] == [
        f"link set dev {name} mtu 1400 alias ganeti-ext-net addrgenmode none" for name in ("eth1.100", "prv100")
    ]
    changed = bridges.up(WANTED._replace(vlans=(100,), mtu=1400), there(device(100), bridge(100, mtu=1400)))
    assert changed == ["link set dev eth1.100 mtu 1400"]


def test_what_is_there_is_not_made_again() -> None:
    assert bridges.up(WANTED, there(device(100), bridge(100), device(101), bridge(101))) == []
    lines = bridges.up(WANTED, there(device(100), bridge(100), device(101, master=None, up=False), bridge(101)))
    assert lines == ["link set dev eth1.101 master prv101", "link set dev eth1.101 up"]


def test_an_administrators_own_are_used_as_they_are() -> None:
    assert bridges.up(WANTED._replace(vlans=(100,)), there(device(100, alias=""), bridge(100, alias="mine"))) == []


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ((device(100, vlan=7),), "there is another eth1.100: its vlan is 7, not 100"),
        ((device(100, lower="eth2"),), "its lower is eth2, not eth1"),
        ((device(100, kind="macvlan"),), "its kind is macvlan, not vlan"),
        ((bridge(101, kind="dummy"),), "there is another prv101: its kind is dummy, not bridge"),
        ((device(101, master="br0"),), "eth1.101 is a port of br0, not of prv101"),
    ],
)
def test_nothing_is_made_where_a_name_is_taken(links: tuple[Link, ...], why: str) -> None:
    with pytest.raises(ExtError, match=why):
        bridges.up(WANTED, there(*links))


def test_a_link_that_is_not_there_and_a_name_that_is_too_long() -> None:
    with pytest.raises(ExtError, match="there is no interface eth7"):
        bridges.up(WANTED._replace(link="eth7"), there())
    with pytest.raises(ContractError, match="very-long-name100 is no name for an interface"):
        bridges.up(WANTED._replace(prefix="very-long-name"), there())


def test_what_was_made_is_removed() -> None:
    found = there(device(100), bridge(100), bridge(101))
    assert bridges.down(WANTED, found) == (["link del dev eth1.100", "link del dev prv100", "link del dev prv101"], {})
    assert bridges.down(WANTED, there()) == ([], {})


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ((device(100), bridge(100), Link("tap3", "tun", None, None, "prv100", "", 1500, up=True)), "in use by tap3"),
        ((device(100), bridge(100, alias="")), "prv100 was not made by this command"),
        ((device(100, alias=""), bridge(100)), "eth1.100 was not made by this command"),
    ],
)
def test_what_is_used_or_of_others_stays(links: tuple[Link, ...], why: str) -> None:
    lines, kept = bridges.down(WANTED, there(*links, device(101), bridge(101)))
    assert kept == {"prv100": why}
    assert lines == ["link del dev eth1.101", "link del dev prv101"]


def test_what_stands_is_told() -> None:
    tap = Link("tap3", "tun", None, None, "prv100", "", 1500, up=True)
    found = bridges.rows(there(device(100), bridge(100), tap, bridge(101, up=False), bridge(7, alias="")))
    assert found == [
        {"bridge": "prv100", "vlan": 100, "link": "eth1", "mtu": 9000, "up": True, "ports": ["tap3"]},
        {"bridge": "prv101", "vlan": None, "link": None, "mtu": 9000, "up": False, "ports": []},
    ]


def test_links_are_read_as_ip_tells_them() -> None:
    told = [
        {
            "ifname": "eth1.100",
            "link": "eth1",
            "flags": ["BROADCAST", "UP"],
            "mtu": 1500,
            "master": "prv100",
            "linkinfo": {"info_kind": "vlan", "info_data": {"protocol": "802.1Q", "id": 100}},
            "ifalias": ALIAS,
        },
        {"ifname": "prv100", "flags": [], "mtu": 1400, "linkinfo": {"info_kind": "bridge", "info_data": {"id": "x"}}},
        {"ifname": "lo", "flags": ["UP"], "mtu": 65536},
    ]
    assert bridges.links(lambda _argv: json.dumps(told)) == {
        "eth1.100": device(100, mtu=1500),
        "prv100": bridge(100, mtu=1400, up=False, alias=""),
        "lo": Link("lo", "", None, None, None, "", 65536, up=True),
    }


def test_one_batch_or_nothing_is_run() -> None:
    ran: list[tuple[list[str], str]] = []

    def run(argv: list[str], *, stdin: str, timeout: float) -> str:
        assert timeout > 30
        ran.append((argv, stdin))
        return ""

    bridges.apply([], run)
    assert ran == []
    bridges.apply(["link del dev a", "link del dev b"], run)
    assert ran == [(["ip", "-batch", "-"], "link del dev a\nlink del dev b\n")]


def test_ip_takes_what_is_planned() -> None:
    """With a veth in the place of the VLAN device: this kernel may have none."""
    ask = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c"]
    made = bridges.up(WANTED._replace(vlans=(100,), mtu=1400), there())
    lines = ["link add name eth1.100 type veth peer name far", *made[1:]]
    script = "printf '%s\\n' \"$0\" | ip -batch - && ip -j -d link show"
    done = subprocess.run([*ask, script, "\n".join(lines)], capture_output=True, text=True, timeout=20, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    found = bridges.links(lambda _argv: done.stdout)
    assert found["prv100"] == bridge(100, mtu=1400)
    assert found["eth1.100"][4:] == device(100, mtu=1400)[4:]
    assert bridges.rows(found)[0]["bridge"] == "prv100"
