from __future__ import annotations

import json

import pytest

from nfdhcpd import limit
from nfdhcpd.settings import Dhcp, General, Ipv6, Settings

# nft 1.0.6 and 1.1.3 print these alike, but for the version.
LISTING = """{"nftables": [{"metainfo": {"version": "1.1.3", "json_schema_version": 1}}, {"set":
{"family": "bridge", "name": "dropped", "table": "nfdhcpd", "type": "ifname", "handle": 4, "size": 65536,
"flags": ["timeout", "dynamic"], "timeout": 86400, "elem": [
{"elem": {"val": "tap0", "expires": 86399, "counter": {"packets": 3690, "bytes": 1003680}}},
{"elem": {"val": "tap12", "expires": 17, "counter": {"packets": 1, "bytes": 272}}}]}}]}"""


def test_ports_of_bridges_and_routed_taps_have_a_table_each() -> None:
    text = limit.rules(Settings())
    bridge, inet = text.split("table bridge nfdhcpd {")[1].split("table inet nfdhcpd {")
    rule = (
        "update @buckets { iifname limit rate over 50/second burst 200 packets }"
        " update @dropped { iifname counter } drop\n"
    )
    assert text.count('iifname "tap*" goto bucket\n') == 2
    assert rule in bridge
    assert rule in inet
    assert "hook prerouting priority -250;" in bridge
    assert "hook prerouting priority -300;" in inet


def test_what_is_diverted_is_limited_and_nothing_else() -> None:
    text = limit.rules(Settings())
    assert [line for line in text.splitlines() if line.endswith("goto taps")] == [
        "meta protocol ip udp dport 67 goto taps",
        "meta protocol ip6 udp dport 547 goto taps",
        "meta protocol ip6 icmpv6 type 133 goto taps",
        "meta protocol ip udp dport 67 goto taps",
        "meta protocol ip6 udp dport 547 goto taps",
        "meta protocol ip6 icmpv6 type 133 goto taps",
        "meta protocol ip6 icmpv6 type 135 ip6 daddr != fe80::/10 goto taps",
    ]
    assert "ip6" not in limit.rules(Settings(ipv6=Ipv6(enable=False))).replace("prerouting", "")
    assert "dport 67" not in limit.rules(Settings(dhcp=Dhcp(enable=False)))


def test_rates_and_prefix_are_those_of_the_configuration() -> None:
    text = limit.rules(Settings(General(tap_prefix="vm", rate=7, burst=9)))
    assert text.count('iifname "vm*" goto bucket\n') == 2
    assert text.count("update @buckets { iifname limit rate over 7/second burst 9 packets }") == 2


@pytest.mark.parametrize(("rate", "burst", "seconds"), [(50, 200, 60), (1, 3600, 3601), (1000, 1, 60)])
def test_a_bucket_is_full_again_before_it_is_forgotten(rate: int, burst: int, seconds: int) -> None:
    assert f"dynamic,timeout; timeout {seconds}s;" in limit.rules(Settings(General(rate=rate, burst=burst)))


def test_what_stood_there_goes_in_the_same_transaction() -> None:
    text = limit.rules(Settings())
    assert text.startswith(limit.forget())
    assert limit.forget().splitlines() == [
        "add table bridge nfdhcpd",
        "delete table bridge nfdhcpd",
        "add table inet nfdhcpd",
        "delete table inet nfdhcpd",
    ]


def test_a_rate_of_nothing_is_no_limit() -> None:
    assert limit.rules(Settings(General(rate=0))) == limit.forget()
    assert limit.tables(Settings(General(rate=0))) == []


def test_routed_taps_alone_have_one_table() -> None:
    settings = Settings(General(bridged=False))
    assert limit.tables(settings) == ["table inet nfdhcpd"]
    assert "table bridge nfdhcpd {" not in limit.rules(settings)


def test_dropped_packets_are_counted_by_tap() -> None:
    assert limit.dropped(LISTING) == {"tap0": 3690, "tap12": 1}
    empty = json.loads(LISTING)
    del empty["nftables"][1]["set"]["elem"]
    assert limit.dropped(json.dumps(empty)) == {}
