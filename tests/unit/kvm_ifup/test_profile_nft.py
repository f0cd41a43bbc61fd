"""The nft text of firewall profiles holds together; what it does is seen in tests/contract/test_profiles.py."""

from __future__ import annotations

import re

import pytest

from ganeti_ext import config
from ganeti_ext.errors import ConfigError
from kvm_ifup import profile, profile_nft, profile_rules, profiles
from kvm_ifup.profile import LAST, Profile

SKELETON = profile_nft.skeleton()
ZONES = profile_nft.zones()
LIMITED = profiles.load("limited", (profiles.SHIPPED,))
UNPROTECTED = profiles.load("unprotected", (profiles.SHIPPED,))
CUT = "ct mark & 0x10000000 == 0x10000000 drop"
FIRST = "ct state established,related return"


def own(text: str) -> Profile:
    return profiles.build("own", "own", config.parse(f"[profile]\n{text}", "own"))


def names(what: str, text: str) -> set[str]:
    return set(re.findall(rf"^add {what} (\w+ ganeti_ext \w+)", text, re.MULTILINE))


class TestSkeleton:
    """What stands whatever profiles and taps there are."""

    def test_all_that_rules_name_is_there(self) -> None:
        for table, rules in re.findall(r"^add rule (\w+ ganeti_ext) (.*)$", SKELETON, re.MULTILINE):
            for name in re.findall(r"@(\w+)", rules):
                assert f"{table} {name}" in names("map", SKELETON) | names("set", SKELETON)

    def test_chains_are_emptied_before_they_are_filled(self) -> None:
        for chain in names("chain", SKELETON):
            assert SKELETON.index(f"flush chain {chain}\n") < SKELETON.index(f"add rule {chain} ")

    def test_it_drops_nothing_by_itself(self) -> None:
        assert "policy drop" not in SKELETON
        assert re.findall(r"^.* drop$", SKELETON, re.MULTILINE) == [
            f"add rule inet ganeti_ext forward {CUT}",
            (
                "add rule bridge ganeti_ext unjudged "
                "meta mark & 0x0fff0000 != 0 meta mark & 0x0fff0000 @enforced ether type != 0x0806 drop"
            ),
        ]

    def test_what_was_cut_stays_so_whoever_judges(self) -> None:
        for text in (SKELETON, profile_nft.skeleton(judge=False)):
            rules = re.findall(r"^add rule inet ganeti_ext (?:forward|to_tap) (.*)$", text, re.MULTILINE)
            assert rules[0] == CUT

    def test_a_port_without_a_profile_is_not_judged_by_addresses(self) -> None:
        assert "add rule bridge ganeti_ext to_tap meta mark set meta mark & 0xf000ffff | 0x0fff0000\n" in SKELETON
        assert "add rule inet ganeti_ext forward meta mark & 0x0fff0000 == 0 jump find\n" in SKELETON
        with pytest.raises(ConfigError, match="no room"):
            profile.mark(LAST + 1)

    def test_connections_are_followed_though_no_packet_asks(self) -> None:
        text = profile_nft.track()
        assert "hook" not in text
        assert "add rule inet ganeti_ext track ct state new\n" in text

    def test_zones_stand_before_fragments_are_put_together(self) -> None:
        found = re.search(r"chain inet ganeti_ext zone .*priority (-?\d+)", ZONES)
        assert found
        assert int(found[1]) < -400  # NF_IP_PRI_CONNTRACK_DEFRAG

    def test_masks(self) -> None:
        text = profile_nft.skeleton(0x00000FF0)
        assert "meta mark & 0x00000ff0 vmap @profiles" in text
        assert "meta mark set meta mark & 0xfffff00f" in text
        assert "ether saddr & ff:ff:ff:00:00:00 map @zones" in profile_nft.zones("ff:ff:ff:00:00:00")

    def test_without_judge(self) -> None:
        text = profile_nft.skeleton(judge=False)
        assert "add rule inet ganeti_ext forward" not in text
        assert "delete chain inet ganeti_ext forward\n" in text
        hooked = re.compile("inet ganeti_ext (forward|to_tap) ?")
        kept = [line for line in SKELETON.splitlines() if not hooked.search(line)]
        assert [line for line in text.splitlines() if not hooked.search(line)] == kept


