"""Plans are values: what is run, the record, the binding."""

from __future__ import annotations

import pytest

from ganeti_ext import tags
from ganeti_ext.binding import Binding
from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import Network, Nic
from kvm_ifup import elements, plan, profile_nft, reach, ruleset, state
from kvm_ifup.modes import Facts
from kvm_ifup.plan import Firewall, Plan, communication, lower
from kvm_ifup.settings import Settings
from kvm_ifup.state import Assigned
from tests.unit.kvm_ifup.nics import MODES, OVS, UPLINKS

OWN6 = "2001:db8::5054:ff:fe00:1"
NUMBER6 = "0x20010db800000000505400fffe000001"
BRIDGE6 = "0xfe80000000000000000000fffe0000b0"
TAP6 = "0xfe80000000000000ce4752fffe4e4554"
SAID = (
    ("macs", "52:54:00:00:00:01"),
    ("ip4", "10.0.0.5"),
    ("ip6_taps", ""),
    ("ip6_source", OWN6),
    ("ip6_target", NUMBER6),
    ("ip6_router", BRIDGE6),
)
OPEN = Firewall("unprotected", 0, drops=False, text="")
SHUT = Firewall("protected", 2, drops=True, text="# rules of 2\n")


def planned(env: dict[str, str], facts: Facts, firewall: Firewall = OPEN, **settings: str) -> Plan:
    return plan.plan(env, Nic.from_env(env), facts, firewall, Settings(binding_directory="/b", **settings))


def said(found: Plan, family: str = "netdev") -> tuple[tuple[str, str], ...]:
    """Set, and what follows the tap."""
    return tuple(
        (element.set, element.text.removeprefix('"tap0"').removeprefix(" . "))
        for element in found.record.elements
        if element.family == family
    )


def with_tags(env: dict[str, str], *own: str, network: str = "nfdhcpd public") -> dict[str, str]:
    return {**env, "TAGS": " ".join(own), "NETWORK_TAGS": network}


def in_mode(env: dict[str, str], facts: Facts, mode: str, firewall: Firewall = OPEN) -> Plan:
    differs, more = MODES[mode]
    return planned({**env, **differs}, facts._replace(**more), firewall)


def test_a_bridged_nic(env: dict[str, str], facts: Facts) -> None:
    found = planned(env, facts, SHUT)
    assert found.record == state.Record(
        tap="tap0",
        ifindex=12,
        env=env,
        told="",
        binding="/b/tap0",
        firewall=Assigned("protected", 2, "br0", ("10.0.0.5", OWN6)),
        elements=found.record.elements,
        undo=(("ip", "link set dev tap0 down"), ("ip", "link set dev tap0 nomaster")),
    )
    assert said(found) == SAID
    assert {element.family for element in found.record.elements} == {"netdev"}
    assert found.steps == (
        ("ip", "link set dev tap0 address fe:11:22:33:44:55 mtu 1400"),
        ("ip", "link set dev tap0 master br0"),
        ("ip", "link set dev tap0 up"),
    )
    assert found.binding == Binding(
        tap="tap0",
        mac="52:54:00:00:00:01",
        hostname="web-server",
        instance="gx-1.example.org",
        indev="br0",
        ip="10.0.0.5",
        subnet="10.0.0.0/24",
        gateway="10.0.0.1",
        subnet6="2001:db8::/64",
        gateway6="2001:db8::1",
        eui64=OWN6,
        mtu=1400,
        ifindex=12,
        tags=("nfdhcpd", "public"),
    )
    assert (found.sysctls, found.announce, found.warnings) == ((), (), ())


def test_all_rules_are_said_in_every_transaction(env: dict[str, str], facts: Facts) -> None:
    found = planned(env, facts, SHUT, mark_mask="0x00ff0000", mac_mask="ff:ff:ff:00:00:00")
    judging = profile_nft.skeleton(0x00FF0000, judge=True)
    assert found.rules == ruleset.skeleton() + judging + profile_nft.track() + "# rules of 2\n"
    marking = profile_nft.skeleton(0x0FFF0000, judge=False)
    assert plan.plan(env, Nic.from_env(env), facts, SHUT, Settings(firewall="iptables")).rules == found.rules.replace(
        judging, marking
    )


