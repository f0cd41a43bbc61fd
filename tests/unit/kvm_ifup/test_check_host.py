"""What a tap needs of the node beside rules."""

from __future__ import annotations

import pytest

from kvm_ifup import check_host, profiles
from kvm_ifup.check_host import AGAIN, Links
from kvm_ifup.explain import Seen
from kvm_ifup.state import Record
from tests.unit.kvm_ifup.explained import IP, IP6, record

UPLINKED = record()._replace(
    undo=(
        ("ip", f"neigh del proxy {IP6} dev eth1"),
        ("ip", f"neigh del proxy {IP} dev eth0"),
        ("ip", f"route del 2001:db8:7::/56 via {IP6} dev tap0 table 100"),
        ("ip", "-6 rule del iif tap0 table 100"),
        ("ip", f"route del {IP6}/128 dev tap0 table 100"),
        ("ip", "rule del iif tap0 table 100"),
        ("ip", f"route del {IP}/32 dev tap0 table 100"),
        ("ip", "link set dev tap0 down"),
    )
)
WIRED = Links(
    masters={"tap0": "br0"},
    up=frozenset(("tap0",)),
    routes={
        ("100", 4): frozenset(((IP, "tap0"), ("default", "eth0"))),
        ("100", 6): frozenset(((IP6, "tap0"), ("2001:db8:7::/56", "tap0"))),
    },
    rules={("100", 4): frozenset(("tap0",)), ("100", 6): frozenset(("tap0",))},
    proxies=frozenset(((IP, "eth0"), (IP6, "eth1"))),
)


def found(of: Record, links: Links, ports: dict[str, str] | None = None) -> list[tuple[str, str]]:
    findings = list(check_host.wiring(of, links, ports or {}))
    assert {one.tap for one in findings} <= {"tap0"}
    return [(one.found, one.todo) for one in findings]


def test_all_is_there() -> None:
    assert found(UPLINKED, WIRED) == []
    assert found(record(), WIRED) == []
    assert found(record(MODE="openvswitch", BRIDGE="", LINK="ovs0"), WIRED, {"tap0": "ovs0"}) == []


def test_nothing_is_there() -> None:
    assert found(UPLINKED, Links()) == [
        (f"nobody answers for {IP6} on eth1", f"ip neigh replace proxy {IP6} dev eth1"),
        (f"nobody answers for {IP} on eth0", f"ip neigh replace proxy {IP} dev eth0"),
        ("there is no route to 2001:db8:7::/56 in table 100", AGAIN),
        ("what comes from it by IPv6 does not go by table 100", AGAIN),
        (f"there is no route to {IP6}/128 in table 100", AGAIN),
        ("what comes from it by IPv4 does not go by table 100", AGAIN),
        (f"there is no route to {IP}/32 in table 100", AGAIN),
        ("it is down", "ip link set dev tap0 up"),
    ]
    elsewhere = Links(masters={"tap0": "br1"}, up=frozenset(("tap0",)))
    assert found(record(), elsewhere) == found(record(), elsewhere._replace(masters={}))
    assert found(record(), Links(up=frozenset(("tap0",)))) == [
        ("it is no port of br0", "ip link set dev tap0 master br0")
    ]
    assert found(record(MODE="openvswitch", BRIDGE="", LINK="ovs0"), WIRED, {"tap0": "ovs1"}) == [
        ("it is no port of the Open vSwitch ovs0", AGAIN)
    ]


def test_a_route_by_another_interface_is_none() -> None:
    routes = {**WIRED.routes, ("100", 4): frozenset(((IP, "tap9"),))}
    assert [one for one, _ in found(UPLINKED, WIRED._replace(routes=routes))] == [
        f"there is no route to {IP}/32 in table 100"
    ]


def test_the_tables_that_are_asked_for() -> None:
    main = record()._replace(undo=(("ip", f"route del {IP}/32 dev tap0"),))
    assert check_host.tables([UPLINKED, main, record()]) == {"100", "main"}
    assert found(main, Links(routes={("main", 4): frozenset(((IP, "tap0"),))})) == []


def test_sysctls_of_routed_taps() -> None:
    assert dict(check_host.sysctls(UPLINKED)) == {
        "net/ipv4/conf/tap0/forwarding": "what the guest sends by IPv4 goes nowhere",
        "net/ipv4/conf/tap0/proxy_arp": "nobody answers when the guest asks for its gateway",
        "net/ipv6/conf/all/forwarding": "nothing of IPv6 goes to the guest or comes from it",
        "net/ipv6/conf/eth1/forwarding": f"nobody finds the guest's {IP6} behind this node",
        "net/ipv6/conf/eth1/proxy_ndp": f"nobody finds the guest's {IP6} behind this node",
        "net/ipv4/conf/eth0/forwarding": f"nobody finds the guest's {IP} behind this node",
    }
    only4 = UPLINKED._replace(undo=(("ip", f"route del {IP}/32 dev tap0"),))
    assert [path for path, _ in check_host.sysctls(only4)] == [
        "net/ipv4/conf/tap0/forwarding",
        "net/ipv4/conf/tap0/proxy_arp",
    ]
    assert list(check_host.sysctls(record())) == []


@pytest.mark.parametrize(
    ("profile", "mode", "seen", "missing"),
    [
        ("limited", "bridged", Seen(), []),
        ("limited", "bridged", Seen(ip4=False), ["call-iptables"]),
        ("limited", "bridged", Seen(ip4=False, ip6=False), ["call-iptables", "call-ip6tables"]),
        ("unprotected", "bridged", Seen(ip4=False, ip6=False), []),
        ("limited", "routed", Seen(ip4=False, ip6=False), []),
        ("unprotected", "openvswitch", Seen(ip4=False, ip6=False), []),
    ],
)
def test_a_profile_needs_br_netfilter(profile: str, mode: str, seen: Seen, missing: list[str]) -> None:
    of = record(profile) if mode == "bridged" else record(profile, MODE=mode, LINK="100", BRIDGE="")
    findings = list(check_host.judged(of, profiles.load(profile), seen))
    assert [one.todo for one in findings] == [
        f"modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-{name}=1" for name in missing
    ]
    assert all("profile limited cannot judge what comes over br0" in one.found for one in findings)
