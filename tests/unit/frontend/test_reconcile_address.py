"""Addresses of NICs against the pools of Ganeti's networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.frontend import updates
from tests.unit.frontend.cluster import Both, network
from tests.unit.frontend.updates import instance

SECOND = "gx-7a1f0a52-52b4-4f0d-9d39-0a0b7c4f9c33"


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    made = Both(tmp_path)
    made.rapi.instances, made.rapi.networks = [instance()], [network()]
    made.mended()
    yield made
    made.engine.dispose()


def second(**fields: Any) -> dict[str, Any]:
    return {**instance(SECOND), "nic.ips": ["10.0.0.3"], "nic.macs": ["aa:00:00:00:00:03"], **fields}


def only_told(both: Both) -> list[tuple[str, str]]:
    """What is told of addresses; nothing of it is mended."""
    both.reconciler.mend(both.found())
    found = both.found()
    assert both.reconciler.mend(found) == []
    return [(str(each), each.advice) for each in found]


def test_an_address_of_two(both: Both) -> None:
    both.rapi.instances.append(second(**{"nic.ips": ["10.0.0.2"]}))
    assert only_told(both) == [
        (
            f"address-twice: network blue: 10.0.0.2 is used by {updates.NAME} and {SECOND}",
            f"gnt-instance modify --net NUMBER:modify,ip=ANOTHER {SECOND}",
        )
    ]


def test_a_mac_of_two(both: Both) -> None:
    both.rapi.networks = [network(map="XXXX...X")]
    both.rapi.instances.append(second(**{"nic.macs": [updates.MAC]}))
    ((words, advice),) = only_told(both)
    assert f"{updates.MAC} is used by" in words
    assert advice == f"gnt-instance modify --net NUMBER:modify,mac=ANOTHER {SECOND}"


def test_one_address_in_two_networks_is_no_ones_business(both: Both) -> None:
    both.rapi.networks.append(network(uuid="u-red", name="red"))
    both.rapi.instances.append(
        second(**{"nic.networks": ["u-red"], "nic.ips": ["10.0.0.2"], "nic.macs": [updates.MAC]})
    )
    assert only_told(both) == []


def test_an_address_that_is_used_and_not_reserved(both: Both) -> None:
    both.rapi.networks = [network(map="XX.....X")]
    assert only_told(both) == [
        (
            f"address-unreserved: network blue: 10.0.0.2 is used by {updates.NAME}",
            "gnt-network modify --add-reserved-ips=10.0.0.2 blue",
        )
    ]


def test_an_address_that_is_reserved_and_not_used(both: Both) -> None:
    both.rapi.networks = [network(map="XXX.X..X")]
    assert only_told(both) == [("address-unused: network blue: 10.0.0.4 is reserved and no instance has it", "")]
    both.rapi.networks = [network(map="XXX.X..X", external_reservations="10.0.0.0, 10.0.0.1, 10.0.0.4, 10.0.0.7")]
    assert only_told(both) == []


def test_an_address_outside_the_subnet_is_not_the_pools(both: Both) -> None:
    both.rapi.instances.append(second(**{"nic.ips": ["192.0.2.1"]}))
    assert only_told(both) == []


def test_what_jobs_change_meanwhile_is_no_difference(both: Both) -> None:
    """Between the two readings of the networks, an instance goes and another comes."""
    both.rapi.networks = [network(map="XXX.X..X")]

    def jobs() -> None:
        both.rapi.networks = [network(map="XXXX...X")]

    both.rapi.instances, both.rapi.meanwhile = [instance(), second()], jobs
    assert [each.kind for each in both.found()] == ["missing"]


def test_a_network_without_a_pool(both: Both) -> None:
    both.rapi.networks = [network(map="", external_reservations=None)]
    assert only_told(both) == []