def test_what_no_tap_needs_is_not_said(env: dict[str, str], facts: Facts) -> None:
    assert planned(env, facts, OPEN).rules == ruleset.skeleton() + profile_nft.track()
    assert planned(env, facts, OPEN, track="needed").rules == ruleset.skeleton()
    apart = reach.skeleton() + profile_nft.zones("ff:ff:ff:00:00:00")
    found = planned(
        {**env, "NETWORK_TAGS": "private-filtered"},
        facts,
        OPEN._replace(zone=7),
        track="needed",
        mac_mask="ff:ff:ff:00:00:00",
    )
    assert found.rules == ruleset.skeleton() + apart


def test_a_profile_that_judges_nothing_leaves_nothing_but_its_name(env: dict[str, str], facts: Facts) -> None:
    record = planned(env, facts, OPEN).record
    assert record.firewall is not None
    assert (record.firewall.profile, record.firewall.number) == ("unprotected", 0)
    assert "profile" not in plan.stands(record) + plan.forget(record)
    assert record.shared() == frozenset()


@pytest.mark.parametrize("mode", MODES)
def test_records_come_back_as_they_were(env: dict[str, str], facts: Facts, mode: str) -> None:
    record = in_mode(env, facts, mode).record
    assert state.parse("tap0", state.render(record)) == record
    # The environment in it makes the same plan again, and nothing else of it is kept.
    again = in_mode(record.env, facts, mode)
    assert again.record == record
    assert in_mode({**env, "PATH": "/bin", "SECRET": "x"}, facts, mode).record == record


