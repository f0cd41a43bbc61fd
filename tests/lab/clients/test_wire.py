"""What all guests of this folder were sent, as tshark judges it: nothing malformed, no warning, checksums right."""

from __future__ import annotations

import json

from tests.lab.clients import messages
from tests.lab.clients.dhclient import Dhclient
from tests.lab.clients.guest import Guest, begun
from tests.lab.clients.slaac import Kernel
from tests.lab.clients.wire import Seen, pcap

_OURS = "dhcp || dhcpv6 || icmpv6.type == 134 || icmpv6.type == 136"
_FAULT = "_ws.malformed || _ws.expert.severity >= 0x600000"  # a warning, PI_WARN of epan/proto.h
_CHECKED = [word for part in ("ip", "udp") for word in ("-o", f"{part}.check_checksum:TRUE")]


def test_tshark_finds_no_fault(guest: Guest, seen: list[Seen]) -> None:
    begun(Dhclient(guest))
    kernel = Kernel(guest)
    kernel.start()
    kernel.configured()
    guest.wire.read()
    sent = [frame for frame in [*seen, *guest.wire.frames] if frame.out]
    assert tshark(guest, sent, _OURS), "there is something to judge"
    assert tshark(guest, sent, f"({_OURS}) && ({_FAULT})") == []


def test_tshark_finds_a_fault_where_there_is_one(guest: Guest) -> None:
    one = Dhclient(guest)
    one.start()
    ack = guest.wire.expect("ACK", messages.dhcp(messages.ACK), out=True)
    data = bytearray(bytes(ack))
    data[14 + 20 + 8 + 240 + 1] = 200  # the length of the first option
    assert tshark(guest, [Seen(True, ack.time, bytes(data))], _FAULT)


def test_an_administrator_sees_requests_and_answers(guest: Guest) -> None:
    tcpdump = guest.host.start("tcpdump", "-lni", guest.terms.tap, "port 67 or port 68")
    tcpdump.says("listening on")
    begun(Dhclient(guest))
    for _ in range(2):
        tcpdump.says("BOOTP/DHCP, Request")
        tcpdump.says("BOOTP/DHCP, Reply")
    tcpdump.stop()


def tshark(guest: Guest, frames: list[Seen], wanted: str) -> list[object]:
    """What tshark says of the frames that its filter finds."""
    guest.path("/tmp/frames.pcap").write_bytes(pcap(frames))
    told = guest.run("tshark", "-r", "/tmp/frames.pcap", *_CHECKED, "-Y", wanted, "-T", "json", patience=60)
    return list(json.loads(told))