class TestChains:
    """A profile's own."""

    def test_what_marks_and_what_judges(self) -> None:
        lines = profile_nft.chains(LIMITED, 3).splitlines()
        for table in ("inet", "bridge"):
            assert f"add rule {table} ganeti_ext mark_3 meta mark set meta mark & 0xf000ffff | 0x00030000" in lines
        assert "add element inet ganeti_ext profiles { 0x00030000 : jump profile_3 }" in lines
        assert lines.index("flush chain inet ganeti_ext profile_3") + 1 == lines.index(
            f"add rule inet ganeti_ext profile_3 {FIRST}"
        )

    def test_without_judge(self) -> None:
        text = profile_nft.chains(LIMITED, 3, judge=False)
        assert names("chain", text) == {"inet ganeti_ext mark_3", "bridge ganeti_ext mark_3"}
        assert "add element bridge ganeti_ext enforced { 0x00030000 }\n" in text

    def test_who_drops_is_enforced(self) -> None:
        enforced = re.compile(r"^(\w+) element bridge ganeti_ext enforced", re.MULTILINE)
        assert enforced.findall(profile_nft.chains(LIMITED, 3)) == ["add"]
        assert enforced.findall(profile_nft.chains(UNPROTECTED, 3)) == ["add", "delete"]

    def test_a_number_without_room(self) -> None:
        with pytest.raises(ConfigError, match="no room"):
            profile_nft.chains(LIMITED, 4096)


class TestRules:
    """What a profile's chain says."""

    def test_the_order(self) -> None:
        rules = list(profile_rules.of(LIMITED))
        assert rules[0] == FIRST
        assert rules[-1] == "drop"
        assert rules.index("icmp type { 3, 11 } return") < rules.index("ct state invalid drop")
        assert all("comment" in rule for rule in rules[rules.index("ct state invalid drop") + 1 : -1])

    def test_what_drops_nothing_has_none(self) -> None:
        assert list(profile_rules.of(UNPROTECTED)) == []

    @pytest.mark.parametrize(
        ("keys", "rules"),
        [
            ("protocol = tcp\nports = 22, 80-81", ["tcp dport { 22, 80-81 }"]),
            ("protocol = tcp", ["meta l4proto 6"]),
            ("protocol = 89", ["meta l4proto 89"]),
            ("protocol = any", [""]),
            ("protocol = icmp\ntypes = 8, 13", ["meta nfproto ipv4 icmp type { 8, 13 }"]),
            ("protocol = icmpv6", ["meta nfproto ipv6 meta l4proto 58"]),
            ("protocol = udp\nfamily = ipv4", ["meta nfproto ipv4 meta l4proto 17"]),
            ("protocol = any\nsources = 10.0.0.0/8", ["ip saddr { 10.0.0.0/8 }"]),
            (
                "protocol = sctp\nports = 1\nsources = 10.0.0.0/8, 192.0.2.1, 2001:db8::/32",
                [
                    "ip saddr { 10.0.0.0/8, 192.0.2.1/32 } sctp dport { 1 }",
                    "ip6 saddr { 2001:db8::/32 } sctp dport { 1 }",
                ],
            ),
            ("protocol = any\nsources = 10.0.0.0/8, ::/0", ["ip saddr { 10.0.0.0/8 }", "meta nfproto ipv6"]),
        ],
    )
    def test_what_is_allowed(self, keys: str, rules: list[str]) -> None:
        ends = [rule for rule in profile_rules.of(own(f"[allow one]\n{keys}")) if "comment" in rule]
        assert ends == [f'{rule} return comment "allow one"'.strip() for rule in rules]


class TestTaps:
    """Elements that send what goes to a tap through a profile."""

    def test_routed(self) -> None:
        assert profile_nft.assign("tap0", 3, None, ("10.0.0.5",)).splitlines() == [
            'add element inet ganeti_ext profile { "tap0" : goto mark_3 }'
        ]

    def test_on_a_bridge(self) -> None:
        assert profile_nft.assign("tap0", 3, "br0", ("10.0.0.5", "2001:db8::5")).splitlines() == [
            'add element bridge ganeti_ext profile { "tap0" : goto mark_3 }',
            'add element inet ganeti_ext profile_ip4 { "br0" . 10.0.0.5 : goto mark_3 }',
            'add element inet ganeti_ext profile_ip6 { "br0" . 2001:db8::5 : goto mark_3 }',
        ]

    def test_what_was_is_taken_out_before(self) -> None:
        lines = profile_nft.assign("tap0", 3, "br0", was=2).splitlines()
        assert lines == [
            "add chain inet ganeti_ext mark_2",
            "add chain bridge ganeti_ext mark_2",
            'add element bridge ganeti_ext profile { "tap0" : goto mark_2 }',
            'delete element bridge ganeti_ext profile { "tap0" : goto mark_2 }',
            'add element bridge ganeti_ext profile { "tap0" : goto mark_3 }',
        ]

    @pytest.mark.parametrize(
        "text",
        [
            profile_nft.unassign("tap0", 3, "br0", ("10.0.0.5",)),
            profile_nft.unassign("tap0", 3),
            profile_nft.unchain(3),
        ],
    )
    def test_what_is_deleted_is_added_before(self, text: str) -> None:
        lines = text.splitlines()
        deleted = [line for line in lines if line.startswith("delete ")]
        assert deleted
        for line in deleted:
            assert lines.index(line.replace("delete ", "add ", 1)) < lines.index(line)
        assert lines[0] == "add table inet ganeti_ext"
