"""Addresses beside a guest's own, by tags."""

from __future__ import annotations

import pytest

from ganeti_ext.errors import ContractError
from ganeti_ext.nicenv import Nic
from kvm_ifup import allowance
from tests.unit.kvm_ifup.kernel import Kernel

TAG = "ganeti-ext:allow-address"
ONE6 = f"0x{0x20010DB8 << 96 | 7:032x}"


def allowed(nic: Nic, *own: str, network: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    assert nic.network is not None
    tagged = nic._replace(tags=own, network=nic.network._replace(tags=network))
    found = list(allowance.elements(tagged))
    assert all(element.family == "netdev" and element.text.startswith('"tap0" . ') for element in found)
    return [(element.set, element.text.removeprefix('"tap0" . ')) for element in found]


def test_no_tag_allows_nothing(nic: Nic) -> None:
    assert allowed(nic, "nfdhcpd:lease:60", "ganeti-ext:name:web") == []
    assert list(allowance.elements(nic._replace(network=None))) == []


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("10.0.0.9", [("ip4_more", "10.0.0.9/32")]),
        ("10.1.0.0/16", [("ip4_more", "10.1.0.0/16")]),
        ("2001:db8::7", [("ip6_source", "2001:db8::7"), ("ip6_target", ONE6)]),
        ("2001:db8::7/128", [("ip6_source", "2001:db8::7"), ("ip6_target", ONE6)]),
        ("2001:DB8:0:1::/64", [("ip6_prefix", "2001:db8:0:1::/64")]),
        ("2001:db8::8/127", [("ip6_prefix", "2001:db8::8/127")]),
    ],
)
@pytest.mark.parametrize("where", ["instance", "network"])
def test_an_address_or_a_prefix(nic: Nic, where: str, text: str, elements: list[tuple[str, str]]) -> None:
    tag = f"{TAG}:{text}"
    assert (allowed(nic, tag) if where == "instance" else allowed(nic, network=(tag,))) == elements


@pytest.mark.parametrize("which", ["0", "eth0", "nic-1"])
@pytest.mark.parametrize("where", ["instance", "network"])
def test_of_one_nic_by_index_name_or_uuid(nic: Nic, which: str, where: str) -> None:
    tag = f"{TAG}.{which}:10.0.0.9"
    named = nic._replace(name="eth0")
    found = allowed(named, tag) if where == "instance" else allowed(named, network=(tag,))
    assert found == [("ip4_more", "10.0.0.9/32")]


@pytest.mark.parametrize("which", ["1", "00", "eth1", "nic-2", "None", "", "ETH0"])
def test_of_another_nic(nic: Nic, which: str) -> None:
    assert allowed(nic._replace(name="eth0"), f"{TAG}.{which}:10.0.0.9") == []
    assert allowed(nic, f"{TAG}.{which}:10.0.0.9") == []


def test_what_is_said_of_another_nic_is_not_looked_at(nic: Nic) -> None:
    assert allowed(nic, f"{TAG}.1:nonsense") == []


@pytest.mark.parametrize(
    "tag", [f"{TAG}es:10.0.0.9", f"{TAG}-eth0:10.0.0.9", f"x{TAG}:10.0.0.9", "allow-address:10.0.0.9"]
)
def test_other_tags(nic: Nic, tag: str) -> None:
    assert allowed(nic, tag) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "10.0.0",
        "10.0.0.9/24",
        "10.0.0.9/33",
        "2001:db8::7/64",
        "10.0.0.1-10.0.0.9",
        "10.0.0.9:80",
        "*2010.0.0.9",
    ],
)
@pytest.mark.parametrize("head", ["", ".0"])
def test_a_bad_one_is_named(nic: Nic, head: str, text: str) -> None:
    tag = f"{TAG}{head}:{text}"
    with pytest.raises(ContractError) as caught:
        allowed(nic, tag)
    assert str(caught.value).startswith(f"tag {tag}: ")


def test_a_tag_without_a_value_is_bad_and_named(nic: Nic) -> None:
    with pytest.raises(ContractError, match=f"tag {TAG}: "):
        allowed(nic, TAG)


def test_the_order_and_the_number_of_tags_do_not_matter(nic: Nic) -> None:
    tags = [f"{TAG}:{text}" for text in ("10.0.0.9", "2001:db8::7", "10.9.0.0/16", "2001:db8:1::/48")]
    assert allowed(nic, *tags) == allowed(nic, *reversed(tags)) == allowed(nic, *tags, network=tuple(tags))


@pytest.mark.parametrize(
    "texts",
    [
        ("10.0.0.0/24", "10.0.0.5"),
        ("10.0.0.0/24", "10.0.0.0/25", "10.0.0.128/25"),
        ("10.0.0.0/32", "10.0.0.0/24"),
        ("2001:db8::/56", "2001:db8:0:1::/64"),
        ("0.0.0.0/0", "10.0.0.0/8"),
    ],
)
def test_the_kernel_takes_prefixes_that_hold_each_other(nic: Nic, texts: tuple[str, ...]) -> None:
    kernel = Kernel()
    kernel.tables, kernel.sets = {"netdev"}, {("netdev", name) for name in ("ip4_more", "ip6_prefix")}
    for name, text in allowed(nic, *(f"{TAG}:{text}" for text in texts)):
        kernel.run(["nft", "-f", "-"], stdin=f'add element netdev ganeti_ext {name} {{ "tap0" . {text} }}\n')
    assert kernel.elements


@pytest.mark.parametrize("text", ["::/0", "fe80::1", "fe80::/64", "ff02::/16", "::"])
def test_routers_and_groups_are_nobodys(nic: Nic, text: str) -> None:
    with pytest.raises(ContractError, match="routers and groups are not a guest's"):
        allowed(nic, f"{TAG}:{text}")
