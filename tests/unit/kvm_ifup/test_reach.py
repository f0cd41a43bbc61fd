"""Who reaches a tap of a network that shares its bridge with others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvm_ifup import reach
from tests.unit.kvm_ifup.kernel import Kernel

MASK = "ff:ff:f0:00:00:00"


def span(mac: str, mask: str = MASK) -> tuple[str, str]:
    _, peers = reach.peers("tap0", mac, mask)
    tap, _, text = peers.text.partition(" . ")
    assert (peers.family, peers.set, tap) == ("bridge", "peers", '"tap0"')
    first, _, last = text.partition("-")
    return first, last


def test_a_tap_is_filtered_and_has_the_macs_of_its_network_as_peers() -> None:
    filtered, peers = reach.peers("tap0", "aa:00:12:34:56:78", MASK)
    assert filtered == ("bridge", "filtered", '"tap0"')
    assert peers == ("bridge", "peers", '"tap0" . aa:00:10:00:00:00-aa:00:1f:ff:ff:ff')


@pytest.mark.parametrize(
    ("mask", "first", "last"),
    [
        ("ff:ff:ff:00:00:00", "aa:00:12:00:00:00", "aa:00:12:ff:ff:ff"),
        ("ff:ff:ff:ff:ff:ff", "aa:00:12:34:56:78", "aa:00:12:34:56:78"),
        ("fe:00:00:00:00:00", "aa:00:00:00:00:00", "ab:ff:ff:ff:ff:ff"),
    ],
)
def test_the_mask_is_the_administrators(mask: str, first: str, last: str) -> None:
    assert span("aa:00:12:34:56:78", mask) == (first, last)


@given(one=st.integers(0, (1 << 48) - 1), other=st.integers(0, (1 << 48) - 1), bits=st.integers(1, 48))
def test_peers_are_those_with_the_same_front(one: int, other: int, bits: int) -> None:
    mask = ((1 << 48) - 1) >> (48 - bits) << (48 - bits)
    macs = [number.to_bytes(6, "big").hex(":") for number in (one, other, mask)]
    first, last = span(macs[0], macs[2])
    assert first <= macs[0] <= last
    assert (first <= macs[1] <= last) is (one & mask == other & mask)
    assert first == reach.network(macs[0], macs[2])


def test_guests_of_one_network_are_in_one_zone() -> None:
    assert reach.network("aa:00:12:34:56:78", MASK) == reach.network("aa:00:1f:00:00:01", MASK) == "aa:00:10:00:00:00"
    assert reach.network("aa:00:22:34:56:78", MASK) == "aa:00:20:00:00:00"


def test_the_rule_is_said_again_and_drops_strangers_on_their_way_out_of_filtered_taps_only() -> None:
    lines = reach.skeleton().splitlines()
    assert lines[-3:] == [
        "add chain bridge ganeti_ext reach { type filter hook postrouting priority -300; policy accept; }",
        "flush chain bridge ganeti_ext reach",
        "add rule bridge ganeti_ext reach oifname @filtered oifname . ether saddr != @peers drop",
    ]
    kernel = Kernel()
    for _ in range(2):
        kernel.run(["nft", "-f", "-"], stdin=reach.skeleton())
    assert len(kernel.rules["bridge", "reach"]) == 1


def test_the_sets_stand_alone() -> None:
    kernel = Kernel()
    kernel.run(["nft", "-f", "-"], stdin=reach.sets())
    assert kernel.sets == {("bridge", "filtered"), ("bridge", "peers")}
    assert kernel.chains == set()
    assert reach.skeleton().startswith(reach.sets())
