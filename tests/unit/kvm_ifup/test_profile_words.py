"""Firewall profiles in plain words."""

from __future__ import annotations

from ganeti_ext import config
from kvm_ifup import profile_words, profiles

TEXT = """[profile]
established = cut
[allow web]
protocol = tcp
ports = 80, 8000-8010
sources = 192.0.2.0/24, 198.51.100.7, 2001:db8::/32
[allow old]
protocol = udp
family = ipv4
[allow new]
protocol = any
family = ipv6
[allow signs]
protocol = icmpv6
types = echo-request, 200
[allow routes]
protocol = 89
[allow everything]
protocol = any
"""


def test_each_rule_is_a_sentence() -> None:
    found = list(profile_words.rules(profiles.build("p", "p.conf", config.parse(TEXT, "p.conf"))))
    assert found == [
        "connections that stand are cut when it comes into force",
        "what belongs to connections that stand may come",
        "ICMP that IP needs, neighbour discovery and answers of DHCP servers may come",
        "TCP to port 80, 8000-8010 may come from 192.0.2.0/24, 198.51.100.7/32 and 2001:db8::/32 [allow web]",
        "UDP may come from anywhere in IPv4 [allow old]",
        "anything may come from anywhere in IPv6 [allow new]",
        "ICMPv6 echo-request, type 200 may come from anywhere in IPv6 [allow signs]",
        "IP protocol 89 may come from anywhere [allow routes]",
        "anything may come from anywhere [allow everything]",
        "nothing else may",
    ]


def test_what_accepts_everything_says_no_more() -> None:
    assert list(profile_words.rules(profiles.load("unprotected"))) == ["anything may come"]
    assert list(profile_words.rules(profiles.load("protected")))[-1] == "nothing else may"