ROUTERS = {
    **dict.fromkeys(("bridged", "bridged, VLAN", "private-filtered"), BRIDGE6),
    **dict.fromkeys(("routed", "routed, no table", "routed, IPv6 only", "ip-less-routed"), TAP6),
    "openvswitch": "0xfe80000000000000981122fffe334455",
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_judged_alike(env: dict[str, str], facts: Facts, mode: str) -> None:
    found = in_mode(env, facts, mode)
    ip4, ip6 = mode != "routed, IPv6 only", mode in ROUTERS
    allowed = {("macs", "52:54:00:00:00:01"), *([("ip4", "10.0.0.5")] if ip4 else [])}
    if ip6:
        allowed |= {("ip6_taps", ""), ("ip6_source", OWN6), ("ip6_target", NUMBER6), ("ip6_router", ROUTERS[mode])}
    assert {element for element in said(found) if element[0] != "vlans"} == allowed
    assert plan.judged(found.record)
    own = [*(["10.0.0.5"] if ip4 else []), *([OWN6] if ip6 else [])]
    assert plan.stands(found.record).startswith(ruleset.judge("tap0", 12, "52:54:00:00:00:01", own))


@pytest.mark.parametrize(
    ("mode", "assigned"),
    [
        ("bridged", Assigned("protected", 2, "br0", ("10.0.0.5", OWN6))),
        ("private-filtered", Assigned("protected", 2, "br0", ("10.0.0.5", OWN6))),
        ("routed", Assigned("protected", 2, None, ("10.0.0.5", OWN6))),
        ("routed, IPv4 only", Assigned("protected", 2, None, ("10.0.0.5",))),
        ("routed, IPv6 only", Assigned("protected", 2, None, (OWN6,))),
    ],
)
def test_the_profile_of_each_mode(env: dict[str, str], facts: Facts, mode: str, assigned: Assigned) -> None:
    found = in_mode(env, facts, mode, SHUT)
    assert found.record.firewall == assigned
    text = profile_nft.assign("tap0", 2, assigned.bridge, assigned.addresses)
    assert plan.stands(found.record).endswith(text)
    assert profile_nft.unassign("tap0", 2, assigned.bridge, assigned.addresses) in plan.forget(found.record)


def test_open_vswitch_carries_no_profile_that_drops(env: dict[str, str], facts: Facts) -> None:
    assert in_mode(env, facts, "openvswitch").record.firewall is None
    with pytest.raises(ContractError, match="firewall profile 'protected' cannot be enforced in MODE openvswitch"):
        in_mode(env, facts, "openvswitch", SHUT)


def test_a_zone_is_of_the_network(env: dict[str, str], facts: Facts) -> None:
    found = planned({**env, "NETWORK_TAGS": "private-filtered"}, facts, OPEN._replace(zone=7))
    assert said(found, "inet") == (("zones", "52:54:00:00:00:00 : 7"),)
    # Its addresses may be another tenant's too: they lead to nobody's profile.
    assert found.record.firewall == Assigned("unprotected", 0, "br0", ())
    assert said(found, "bridge") == (("filtered", ""), ("peers", "52:54:00:00:00:00-52:54:0f:ff:ff:ff"))
    assert "add element inet ganeti_ext zones { 52:54:00:00:00:00 : 7 }\n" in plan.stands(found.record)
    assert "zones {" not in plan.forget(found.record).replace("map inet ganeti_ext zones {", "")


def test_who_is_told_by_which_uplink(env: dict[str, str], facts: Facts) -> None:
    found = in_mode(env, facts, "ip-less-routed")
    assert found.announce == ((UPLINKS["uplink4"], "10.0.0.5", None), (UPLINKS["uplink6"], None, OWN6))
    assert found.sysctls[0] == ("net/ipv4/conf/tap0/proxy_arp", "1")


def test_the_binding_of_a_routed_nic_answers_from_its_tap(env: dict[str, str], facts: Facts) -> None:
    found = in_mode(env, facts, "routed").binding
    assert found is not None
    assert (found.indev, found.mtu) == ("tap0", 1500)


def test_a_nic_without_a_network_has_no_ipv6_and_no_binding(env: dict[str, str], facts: Facts) -> None:
    found = planned({**env, "NETWORK_NAME": ""}, facts)
    assert said(found) == SAID[:2]
    assert (found.record.binding, found.binding) == (None, None)


def test_a_network_without_the_tag_has_no_binding(env: dict[str, str], facts: Facts) -> None:
    found = planned({**env, "NETWORK_TAGS": "public"}, facts)
    assert (found.record.binding, found.binding) == (None, None)
    assert said(found) == SAID
    assert planned({**env, "NETWORK_TAGS": "dhcp"}, facts, tag_nfdhcpd="dhcp").binding is not None


def test_without_an_address_there_is_nothing_to_bind(env: dict[str, str], facts: Facts) -> None:
    found = planned({**env, "IP": "", "NETWORK_SUBNET6": ""}, facts)
    assert (found.record.binding, found.binding) == (None, None)
    assert said(found) == SAID[:1]


@pytest.mark.parametrize("subnet6", ["2001:db8::/56", "2001:db8::/112"])
def test_another_ipv6_prefix_gives_no_global_address(env: dict[str, str], facts: Facts, subnet6: str) -> None:
    found = planned({**env, "NETWORK_SUBNET6": subnet6}, facts)
    assert said(found) == (*SAID[:3], SAID[-1])
    assert found.binding is not None
    assert (found.binding.eui64, found.binding.subnet6) == (None, subnet6)
    assert len(found.warnings) == 1
    assert subnet6 in found.warnings[0]


def test_a_link_local_gateway_is_a_router(env: dict[str, str], facts: Facts) -> None:
    found = planned({**env, "NETWORK_GATEWAY6": "fe80::1"}, facts)
    assert {value for name, value in said(found) if name == "ip6_router"} == {f"0x{0xFE80 << 112 | 1:032x}", BRIDGE6}


def test_a_tag_allows_more_and_a_bad_one_stops(env: dict[str, str], facts: Facts) -> None:
    more = planned(with_tags(env, "ganeti-ext:allow-address.0:10.0.0.9", "ganeti-ext:allow-address.1:10.0.0.8"), facts)
    assert said(more) == (*SAID, ("ip4_more", "10.0.0.9/32"))
    with pytest.raises(ContractError, match="tag ganeti-ext:allow-address:10: "):
        planned(with_tags(env, "ganeti-ext:allow-address:10"), facts)


def test_a_delegated_prefix_and_an_allowed_one_may_hold_each_other(env: dict[str, str], facts: Facts) -> None:
    own = ("nfdhcpd:prefix6:2001:db8:77::/56", "ganeti-ext:allow-address:2001:db8:77:1::/64")
    found = planned(with_tags(env, *own), facts)
    assert [value for name, value in said(found) if name == "ip6_prefix"] == ["2001:db8:77::/56"]
    without = planned({**with_tags(env, own[0]), "NETWORK_SUBNET6": ""}, facts)
    assert "ip6_prefix" not in dict(said(without))


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "no network"])
@pytest.mark.parametrize("where", ["TAGS", "NETWORK_TAGS"])
def test_who_may_say_anything_is_not_judged_but_filtered_all_the_same(
    env: dict[str, str], facts: Facts, mode: str, where: str
) -> None:
    differs, more = MODES[mode]
    held = {**env, **differs}
    loose = {**held, where: f"{held.get(where, '')} {tags.SPOOF_ALLOWED} ganeti-ext:allow-address:nonsense"}
    found, plain = planned(loose, facts._replace(**more)), planned(held, facts._replace(**more))
    assert not plan.judged(found.record)
    assert "hook ingress" not in plan.stands(found.record)
    assert {name for name, _ in said(found)} <= {"vlans"}
    assert said(found, "bridge") == said(plain, "bridge")
    assert found.record.firewall == plain.record.firewall
    if plain.binding:
        assert found.binding is not None
        assert (found.binding.macspoof, plain.binding.macspoof) == (True, False)


