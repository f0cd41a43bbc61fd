"""What each mode does to the host, and undoes."""

from __future__ import annotations

import pytest

from ganeti_ext import addresses, tags
from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import Network, Nic
from kvm_ifup import modes
from kvm_ifup.modes import Facts, Link, Wiring
from kvm_ifup.settings import Settings

UPLINK4 = Link("eth0", 2, "02:00:00:00:00:e0", 1500)
UPLINK6 = Link("eth1", 4, "02:00:00:00:00:e1", 1500)
SETTINGS = Settings()
OWN6 = "2001:db8::5054:ff:fe00:1"


def wire(nic: Nic, facts: Facts, settings: Settings = SETTINGS) -> Wiring:
    return modes.wire(nic, addresses.of(nic), facts, settings)


def of_network(nic: Nic, *more: str) -> Nic:
    assert nic.network is not None
    return nic._replace(network=nic.network._replace(tags=(*nic.network.tags, *more)))


@pytest.fixture
def routed(nic: Nic) -> Nic:
    return nic._replace(mode="routed", link="snf-link-1", bridge=None)


@pytest.fixture
def alone(tap: Link) -> Facts:
    return Facts(tap)


def test_bridged(nic: Nic, facts: Facts) -> None:
    assert wire(nic, facts) == Wiring(
        steps=(
            ("ip", "link set dev tap0 address fe:11:22:33:44:55 mtu 1400"),
            ("ip", "link set dev tap0 master br0"),
            ("ip", "link set dev tap0 up"),
        ),
        undo=(("ip", "link set dev tap0 down"), ("ip", "link set dev tap0 nomaster")),
    )


def test_a_tap_whose_mac_is_fixed_already_keeps_it(nic: Nic, facts: Facts) -> None:
    again = facts._replace(tap=facts.tap._replace(mac="fe:11:22:33:44:55"))
    assert wire(nic, again) == wire(nic, facts)


@pytest.mark.parametrize(
    ("vlan", "steps", "inside"),
    [
        (".10", [("tap0", "10 pvid untagged"), ("eth0", "10"), ("eth1", "10")], []),
        ("10", [("tap0", "10 pvid untagged"), ("eth0", "10"), ("eth1", "10")], []),
        (
            ":10:4094",
            [("tap0", "10"), ("eth0", "10"), ("eth1", "10"), ("tap0", "4094"), ("eth0", "4094"), ("eth1", "4094")],
            ["10", "4094"],
        ),
        (
            ".1:20",
            [("tap0", "1 pvid untagged"), ("eth0", "1"), ("eth1", "1"), ("tap0", "20"), ("eth0", "20"), ("eth1", "20")],
            ["20"],
        ),
    ],
)
def test_bridged_with_vlans(nic: Nic, facts: Facts, vlan: str, steps: list[tuple[str, str]], inside: list[str]) -> None:
    plain = wire(nic, facts)
    found = wire(nic._replace(vlan=vlan), facts._replace(ports=("eth0", "eth1")))
    added = tuple(("bridge", f"vlan add dev {port} vid {rest} master") for port, rest in steps)
    # Between joining and coming up: VLANs are of a port, and nothing is to go by the bridge's own.
    assert found.steps == (*plain.steps[:2], *added, plain.steps[-1])
    assert found.undo == plain.undo
    assert found.elements == tuple(("netdev", "vlans", f'"tap0" . {number}') for number in inside)


@pytest.mark.parametrize(
    ("vlan", "pvid", "taken"),
    [
        (".10", 1, True),
        (":10:20", 1, True),
        (".10", 0, False),
        (".10:1", 1, False),
        (":10", 10, False),
        (None, 1, False),
    ],
)
def test_a_guest_with_vlans_does_not_hear_the_bridges_own(
    nic: Nic, facts: Facts, vlan: str | None, pvid: int, taken: bool
) -> None:
    found = wire(nic._replace(vlan=vlan), facts._replace(pvid=pvid)).steps
    gone = ("bridge", f"vlan del dev tap0 vid {pvid} master")
    assert (gone in found) is taken
    if taken:
        assert found.index(("ip", "link set dev tap0 master br0")) < found.index(gone) < len(found) - 1


