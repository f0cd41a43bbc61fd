from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from bench.dhcp import topology


def test_guests_are_numbered_as_perfdhcp_numbers_them() -> None:
    assert [topology.mac(n) for n in (0, 255, 256, 4999)] == [
        "02:00:00:00:00:00",
        "02:00:00:00:00:ff",
        "02:00:00:00:01:00",
        "02:00:00:00:13:87",
    ]


def test_every_guest_has_an_address_of_its_own() -> None:
    addresses = {IPv4Address(topology.address(n)) for n in range(20_000 + topology.SPARES)}
    assert len(addresses) == 20_000 + topology.SPARES
    network = IPv4Network(f"{topology.NETWORK}/{topology.BITS}")
    assert addresses < set(network.hosts())
    servers = {topology.bridge_address(name) for name in topology.bridges(20_000)}
    assert not addresses & {
        IPv4Address(text) for text in (*servers, topology.CLIENT_IP, topology.SPARE_IP, topology.SERVER_IP)
    }


def test_no_bridge_has_more_ports_than_linux_allows() -> None:
    guests = 5000
    ports = [topology.bridge(n, guests) for n in range(guests + topology.SPARES)]
    assert max(map(ports.count, set(ports))) <= 1023
    assert set(ports) == set(topology.bridges(guests)) == {"br0", "br1", "br2", "br3", "br4"}


def test_the_ruleset_sends_every_client_to_its_tap_and_every_tap_to_the_client() -> None:
    rules = topology.demux(600)
    forward = next(line for line in rules.splitlines() if "@th,288,48" in line)
    assert forward.count(" : g") == 600
    assert "0x020000000257 : g599" in forward
    chains = [line for line in rules.splitlines() if line.startswith("chain back")]
    devices = [name.strip() for line in chains for name in line.split("{")[2].split("}")[0].split(",")]
    assert devices == [f"g{n}" for n in range(600)]
    assert max(line.count(",") for line in chains) < 256
