"""Tags become what a guest is told, as texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganeti_ext import tags
from ganeti_ext.binding import LISTS
from ganeti_ext.nicenv import Network, Nic
from kvm_ifup import terms
from kvm_ifup.elements import of_tap
from kvm_ifup.modes import Facts
from kvm_ifup.plan import Firewall, plan
from kvm_ifup.settings import Settings
from kvm_ifup.terms import Told
from nfdhcpd.terms import FIELDS


def tagged(nic: Nic, *own: str, network: tuple[str, ...] = ()) -> Told:
    assert nic.network is not None
    return terms.of(nic._replace(tags=own, network=nic.network._replace(tags=("nfdhcpd", *network))))


def test_no_tags_tell_nothing(nic: Nic) -> None:
    assert tagged(nic, "nfdhcpd", "ganeti-ext:name:a", "nfdhcpdx:lease:60") == Told()
    assert terms.of(nic._replace(network=None)) == Told()


@pytest.mark.parametrize("where", ["instance", "network"])
def test_a_tag_is_a_term(nic: Nic, where: str) -> None:
    tag = "nfdhcpd:routes:10.0.0.0/8@192.0.2.9"
    told = tagged(nic, tag) if where == "instance" else tagged(nic, network=(tag,))
    assert told == Told(terms=(("routes", "10.0.0.0/8@192.0.2.9"),))


def test_values_may_hold_colons(nic: Nic) -> None:
    found = tagged(nic, "nfdhcpd:options:252:68747470", "nfdhcpd:boot_http:http://192.0.2.1:8080/efi").terms
    assert found == (("options", "252:68747470"), ("boot_http", "http://192.0.2.1:8080/efi"))


def test_what_ganeti_does_not_allow_is_escaped(nic: Nic) -> None:
    url = "http://boot.example/?mac=52:54 &x=~*"
    tag = f"nfdhcpd:boot_ipxe:{tags.escape(url)}"
    assert tagged(nic, tag).terms == (("boot_ipxe", url),)


def test_the_instance_goes_before_its_network(nic: Nic) -> None:
    told = tagged(
        nic,
        *("nfdhcpd:nameservers:192.0.2.1", "nfdhcpd:domain:"),
        network=("nfdhcpd:nameservers:192.0.2.7", "nfdhcpd:domain:net.example", "nfdhcpd:lease:600"),
    )
    assert told == Told(terms=(("lease", "600"), ("nameservers", "192.0.2.1")))


def test_several_values_make_a_list(nic: Nic) -> None:
    told = tagged(nic, "nfdhcpd:ntp:192.0.2.1", "nfdhcpd:ntp:192.0.2.2*20192.0.2.0")
    assert told == Told(terms=(("ntp", "192.0.2.1 192.0.2.2 192.0.2.0"),))


def test_several_values_of_what_is_no_list_are_warned_of(nic: Nic) -> None:
    told = tagged(nic, "nfdhcpd:lease:600", "nfdhcpd:lease:700")
    assert told.terms == (("lease", "600"),)
    assert told.warnings == ("tag nfdhcpd:lease:700 is passed over: lease is set by another tag already",)


def test_lists_are_those_of_the_reader() -> None:
    assert {key for key, kind in FIELDS.items() if kind.startswith("tuple")} == set(LISTS)


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("nfdhcpd:leese:60", "no such key"),
        ("nfdhcpd:LEASE:60", "no such key"),
        ("nfdhcpd:ip:192.0.2.1", "no such key"),
        ("nfdhcpd:", "no such key"),
        ("nfdhcpd:domain:a*2", "hexadecimal"),
        ("nfdhcpd:domain:a*", "without its two digits"),
        ("nfdhcpd:domain:a*0AMACSPOOF*3D1", "cannot be printed"),
        ("nfdhcpd:domain:*C3", "decode"),
        ("nfdhcpd:mtu:big", "not a number"),
    ],
)
def test_what_makes_no_sense_is_warned_of(nic: Nic, tag: str, words: str) -> None:
    told = tagged(nic, tag, "nfdhcpd:lease:60")
    assert told.terms == (("lease", "60"),)
    (warning,) = told.warnings
    assert warning.startswith(f"tag {tag} is passed over: ")
    assert words in warning


def test_a_prefix_is_allowed_as_a_source(nic: Nic) -> None:
    assert tagged(nic, "nfdhcpd:prefix6:2001:db8:77::/56").prefix6 == "2001:db8:77::/56"


@pytest.mark.parametrize("text", ["::/0", "fe80::/64", "ff00::/8", "2001:db8::1/56", "x", "10.0.0.0/8"])
def test_another_prefix_allows_nothing(nic: Nic, text: str) -> None:
    told = tagged(nic, f"nfdhcpd:prefix6:{text}")
    assert told.prefix6 is None
    assert told.terms == (("prefix6", text),)
    assert told.warnings[0].startswith(f"tag nfdhcpd:prefix6:{text} allows no source address: ")


@given(found=st.lists(st.from_regex(r"nfdhcpd:(lease|ntp|mtu|prefix6|domain)?:?[\w.+*/:@-]{0,20}", fullmatch=True)))
def test_any_tags_are_read_without_an_error(found: list[str]) -> None:
    network = Network("n", "u", None, None, None, None, None, ())
    nic = Nic(
        "tap0", 0, "u", None, "i", "52:54:00:00:00:01", None, "bridged", "br0", None, "br0", tuple(found), network
    )
    for _, value in terms.of(nic).terms:
        assert value.isprintable()


def test_the_plan_carries_them(nic: Nic, network: Network, env: dict[str, str], facts: Facts) -> None:
    own = ("nfdhcpd:lease:600", "nfdhcpd:mtu:1280", "nfdhcpd:prefix6:2001:db8:77::/56", "nfdhcpd:x:1")
    firewall, settings = Firewall("unprotected", 1, drops=False, text=""), Settings(binding_directory="/b")
    found = plan(env, nic._replace(tags=own), facts, firewall, settings)
    assert found.binding is not None
    assert found.binding.terms == (("lease", "600"), ("prefix6", "2001:db8:77::/56"))
    assert found.binding.mtu == 1280
    assert ("ip", "link set dev tap0 address fe:11:22:33:44:55 mtu 1400") in found.steps
    assert of_tap("netdev", "ip6_prefix", "tap0", "2001:db8:77::/56") in found.record.elements
    assert found.warnings == ("tag nfdhcpd:x:1 is passed over: no such key",)
    alone = nic._replace(tags=own, network=network._replace(subnet6=None))
    without = plan(env, alone, facts, firewall, settings)
    assert "ip6_prefix" not in {element.set for element in without.record.elements}
