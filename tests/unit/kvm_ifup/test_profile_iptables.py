"""The rules for iptables mean what the profile says, in both families."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext import config
from ganeti_ext.errors import ConfigError
from kvm_ifup import profiles
from kvm_ifup.profile import Allow, Profile
from kvm_ifup.profile_iptables import DISPATCH, IPV4, IPV6, JUMP, Rule, beside, chain, chains, line, ours

SHIPPED = profiles.load_all((profiles.SHIPPED,))
LIMITED, PROTECTED = SHIPPED["limited"], SHIPPED["protected"]


def own(text: str) -> Profile:
    return profiles.build("own", "own", config.parse(f"[profile]\n{text}", "own"))


def allowed(rules: tuple[Rule, ...], protocol: int, port: int, source: str) -> bool:
    """What the rules say of a new packet of TCP or UDP."""
    for rule in rules:
        if rule.protocol not in (0, protocol) or (rule.source and ip_address(source) not in ip_network(rule.source)):
            continue
        if all(_matches(name, dict(options), port) for name, options in rule.matches):
            return rule.target == "RETURN"
    return True


def _matches(name: str, options: dict[str, str], port: int) -> bool:
    if name == "multiport":
        ranges = [part.partition(":") for part in options["dports"].split(",")]
        return any(int(first) <= port <= int(last or first) for first, _, last in ranges)
    return name == "comment"  # it is neither of a connection, nor condemned, nor ICMP or DHCP


RANGES = st.lists(st.tuples(st.integers(1, 200), st.integers(0, 3)), max_size=40)
SOURCES = st.lists(st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "::/0", "0.0.0.0/0"]))


@given(RANGES, SOURCES, st.integers(1, 210), st.sampled_from(["10.1.2.3", "192.0.2.7", "2001:db8::1", "fd00::1"]))
def test_ports_and_sources(ranges: list[tuple[int, int]], sources: list[str], port: int, source: str) -> None:
    text = "[allow one]\nprotocol = tcp\n"
    text += f"ports = {','.join(f'{first}-{first + more}' for first, more in ranges)}\n" if ranges else ""
    text += f"sources = {','.join(sources)}\n" if sources else ""
    family = ip_address(source).version
    rules = chains({1: own(text)}, family)["ganeti-ext-own"]
    wanted = not ranges or any(first <= port <= first + more for first, more in ranges)
    networks = [network for network in map(ip_network, sources) if network.version == family]
    wanted = wanted and (not sources or any(ip_address(source) in network for network in networks))
    assert allowed(rules, 6, port, source) == wanted
    assert not allowed(rules, 17, port, source)


@given(RANGES)
def test_a_match_has_room_for_fifteen_ports(ranges: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}" for first, more in [*ranges, (300, 0)])
    for rule in chains({1: own(f"[allow one]\nprotocol = udp\nports = {text}\n")}, IPV4)["ganeti-ext-own"]:
        for name, options in rule.matches:
            if name == "multiport":
                assert sum(2 if ":" in part else 1 for part in dict(options)["dports"].split(",")) <= 15


class TestChains:
    """All chains of ours."""

    def test_by_mark_to_the_profile(self) -> None:
        assert [line(DISPATCH, rule) for rule in chains({1: LIMITED, 2: PROTECTED}, IPV4)[DISPATCH]] == [
            "-A ganeti-ext -m mark --mark 0x10000/0xfff0000 -j ganeti-ext-limited",
            "-A ganeti-ext -m mark --mark 0x20000/0xfff0000 -j ganeti-ext-protected",
            "-A ganeti-ext -j MARK --set-xmark 0x0/0xfff0000",
        ]

    def test_protected(self) -> None:
        assert [line("c", rule) for rule in chains({1: PROTECTED}, IPV4)["ganeti-ext-protected"]] == [
            "-A c -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
            "-A c -p 1 -m icmp --icmp-type 3 -j RETURN",
            "-A c -p 1 -m icmp --icmp-type 11 -j RETURN",
            "-A c -p 17 -m udp --sport 67 --dport 68 -j RETURN",
            "-A c -m conntrack --ctstate INVALID -j DROP",
            "-A c -j DROP",
        ]

    def test_ipv6(self) -> None:
        rules = [line("c", rule) for rule in chains({1: LIMITED}, IPV6)["ganeti-ext-limited"]]
        assert "-A c -p 58 -m icmp6 --icmpv6-type 135 -j RETURN" in rules
        assert "-A c -p 17 -m udp --sport 547 --dport 546 -j RETURN" in rules
        assert '-A c -p 58 -m icmp6 --icmpv6-type 128 -m comment --comment "allow ping6" -j RETURN' in rules
        assert not any("-m icmp " in rule for rule in rules)

    def test_unprotected_drops_nothing(self) -> None:
        assert chains({1: SHIPPED["unprotected"]}, IPV4)["ganeti-ext-unprotected"] == ()

    @pytest.mark.parametrize(
        ("keys", "ip4", "ip6"),
        [
            ("protocol = gre", ["-p 47 "], ["-p 47 "]),
            ("protocol = any\nsources = 10.0.0.0/8", ["-s 10.0.0.0/8 "], []),
            ("protocol = icmp\ntypes = 8, 13", [f"-p 1 -m icmp --icmp-type {kind} " for kind in (8, 13)], []),
            ("protocol = icmpv6", [], ["-p 58 "]),
            ("protocol = any", [""], [""]),
        ],
    )
    def test_what_is_allowed(self, keys: str, ip4: list[str], ip6: list[str]) -> None:
        for family, wanted in ((IPV4, ip4), (IPV6, ip6)):
            rules = chains({1: own(f"[allow one]\n{keys}\n")}, family)["ganeti-ext-own"]
            texts = [line("c", rule) for rule in rules]
            assert [text for text in texts if "comment" in text] == [
                f'-A c {words}-m comment --comment "allow one" -j RETURN' for words in wanted
            ]

    def test_none_without_profiles(self) -> None:
        assert chains({}, IPV4) == {}

    def test_a_number_without_room(self) -> None:
        with pytest.raises(ConfigError, match="no room"):
            chains({16: LIMITED}, IPV4, 0xF0)


class TestNames:
    """Names of chains have room for 28 characters, those of profiles may have 24."""

    def test_short(self) -> None:
        assert chain("a" * 17, 4095) == "ganeti-ext-" + "a" * 17

    def test_long_ones_that_begin_alike_differ(self) -> None:
        names = {chain("a" * 18, number) for number in (1, 4095)}
        assert len(names) == 2
        assert max(map(len, names)) == 28
        assert all(map(ours, names))

    def test_a_long_one_is_no_short_one(self) -> None:
        assert "." in chain("a" * 18, 1)

    def test_ours(self) -> None:
        assert ours("ganeti-ext")
        assert not ours("ganeti-extra")
        assert not ours("FORWARD")

    def test_the_jump_is_recognisable(self) -> None:
        assert line("FORWARD", JUMP) == (
            '-A FORWARD -m comment --comment "ganeti-ext: firewall profiles of guests" -j ganeti-ext'
        )


class TestBeside:
    """Profiles that are there, and others that come."""

    ONE, TWO = chains({1: LIMITED}, IPV4), chains({12: PROTECTED}, IPV4)

    def test_both_stay_in_the_order_of_their_numbers(self) -> None:
        both = chains({1: LIMITED, 12: PROTECTED}, IPV4)
        assert beside(self.ONE, self.TWO) == both
        assert beside(self.TWO, self.ONE) == both
        assert beside(both, self.ONE) == both

    def test_the_new_one_stands(self) -> None:
        changed = LIMITED._replace(allowed=(Allow("one", 6, (), (), ("0.0.0.0/0",), ()),))
        assert beside(self.ONE, chains({1: changed}, IPV4)) == chains({1: changed}, IPV4)

    def test_nothing_new(self) -> None:
        assert beside(self.ONE, {}) == self.ONE

    def test_a_number_that_has_another_profile(self) -> None:
        assert beside(self.ONE, chains({1: PROTECTED}, IPV4)) == chains({1: PROTECTED}, IPV4)

    def test_another_mask(self) -> None:
        other = chains({1: LIMITED}, IPV4, 0xFF)
        assert beside(self.ONE, other) == other
