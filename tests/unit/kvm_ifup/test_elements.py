"""Elements in the words of nft."""

from __future__ import annotations

from kvm_ifup import elements
from kvm_ifup.elements import Element, of_tap


def test_the_key_is_the_tap_alone_or_with_a_value_and_a_map_has_data() -> None:
    assert of_tap("netdev", "ip6_taps", "tap0").text == '"tap0"'
    assert of_tap("netdev", "ip4", "tap0", "10.0.0.5").text == '"tap0" . 10.0.0.5'
    assert of_tap("inet", "mark", "tap0", data="0x30000").text == '"tap0" : 0x30000'
    assert of_tap("inet", "mark", "tap0", "10.0.0.5", "7") == Element("inet", "mark", '"tap0" . 10.0.0.5 : 7')


def test_elements_are_added_in_their_order_in_the_table_of_their_family() -> None:
    found = (of_tap("netdev", "macs", "tap0", "52:54:00:00:00:01"), of_tap("bridge", "filtered", "tap0"))
    assert elements.add(found) == (
        'add element netdev ganeti_ext macs { "tap0" . 52:54:00:00:00:01 }\n'
        'add element bridge ganeti_ext filtered { "tap0" }\n'
    )
    assert elements.add(()) == ""


def test_an_element_is_added_before_it_is_deleted_as_it_may_be_absent() -> None:
    found = (of_tap("netdev", "ip4", "tap0", "10.0.0.5"), of_tap("bridge", "filtered", "tap0"))
    assert elements.delete(found) == (
        'add element netdev ganeti_ext ip4 { "tap0" . 10.0.0.5 }\n'
        'delete element netdev ganeti_ext ip4 { "tap0" . 10.0.0.5 }\n'
        'add element bridge ganeti_ext filtered { "tap0" }\n'
        'delete element bridge ganeti_ext filtered { "tap0" }\n'
    )


def test_a_zone_stays_as_other_taps_of_its_network_have_it_too() -> None:
    zone = Element("inet", "zones", "52:54:00:00:00:00 : 7")
    assert elements.add([zone]) == "add element inet ganeti_ext zones { 52:54:00:00:00:00 : 7 }\n"
    assert elements.delete([zone]) == ""