def test_a_transaction_says_all_rules_and_then_the_taps(env: dict[str, str], facts: Facts) -> None:
    found = planned(env, facts)
    text = plan.transaction(found)
    assert text == found.rules + plan.stands(found.record)
    assert "delete" not in text.replace(found.rules, "")


def test_a_transaction_takes_what_was_before_it_puts_what_is(env: dict[str, str], facts: Facts) -> None:
    before = planned(env, facts, SHUT._replace(profile="limited", number=1)).record
    after = planned({**env, "TAGS": "disable_ipv6"}, facts, SHUT)
    text = plan.transaction(after, before)
    between = text.removeprefix(after.rules).removesuffix(plan.stands(after.record))
    assert between == elements.delete(before.elements) + profile_nft.unassign("tap0", 1, "br0", ("10.0.0.5", OWN6))
    assert text == after.rules + between + plan.stands(after.record)


def test_a_tap_that_may_say_anything_from_now_on_is_no_longer_judged(env: dict[str, str], facts: Facts) -> None:
    before = planned(env, facts)
    after = planned(with_tags(env, tags.SPOOF_ALLOWED), facts)
    assert "delete chain netdev ganeti_ext port_12\n" in plan.transaction(after, before.record)
    assert "delete chain netdev ganeti_ext port_12\n" not in plan.transaction(before, before.record)
    assert "add chain netdev ganeti_ext port_12 {" in plan.transaction(before, after.record)


def test_lower_is_the_bridge_or_else_the_link(nic: Nic) -> None:
    assert lower(nic._replace(bridge="br1")) == "br1"
    assert lower(nic._replace(bridge=None, link="br2")) == "br2"
    assert lower(nic._replace(mode="routed", bridge=None, link="100")) is None
    assert lower(nic._replace(mode="routed", bridge=None, link=None)) is None
    assert lower(nic._replace(mode="openvswitch", bridge=None, link="ovs0")) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "ovs"}, "MODE has a bad value 'ovs': only bridged, openvswitch, routed can be set up"),
        ({"mode": "ext"}, "MODE has a bad value 'ext'"),
        ({"bridge": None, "link": None}, "LINK is not set"),
        ({"bridge": None, "link": "br0\nlink"}, "LINK has a bad value"),
        ({"bridge": "br0;"}, "LINK has a bad value"),
        ({"mode": "routed", "link": "100 dev eth0"}, "LINK has a bad value '100 dev eth0'"),
        ({"mode": "openvswitch", "link": "ovs0 -- del-br"}, "LINK has a bad value"),
        ({"tap": 'tap"'}, "INTERFACE has a bad value"),
        ({"tap": "tap*", "mode": "routed"}, r"INTERFACE has a bad value 'tap\*'"),
    ],
)
def test_what_cannot_be_done_is_named(nic: Nic, change: dict[str, str | None], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        lower(nic._replace(**change))


def test_open_vswitch_needs_a_switch(env: dict[str, str], facts: Facts) -> None:
    with pytest.raises(ContractError, match="LINK is not set"):
        planned({**env, **OVS, "LINK": ""}, facts._replace(below=None))


def test_communication_taps_are_those_of_net_common(nic: Nic) -> None:
    assert communication(nic._replace(tap="gnt.com.3", mode="routed"))
    assert not communication(nic._replace(tap="gnt.com.3", mode="bridged"))
    assert not communication(nic._replace(tap="gnt.company", mode="routed"))
    assert not communication(nic._replace(mode="routed"))


def test_terms_reach_the_binding(env: dict[str, str], facts: Facts, network: Network) -> None:
    found = planned(with_tags(env, "nfdhcpd:lease:600", "nfdhcpd:mtu:1280", "nfdhcpd:x:1"), facts)
    assert found.binding is not None
    assert (found.binding.terms, found.binding.mtu) == ((("lease", "600"),), 1280)
    assert found.steps[0][1].endswith(" mtu 1400")
    assert found.warnings == ("tag nfdhcpd:x:1 is passed over: no such key",)