@pytest.mark.parametrize("vlan", [".0", ".4095", ":", ".", "::", ":10:", ".10:", ":10:x", "-1", "..10", ".10.20", "a"])
@pytest.mark.parametrize("mode", ["bridged", "openvswitch"])
def test_a_bad_vlan_is_named(nic: Nic, facts: Facts, mode: str, vlan: str) -> None:
    with pytest.raises(ContractError) as caught:
        wire(nic._replace(mode=mode, vlan=vlan), facts)
    assert str(caught.value).startswith(f"VLAN has a bad value {vlan!r}: expected ")


def test_no_vlan(nic: Nic) -> None:
    assert modes.vlans(nic) == modes.vlans(nic._replace(vlan="")) == (None, ())


@pytest.mark.parametrize(
    ("vlan", "options", "inside"),
    [
        (None, "", []),
        (".10", " tag=10", []),
        (":10:20", " trunks=10,20", ["10", "20"]),
        (".10:20:30", " tag=10 trunks=20,30 vlan_mode=native-untagged", ["20", "30"]),
    ],
)
def test_openvswitch(nic: Nic, alone: Facts, vlan: str | None, options: str, inside: list[str]) -> None:
    found = wire(nic._replace(mode="openvswitch", link="ovs0", bridge=None, vlan=vlan), alone)
    assert found == Wiring(
        steps=(
            ("ovs-vsctl", f"--if-exists del-port tap0 -- add-port ovs0 tap0{options}"),
            ("ip", "link set dev tap0 up"),
        ),
        undo=(("ip", "link set dev tap0 down"), ("ovs-vsctl", "--if-exists del-port tap0")),
        elements=tuple(("netdev", "vlans", f'"tap0" . {number}') for number in inside),
    )


def test_routed_by_a_table(routed: Nic, alone: Facts) -> None:
    found = wire(routed, alone)
    assert found.steps == (
        ("ip", "link set dev tap0 address cc:47:52:4e:45:54 addrgenmode eui64 up"),
        ("ip", "route replace 10.0.0.5/32 dev tap0 table snf-link-1 proto static"),
        ("ip", "rule add iif tap0 table snf-link-1"),
        ("ip", f"route replace {OWN6}/128 dev tap0 table snf-link-1 proto static"),
        ("ip -6", "rule add iif tap0 table snf-link-1"),
        ("ip", "neigh replace 10.0.0.5 lladdr 52:54:00:00:00:01 dev tap0 nud permanent"),
        ("ip", f"neigh replace {OWN6} lladdr 52:54:00:00:00:01 dev tap0 nud permanent"),
    )
    assert found.undo == (
        ("ip", "-6 rule del iif tap0 table snf-link-1"),
        ("ip", f"route del {OWN6}/128 dev tap0 table snf-link-1"),
        ("ip", "rule del iif tap0 table snf-link-1"),
        ("ip", "route del 10.0.0.5/32 dev tap0 table snf-link-1"),
        ("ip", "link set dev tap0 down"),
    )
    assert found.sysctls == (
        ("net/ipv4/conf/tap0/proxy_arp", "1"),
        ("net/ipv4/conf/tap0/forwarding", "1"),
        ("net/ipv6/conf/tap0/forwarding", "1"),
    )
    assert found.elements == ()


def test_routed_without_a_table_has_no_rules(routed: Nic, alone: Facts) -> None:
    found = wire(routed._replace(link=None), alone)
    assert [line for _, line in found.steps if line.startswith(("rule", "route"))] == [
        "route replace 10.0.0.5/32 dev tap0 proto static",
        f"route replace {OWN6}/128 dev tap0 proto static",
    ]
    assert found.undo == (
        ("ip", f"route del {OWN6}/128 dev tap0"),
        ("ip", "route del 10.0.0.5/32 dev tap0"),
        ("ip", "link set dev tap0 down"),
    )


