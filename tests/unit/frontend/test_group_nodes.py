"""What the front lets a server's groups say, nodes keep to: each rule that is fit compiles, and to what it says."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.network import grouprules, groupstore, grouptags
from frontend.web.fault import BadRequest
from ganeti_ext import groups as tags
from ganeti_ext.protocols import NUMBERS
from kvm_ifup import groups, profile_iptables, profile_rules
from kvm_ifup.profile import DROP, KEEP, Profile

IDENT = "4f1a2b3c-1111-4222-8333-444455556666"
GROUP = {"id": IDENT, "project_id": "p", "name": "g", "description": "", "created": 1.0, "updated": 1.0}
PROTOCOLS = [*NUMBERS, None, "any", "0", "6", "58", "1", "200", 17, "TCP"]
PORTS = [None, 0, 1, 8, 22, 255, 65535]
REMOTES = [None, "10.0.0.0/8", "10.1.2.3/8", "192.0.2.1", "0.0.0.0/0", "2001:db8::/32", "2001:DB8::1", "::/0"]
_asked = st.fixed_dictionaries(
    {
        "direction": st.just("ingress"),
        "ethertype": st.sampled_from(("IPv4", "IPv6")),
        "protocol": st.sampled_from(PROTOCOLS),
        "port_range_min": st.sampled_from(PORTS),
        "port_range_max": st.sampled_from(PORTS),
        "remote_ip_prefix": st.sampled_from(REMOTES),
        "remote_group_id": st.sampled_from((None, IDENT)),
    }
)


def check(asked: dict[str, Any]) -> None:
    """A rule of a request, by way of Ganeti's tags, to the rules of both backends."""
    try:
        row = groupstore.new_rule(IDENT, grouprules.asked(asked))
    except BadRequest:
        return
    rows = [*groupstore.new_rules(IDENT), row]
    told = tags.read(tags.encode(grouptags.group(GROUP, rows), 1))[IDENT[:8]].group
    assert told is not None
    allowed = tuple(groups.allowed(IDENT[:8], told.rules))
    if grouprules.unfit(rows, {IDENT}) is not None:
        return
    (found,) = allowed
    assert bool(found.ip4) is (row["ethertype"] == "IPv4")
    assert bool(found.ip6) is (row["ethertype"] == "IPv6")
    assert found.members == (IDENT[:8] if row["remote_group"] else None)
    assert (found.protocol is None) is (row["protocol"] is None)
    profile = Profile("p", "", "", KEEP, DROP, allowed)
    assert sum("allow 4f1a2b3c" in text for text in profile_rules.of(profile)) == 1
    lines = [profile_iptables.chains({1: profile}, family)["ganeti-ext-p"] for family in (4, 6)]
    assert sum("allow 4f1a2b3c" in str(rule) for rule in itertools.chain(*lines)) == 1


@given(_asked)
def test_what_is_fit_compiles(asked: dict[str, Any]) -> None:
    check(asked)


@pytest.mark.parametrize("ethertype", ["IPv4", "IPv6"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_protocol(protocol: object, ethertype: str) -> None:
    for first, last in ((None, None), (8, 8), (8, None), (1, 65535)):
        check({"protocol": protocol, "ethertype": ethertype, "port_range_min": first, "port_range_max": last})
