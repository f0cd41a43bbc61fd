"""Tenants' groups, compiled to profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganeti_ext import groups as tags
from ganeti_ext.errors import ConfigError
from ganeti_ext.groups import Group, Rule
from kvm_ifup import groupfile, groups, profile_iptables, profile_rules, profile_words, profiles
from kvm_ifup.profile import ACCEPT, ANY4, ANY6, CUT, DROP, KEEP, Allow, Profile

IDENT = "4f1a2b3c-1111-4222-8333-444455556666"
OWN, OTHER = "@4f1a2b3c", "@00000000"


def rule(protocol: str | None = "tcp", first: int | None = None, last: int | None = None, **more: object) -> Rule:
    plain = Rule("ingress", 4, protocol, first, last, None, None)
    return plain._replace(**more)


def group(*rules: Rule, ident: str = IDENT) -> Group:
    return Group(ident, "physics", "web", "", 0, 0, rules)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(groupfile, "DIRECTORY", str(tmp_path))
    monkeypatch.setattr(groups, "_read", (None, {}))
    return tmp_path / groupfile.NAME


def write(file: Path, *some: Group, version: int = 1) -> None:
    lines = ["foreign", *(tag for each in some for tag in tags.encode(each, version))]
    file.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    ("given", "protocol", "ports", "types", "code", "sources"),
    [
        (rule("tcp", 80, 443), 6, ((80, 443),), (), None, ((ANY4,), ())),
        (rule("17", 1, 65535, family=6), 17, ((1, 65535),), (), None, ((), (ANY6,))),
        (rule(None), None, (), (), None, ((ANY4,), ())),
        (rule(None, remote="10.1.2.3/8"), None, (), (), None, (("10.0.0.0/8",), ())),
        (rule("gre", remote="192.0.2.1"), 47, (), (), None, (("192.0.2.1/32",), ())),
        (rule("icmp"), 1, (), (), None, ((ANY4,), ())),
        (rule("icmp", 8), 1, (), (8,), None, ((ANY4,), ())),
        (rule("ipv6-icmp", 128, 0, family=6), 58, (), (128,), 0, ((), (ANY6,))),
    ],
)
def test_a_rule(
    given: Rule,
    protocol: int | None,
    ports: tuple[tuple[int, int], ...],
    types: tuple[int, ...],
    code: int | None,
    sources: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    assert list(groups.allowed("k", (given,))) == [Allow("k-0", protocol, ports, types, *sources, code)]


@pytest.mark.parametrize(
    "given",
    [
        rule(direction="egress"),
        rule(group="nonsense"),
        rule("dccp", 1, 2),
        rule("gre", 1, 2),
        rule("tcp", 1, None),
        rule("icmp", family=6),
        rule("ipv6-icmp"),
        rule("ah", family=6),
        rule("0"),
        rule("256"),
        rule("nonsense"),
        rule(remote="2001:db8::/32"),
        rule(remote="nonsense"),
    ],
)
def test_what_no_node_judges_by_lets_nothing_come(given: Rule) -> None:
    assert list(groups.allowed("k", (given, rule("tcp", 1, 1)))) == [
        Allow("k-1", 6, ((1, 1),), (), (ANY4,), (), None),
    ]


def test_a_rule_for_the_members_of_a_group() -> None:
    other = f"00000000{IDENT[8:]}"
    given = (rule("tcp", 80, 80, group=IDENT), rule(None, family=6, group=other), rule(direction="egress", group=other))
    assert list(groups.allowed("k", given)) == [
        Allow("k-0", 6, ((80, 80),), (), (ANY4,), (), None, "4f1a2b3c"),
        Allow("k-1", None, (), (), (), (ANY6,), None, "00000000"),
    ]


def test_members_in_each_backend_and_in_words(file: Path) -> None:
    write(file, group(rule("tcp", 80, 80, group=IDENT), rule(None, family=6, group=IDENT)))
    found = profiles.load(OWN)
    assert found.groups == {"4f1a2b3c"}
    rules = [" ".join(each.split()) for each in profile_rules.of(found)]
    assert 'ip saddr @members4_4f1a2b3c tcp dport { 80 } return comment "allow 4f1a2b3c-0"' in rules
    assert 'ip6 saddr @members6_4f1a2b3c return comment "allow 4f1a2b3c-1"' in rules
    made = [profile_iptables.chains({1: found}, family)[f"ganeti-ext-{OWN}"] for family in (4, 6)]
    lines = [profile_iptables.line("c", each) for some in made for each in some]
    head = "-A c {}-m set --match-set ganeti-ext-members{}-4f1a2b3c src "
    comment = '-m comment --comment "allow 4f1a2b3c-{}"'
    assert [line for line in lines if "allow" in line] == [
        head.format("-p 6 ", 4) + "-m multiport --dports 80 " + comment.format(0) + " -j RETURN",
        head.format("", 6) + comment.format(1) + " -j RETURN",
    ]
    words = list(profile_words.rules(found))
    assert "TCP to port 80 may come from the members of security group 4f1a2b3c in IPv4 [allow 4f1a2b3c-0]" in words
    assert "anything may come from the members of security group 4f1a2b3c in IPv6 [allow 4f1a2b3c-1]" in words


def test_a_group_is_a_profile(file: Path) -> None:
    write(file, group(rule("tcp", 80, 80)))
    found = profiles.load(OWN)
    assert (found.name, found.established, found.new, len(found.allowed)) == (OWN, KEEP, DROP, 1)
    assert found.description == "security group 'web' of project physics"
    write(file, group(rule("tcp", 80, 80), rule("tcp", 443, 443)), version=2)
    assert len(profiles.load(OWN).allowed) == 2
    write(file)
    assert profiles.load(OWN).allowed == ()


def test_without_a_file_nothing_comes(file: Path) -> None:
    assert not file.exists()
    found = profiles.load(OWN)
    assert (found.new, found.allowed) == (DROP, ())
    assert "does not have it" in found.description
    file.mkdir()
    assert "Is a directory" in profiles.load(OWN).description


def test_several_add_up(file: Path) -> None:
    write(file, group(rule("tcp", 80, 80)), group(rule("tcp", 25, 25), ident=f"00000000{IDENT[8:]}"))
    found = profiles.load(f"{OTHER}+{OWN}+ssh")
    assert [each.ports for each in found.allowed[:3]] == [((25, 25),), ((80, 80),), ((22, 22),)]
    assert len(found.allowed) == 5
    assert profiles.load(f"{OWN}+protected").allowed == profiles.load(OWN).allowed
    opens = profiles.load(f"{OWN}+unprotected")
    assert (opens.new, opens.allowed, opens.judges) == (ACCEPT, (), False)
    with pytest.raises(ConfigError, match="there is no firewall profile 'never'"):
        profiles.load(f"{OWN}+never")


def test_one_that_cuts_cuts_for_all() -> None:
    parts = {"a": Profile("a", "", "", CUT, DROP, ()), "b": Profile("b", "", "", KEEP, DROP, ())}
    assert groups.composed("a+b", parts.__getitem__).established == CUT


def test_a_code_in_each_backend_and_in_words(file: Path) -> None:
    write(file, group(rule("icmp", 8, 0)))
    found = profiles.load(OWN)
    assert 'meta nfproto ipv4 icmp type { 8 } icmp code 0 return comment "allow 4f1a2b3c-0"' in profile_rules.of(found)
    lines = [profile_iptables.line("c", each) for each in profile_iptables.chains({1: found}, 4)[f"ganeti-ext-{OWN}"]]
    assert '-A c -p 1 -m icmp --icmp-type 8/0 -m comment --comment "allow 4f1a2b3c-0" -j RETURN' in lines
    assert "ICMP echo-request with code 0 may come from anywhere in IPv4 [allow 4f1a2b3c-0]" in profile_words.rules(
        found
    )