@pytest.mark.parametrize(
    ("tag", "without", "with_"), [(tags.DISABLE_IPV6, "::", "10.0.0.5"), (tags.DISABLE_IPV4, "10.0.0.5", OWN6)]
)
def test_routed_by_one_family_says_nothing_of_the_other(
    routed: Nic, alone: Facts, tag: str, without: str, with_: str
) -> None:
    whole = wire(routed, alone)
    found = wire(routed._replace(tags=(tag,)), alone)
    rule = "ip -6" if tag == tags.DISABLE_IPV4 else "ip"
    assert [line for program, line in found.steps if line.startswith("rule")] == ["rule add iif tap0 table snf-link-1"]
    assert [program for program, line in found.steps if line.startswith("rule")] == [rule]
    assert set(found.steps) < set(whole.steps)
    assert set(found.undo) < set(whole.undo)
    text = "\n".join(line for _, line in (*found.steps, *found.undo))
    assert without not in text
    assert f"neigh replace {with_} " in text


@pytest.mark.parametrize("link", [None, "100"])
def test_routed_needs_an_address(routed: Nic, network: Network, alone: Facts, link: str | None) -> None:
    with pytest.raises(ContractError, match="IP is not set: a routed NIC needs an address"):
        wire(routed._replace(link=link, ip=None, network=network._replace(subnet6=None)), alone)
    # Nor does a prefix help that gives no address of its own.
    with pytest.raises(ContractError, match="IP is not set"):
        wire(routed._replace(link=link, ip=None, network=network._replace(subnet6="2001:db8::/48")), alone)


def test_the_mac_of_routed_taps_is_the_administrators(routed: Nic, alone: Facts) -> None:
    found = wire(routed, alone, SETTINGS._replace(tap_mac="02:00:00:00:00:01"))
    assert found.steps[0][1] == "link set dev tap0 address 02:00:00:00:00:01 addrgenmode eui64 up"


@pytest.mark.parametrize("where", ["instance", "network"])
def test_who_may_say_anything_is_asked_for_its_mac(routed: Nic, alone: Facts, where: str) -> None:
    tag = tags.SPOOF_ALLOWED
    free = routed._replace(tags=(tag,)) if where == "instance" else of_network(routed, tag)
    held, loose = wire(routed, alone), wire(free, alone)
    assert loose.steps == tuple(step for step in held.steps if not step[1].startswith("neigh"))
    assert loose.undo == held.undo


@pytest.mark.parametrize(("link", "table"), [("100", " table 100"), (None, "")])
def test_what_goes_to_a_delegated_prefix_goes_to_the_guest(
    routed: Nic, alone: Facts, link: str | None, table: str
) -> None:
    nic = routed._replace(link=link)
    plain, found = wire(nic, alone), modes.wire(nic, addresses.of(nic), alone, SETTINGS, "2001:db8:77::/56")
    route = f"2001:db8:77::/56 via {OWN6} dev tap0{table}"
    # Behind the guest's own: the way to a prefix is found by the way to its router.
    assert found.steps == (*plain.steps, ("ip", f"route replace {route} onlink proto static"))
    assert found.undo == (("ip", f"route del {route}"), *plain.undo)


def test_a_delegated_prefix_needs_a_route_in_routed_mode_with_ipv6_only(nic: Nic, routed: Nic, facts: Facts) -> None:
    for one, met in ((nic, facts), (routed._replace(tags=(tags.DISABLE_IPV6,)), facts._replace(below=None))):
        found = addresses.of(one)
        assert modes.wire(one, found, met, SETTINGS, "2001:db8:77::/56") == modes.wire(one, found, met, SETTINGS)


def test_ip_less_routed_answers_for_the_guest_on_the_uplinks(routed: Nic, alone: Facts) -> None:
    plain = wire(routed, alone)
    found = wire(of_network(routed, tags.IP_LESS_ROUTED), alone._replace(uplink4=UPLINK4, uplink6=UPLINK6))
    assert found.steps == (
        *plain.steps,
        ("ip", "neigh replace proxy 10.0.0.5 dev eth0"),
        ("ip", f"neigh replace proxy {OWN6} dev eth1"),
    )
    # Last done, first undone: nobody is drawn to a node that knows no way on.
    assert found.undo == (
        ("ip", f"neigh del proxy {OWN6} dev eth1"),
        ("ip", "neigh del proxy 10.0.0.5 dev eth0"),
        *plain.undo,
    )


