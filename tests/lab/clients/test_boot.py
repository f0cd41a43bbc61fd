"""Firmware that boots from the network: iPXE in the ROM of QEMU's card, and UEFI by HTTP over IPv4 and IPv6."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from scapy.layers.dhcp import BOOTP
from scapy.layers.dhcp6 import DHCP6_Reply, DHCP6OptBootFileUrl

from tests.lab.clients import host as site
from tests.lab.clients.host import Host
from tests.lab.clients.keep import keep
from tests.lab.clients.machine import Machine, Server
from tests.lab.clients.messages import ACK, DISCOVER, dhcp, granted, of, options
from tests.lab.clients.wire import Seen

BOOT = 90.0  # seconds, with three machines at once on a busy host


class Site(NamedTuple):
    """What is there to boot from, and three machines that do."""

    server: Server
    ipxe: Machine
    uefi4: Machine
    uefi6: Machine


@pytest.fixture(scope="module")
def booting(host: Host, seen: list[Seen]) -> Iterator[Site]:
    server = Server(host)
    ipxe = Machine(host, uefi=False, boot_server=site.GATEWAY, boot_file="undionly.kpxe", boot_ipxe=server.script)
    uefi4 = Machine(host, uefi=True, boot_http=server.kernel)
    uefi6 = Machine(host, uefi=True, boot_http=server.kernel6)
    with contextlib.ExitStack() as undo:
        for machine in (ipxe, uefi4, uefi6):
            machine.start()
            undo.callback(machine.close)
        yield Site(server, ipxe, uefi4, uefi6)
        for machine in (ipxe, uefi4, uefi6):
            machine.wire.read()
            seen += machine.wire.frames
            keep("uefi" if machine.uefi else "ipxe", machine.wire.frames)


def test_ipxe_boots_a_kernel_by_http(booting: Site) -> None:
    machine, server = booting.ipxe, booting.server
    machine.console.says(rf"net0: {machine.terms.ip}/255\.255\.255\.0 gw {site.GATEWAY}", BOOT)
    machine.console.says(rf"net0: {machine.terms.eui64}/64 gw {site.GATEWAY6}", BOOT)
    machine.console.says(rf"Next server: {site.GATEWAY}", BOOT)
    machine.console.says(rf"Filename: {server.script}", BOOT)
    machine.console.says(rf"Linux version .*\n.*Command line: .* from={machine.terms.ip} next={site.GATEWAY}", BOOT)
    discover = machine.wire.expect("DISCOVER", dhcp(DISCOVER), out=False)
    ack = machine.wire.expect("ACK", dhcp(ACK), out=True)
    assert options(discover)["user_class"] == b"iPXE"
    assert ack[BOOTP].siaddr == site.GATEWAY
    assert options(ack)["boot-file-name"].decode() == server.script


def test_uefi_boots_a_kernel_by_http(booting: Site) -> None:
    machine, server = booting.uefi4, booting.server
    machine.console.says(rf"Station IP address is {machine.terms.ip}", BOOT)
    machine.console.says(rf"URI: {server.kernel}", BOOT)
    machine.console.says(r'starting Boot\d+ "UEFI HTTPv4', BOOT)
    discover = machine.wire.expect("DISCOVER", dhcp(DISCOVER), out=False)
    ack = machine.wire.expect("ACK", dhcp(ACK), out=True)
    assert options(discover)["vendor_class_id"].startswith(b"HTTPClient:Arch:00016")
    assert options(ack)["vendor_class_id"] == b"HTTPClient"
    assert f"{machine.terms.ip} " in _fetched(server, "/vmlinuz.efi")


def test_uefi_boots_a_kernel_by_http_over_ipv6(booting: Site) -> None:
    """By HTTPv4 it finds a URL that it cannot load from, and goes on."""
    machine, server = booting.uefi6, booting.server
    machine.console.says(r"Start HTTP Boot over IPv6", BOOT)
    machine.console.says(r'starting Boot\d+ "UEFI HTTPv6', BOOT)
    reply = machine.wire.expect("REPLY", of(DHCP6_Reply), out=True)
    assert [address for address, *_ in granted(reply)] == [machine.terms.eui64]
    assert reply[DHCP6OptBootFileUrl].optdata.decode() == server.kernel6
    assert f"{machine.terms.eui64} " in _fetched(server, "/vmlinuz.efi")


def _fetched(server: Server, path: str) -> str:
    """Who fetched a file, by the server's log."""
    return "\n".join(line for line in server.log.everything().splitlines() if f"GET {path}" in line)