@pytest.mark.parametrize(("tag", "ours"), [(tags.DISABLE_IPV6, UPLINK4), (tags.DISABLE_IPV4, UPLINK6)])
def test_ip_less_routed_by_one_family(routed: Nic, alone: Facts, tag: str, ours: Link) -> None:
    one = of_network(routed, tags.IP_LESS_ROUTED)._replace(tags=(tag,))
    found = wire(one, alone._replace(uplink4=UPLINK4, uplink6=UPLINK6))
    assert [line for _, line in found.steps if "proxy" in line and not line.endswith(f"dev {ours.name}")] == []
    assert [line for _, line in found.undo if "proxy" in line and line.endswith(f"dev {ours.name}")] != []


def test_who_is_told_that_an_address_is_here(nic: Nic, routed: Nic, facts: Facts, alone: Facts) -> None:
    found = addresses.of(routed)
    both = alone._replace(uplink4=UPLINK4, uplink6=UPLINK6)
    assert modes.announcements(found, both) == ((UPLINK4, "10.0.0.5", None), (UPLINK6, None, OWN6))
    assert modes.announcements(found._replace(ip=None), both) == ((UPLINK6, None, OWN6),)
    assert modes.announcements(found._replace(eui64=None), both) == ((UPLINK4, "10.0.0.5", None),)
    assert modes.announcements(found, alone) == ()
    assert modes.announcements(addresses.of(nic), facts) == ()


def test_private_filtered_is_bridged_and_has_peers(nic: Nic, facts: Facts) -> None:
    plain = wire(nic, facts)
    found = wire(of_network(nic, tags.PRIVATE_FILTERED), facts)
    assert (found.steps, found.undo, found.sysctls) == (plain.steps, plain.undo, plain.sysctls)
    assert found.elements == (
        ("bridge", "filtered", '"tap0"'),
        ("bridge", "peers", '"tap0" . 52:54:00:00:00:00-52:54:0f:ff:ff:ff'),
    )
    narrow = wire(of_network(nic, "mac-filtered"), facts, SETTINGS._replace(tag_private_filtered="mac-filtered"))
    assert narrow.elements == found.elements


def test_filtered_trunks_have_both(nic: Nic, facts: Facts) -> None:
    found = wire(of_network(nic, tags.PRIVATE_FILTERED)._replace(vlan=":10"), facts)
    assert [element.set for element in found.elements] == ["vlans", "filtered", "peers"]


@pytest.mark.parametrize(
    ("tag", "mode", "words"),
    [
        (tags.PRIVATE_FILTERED, "routed", "NETWORK_TAGS: private-filtered needs MODE bridged, not 'routed'"),
        (tags.PRIVATE_FILTERED, "openvswitch", "NETWORK_TAGS: private-filtered needs MODE bridged, not 'openvswitch'"),
        (tags.IP_LESS_ROUTED, "bridged", "NETWORK_TAGS: ip-less-routed needs MODE routed, not 'bridged'"),
        (tags.IP_LESS_ROUTED, "openvswitch", "NETWORK_TAGS: ip-less-routed needs MODE routed, not 'openvswitch'"),
    ],
)
def test_tags_that_do_not_go_with_the_mode(nic: Nic, facts: Facts, tag: str, mode: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        wire(of_network(nic, tag)._replace(mode=mode), facts)


def test_a_tag_of_the_instance_is_none_of_the_network(nic: Nic, facts: Facts) -> None:
    same = nic._replace(tags=(tags.PRIVATE_FILTERED, tags.IP_LESS_ROUTED))
    assert wire(same, facts) == wire(nic, facts)
    assert wire(nic._replace(network=None, tags=(tags.PRIVATE_FILTERED,)), facts).elements == ()


def test_spoofing_is_allowed_by_the_very_tag(nic: Nic) -> None:
    tag = tags.SPOOF_ALLOWED
    assert modes.spoof_allowed(nic._replace(tags=(tag,)), SETTINGS)
    assert modes.spoof_allowed(of_network(nic, tag), SETTINGS)
    assert not modes.spoof_allowed(nic._replace(tags=("spoof-allowed", f"{tag}:no", tag.upper())), SETTINGS)
    assert not modes.spoof_allowed(nic._replace(tags=(tag,)), SETTINGS._replace(tag_spoof_allowed="trusted"))
    assert modes.spoof_allowed(of_network(nic, "trusted"), SETTINGS._replace(tag_spoof_allowed="trusted"))
