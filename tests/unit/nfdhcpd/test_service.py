from __future__ import annotations

import errno
import logging

import pytest

from ganeti_ext.binding import Binding, BindingError
from nfdhcpd import responder6
from nfdhcpd.client import Link
from nfdhcpd.service import Service
from tests.unit.nfdhcpd.guest import BRIDGE, MAC, SETTINGS, TAP, Answer, binding, guests, packet, solicitation

DISCOVER = packet(1)
OTHER_MAC = b"\x52\x54\0\0\0\x11"


class World:
    """Files, interfaces, a wire and a clock for a service."""

    def __init__(self) -> None:
        self.files: dict[str, Binding | None] = {"tap0": binding()}
        self.links: dict[str, Link] = {"br0": BRIDGE, "tap0": TAP}
        self.touched: set[str] | None = set()
        self.moved: set[str] = set()
        self.sent: list[tuple[str, bytes]] = []
        self.broken: OSError | None = None  # of all frames; `failed`: of some
        self.failed: dict[int, OSError] = {}
        self.now = 0.0
        self.service = Service(SETTINGS, Files(self), Links(self), self.send, lambda: self.now)

    def send(self, frames: list[tuple[int, bytes]]) -> dict[int, OSError]:
        if self.broken:
            return dict.fromkeys(range(len(frames)), self.broken)
        taps = {link.ifindex: tap for tap, link in self.links.items()}
        self.sent += [(taps[ifindex], frame) for ifindex, frame in frames]
        return self.failed

    def dhcp4(self, ifindex: int, hardware: bytes | None, packet: bytes) -> bool:
        """A packet that is a batch by itself."""
        ours = self.service.dhcp4(ifindex, hardware, packet)
        self.service.flush()
        return ours

    def ipv6(self, ifindex: int, hardware: bytes | None, packet: bytes) -> bool:
        """The same, of IPv6."""
        ours = self.service.ipv6(ifindex, hardware, packet)
        self.service.flush()
        return ours

    def lifetimes(self) -> list[int]:
        """Router lifetimes of the advertisements sent so far."""
        return [int.from_bytes(frame[60:62], "big") for _, frame in self.sent if frame[12:14] == b"\x86\xdd"]


class Files:
    def __init__(self, world: World) -> None:
        self.world = world

    def taps(self) -> set[str]:
        return set(self.world.files)

    def read(self, tap: str) -> Binding | None:
        if tap in self.world.files and self.world.files[tap] is None:
            raise BindingError(f"binding of {tap}: bad")
        return self.world.files.get(tap)

    def changed(self) -> set[str] | None:
        found, self.world.touched = self.world.touched, set()
        return found


class Links:
    def __init__(self, world: World) -> None:
        self.world = world

    def look(self, name: str) -> Link | None:
        return self.world.links.get(name)

    def changed(self) -> set[str]:
        found, self.world.moved = self.world.moved, set()
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_guest_is_answered_by_its_own_tap_and_its_packet_ends_here(world: World) -> None:
    assert world.dhcp4(7, MAC, DISCOVER) is True
    ((tap, frame),) = world.sent
    assert (tap, Answer(frame).kind) == ("tap0", 2)


def test_without_a_binding_the_kernel_goes_on(world: World) -> None:
    assert world.dhcp4(99, MAC, DISCOVER) is False
    assert world.ipv6(99, MAC, solicitation()) is False
    assert world.sent == []


@pytest.mark.parametrize("raw", [b"", b"\x45", DISCOVER[:100], packet(None), packet(1, op=2), packet(7)])
def test_what_gets_no_answer_ends_here_too(world: World, raw: bytes) -> None:
    assert world.dhcp4(7, MAC, raw) is True
    assert world.sent == []


def test_spoofed_packets_end_here(world: World) -> None:
    assert world.dhcp4(7, OTHER_MAC, DISCOVER) is True
    assert world.ipv6(7, OTHER_MAC, solicitation()) is True
    assert world.ipv6(7, None, solicitation()) is True
    assert world.sent == []


@pytest.mark.parametrize("src", ["::", "fe80::dead:beef"])
def test_a_solicitation_is_answered_on_its_tap(world: World, src: str) -> None:
    assert world.ipv6(7, MAC, solicitation(src)) is True
    assert [tap for tap, _ in world.sent] == ["tap0"]
    assert world.lifetimes() == [1800]


@pytest.mark.parametrize("raw", [b"", solicitation(hops=1), solicitation()[:47]])
def test_a_bad_solicitation_ends_here(world: World, raw: bytes) -> None:
    assert world.ipv6(7, MAC, raw) is True
    assert world.sent == []


def test_a_guest_with_macspoof_may_solicit_from_any_mac(world: World) -> None:
    world.files["tap0"] = binding(macspoof=True)
    world.service.resync()
    assert world.ipv6(7, OTHER_MAC, solicitation()) is True
    assert world.lifetimes() == [1800]


def test_a_binding_that_the_loop_has_not_come_to_yet(world: World) -> None:
    world.links["tap1"] = Link(8, b"\xfe\0\0\0\0\1")
    world.files["tap1"] = binding(tap="tap1")
    world.touched, world.moved = {"tap1"}, {"tap1"}
    assert world.dhcp4(8, MAC, DISCOVER) is True
    assert [tap for tap, _ in world.sent] == ["tap1"]


def test_lost_events_bring_all_files_and_take_those_that_are_gone(world: World) -> None:
    world.links["tap1"] = Link(8, b"\xfe\0\0\0\0\1")
    world.files = {"tap1": binding(tap="tap1")}
    world.touched = None
    world.service.sync()
    assert [client.tap for client in world.service.table] == ["tap1"]


def test_a_bad_file_ends_the_service_of_its_tap_alone(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.files |= {"tap0": None, "tap1": binding(tap="tap1")}
    world.links["tap1"] = Link(8, b"\xfe\0\0\0\0\1")
    world.service.resync()
    assert [client.tap for client in world.service.table] == ["tap1"]
    assert "binding of tap0: bad" in caplog.text


def test_periodic_advertisements(world: World) -> None:
    for second in range(3600):
        world.now = float(second)
        world.service.tick()
    assert 7 <= len(world.lifetimes()) <= 12
    assert set(world.lifetimes()) == {1800}


def test_one_guest_without_ipv6_or_a_broken_tap_does_not_stop_the_others(world: World) -> None:
    world.files["tap1"] = binding(tap="tap1", subnet6=None, gateway6=None)
    world.files["tap2"] = binding(tap="tap2")
    world.links |= {"tap1": Link(8, b"\xfe\0\0\0\0\1"), "tap2": Link(9, b"\xfe\0\0\0\0\2")}
    world.service.resync()
    world.now = 3.0
    world.service.tick()
    assert sorted(tap for tap, _ in world.sent) == ["tap0", "tap2"]
    world.broken = OSError(100, "Network is down")
    world.now = 20.0
    world.service.tick()
    world.broken = None
    world.now = 40.0
    world.service.tick()
    assert len(world.sent) == 4


def test_one_interface_without_a_mac_does_not_stop_the_others(world: World) -> None:
    for tap, ifindex in (("tap00", 6), ("tap1", 8)):
        world.links[tap] = Link(ifindex, b"\xfe\0\0\0\0" + bytes((ifindex,)))
        world.files[tap] = binding(tap=tap)
    world.files["tap00"] = binding(tap="tap00", indev="tun0")
    world.links["tun0"] = world.links["tap00"] = Link(6, b"")
    world.service.resync()
    world.now = 3.0
    world.service.tick()
    assert sorted(tap for tap, _ in world.sent) == ["tap0", "tap1"]
    world.now = 4000.0
    world.service.tick()
    assert sorted(tap for tap, _ in world.sent) == ["tap0", "tap0", "tap1", "tap1"]


def test_a_frame_that_cannot_be_sent_changes_no_verdict(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.broken = OSError(19, "No such device")
    with caplog.at_level(logging.INFO):
        assert world.dhcp4(7, MAC, DISCOVER) is True
    assert "tap0 (gx-web): a frame could not be sent" in caplog.text


def test_the_router_is_withdrawn_when_the_binding_goes(world: World) -> None:
    del world.files["tap0"]
    world.touched = {"tap0"}
    world.service.sync()
    assert world.lifetimes() == [0]
    world.now = 3600.0
    world.service.tick()
    assert world.lifetimes() == [0]


def test_only_what_was_told_is_taken_back(world: World) -> None:
    world.files["tap0"] = binding(private=True)
    world.touched = {"tap0"}
    world.service.sync()
    assert world.lifetimes() == [0]  # the router of before
    world.files["tap0"] = binding(subnet6=None, gateway6=None)
    world.touched = {"tap0"}
    world.service.sync()
    assert world.lifetimes() == [0, 0]  # the prefix
    del world.files["tap0"]
    world.touched = {"tap0"}
    world.service.sync()
    assert world.lifetimes() == [0, 0]


@pytest.mark.parametrize("ifindex", [None, 9])
def test_no_withdrawal_to_a_tap_that_is_not_the_guests(world: World, ifindex: int | None) -> None:
    world.files["tap0"] = binding(ifindex=7)
    world.service.resync()
    del world.links["tap0"]
    if ifindex:
        world.links["tap0"] = Link(ifindex, TAP.mac)
    world.moved = {"tap0"}
    world.service.sync()
    assert list(world.service.table) == []
    assert world.sent == []


def test_another_router_takes_the_old_one_back(world: World) -> None:
    world.files["tap0"] = binding(gateway6="fe80::2")
    world.touched = {"tap0"}
    world.service.sync()
    assert world.lifetimes() == [0]
    world.now = 2.0
    world.service.tick()
    assert world.lifetimes() == [0, 1800]


def test_a_changed_host_name_takes_no_router_back(world: World) -> None:
    world.files["tap0"] = binding(hostname="db")
    world.touched = {"tap0"}
    world.service.sync()
    assert world.lifetimes() == []


def test_other_settings(world: World) -> None:
    world.service.reconfigure(guests(lease=120))
    world.dhcp4(7, MAC, DISCOVER)
    assert Answer(world.sent[-1][1])["lease_time"] == 120


def test_dump_says_who_is_served_and_who_is_not(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.files["tap5"] = binding(tap="tap5")
    world.service.resync()
    with caplog.at_level(logging.INFO):
        world.service.dump()
    assert "tap0 (gx-web): ifindex 7, 52:54:00:00:00:10, 10.77.0.10, advertised" in caplog.text
    assert "tap5: not served: the tap does not exist" in caplog.text
    assert "1 taps served, 1 bindings not" in caplog.text


def test_answers_to_several_packets_leave_together(world: World) -> None:
    world.links["tap1"] = Link(8, b"\xfe\0\0\0\0\1")
    world.files["tap1"] = binding(tap="tap1")
    world.service.resync()
    for ifindex in (7, 8, 7):
        assert world.service.dhcp4(ifindex, MAC, DISCOVER) is True
    assert world.sent == []
    world.now = 1.0
    world.service.flush()
    assert [tap for tap, _ in world.sent] == ["tap0", "tap1", "tap0"]
    assert world.service.stats.seconds == 3.0
    world.service.flush()
    assert len(world.sent) == 3


def test_of_many_answers_the_first_do_not_wait_for_the_last(world: World) -> None:
    assert all(world.service.dhcp4(7, MAC, DISCOVER) for _ in range(9))
    assert len(world.sent) == 8


def test_one_of_several_cannot_be_sent(world: World) -> None:
    world.failed = {1: OSError(errno.ENETDOWN, "Network is down")}
    for _ in range(3):
        world.service.dhcp4(7, MAC, DISCOVER)
    world.service.flush()
    counts = world.service.stats.taps["tap0"]
    assert (counts.answered, counts.dropped) == ({"DISCOVER": 2}, {"unsent": 1})


def test_a_guest_cannot_fill_the_journal(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(1000):
            world.dhcp4(7, OTHER_MAC, DISCOVER)
    assert len([line for line in caplog.messages if "spoofed" in line]) == 5


def test_a_tap_with_a_bad_binding_asks_nobody_else(world: World) -> None:
    world.files["tap0"] = None
    world.touched = {"tap0"}
    world.service.sync()
    world.sent.clear()
    assert world.dhcp4(7, MAC, DISCOVER) is True
    assert world.ipv6(7, MAC, solicitation()) is True
    assert world.sent == []
    assert world.service.stats.taps["tap0"].dropped == {"refused": 2}
    del world.files["tap0"]
    world.touched = {"tap0"}
    assert world.dhcp4(7, MAC, DISCOVER) is False
    assert world.service.stats.taps == {}


def test_every_message_is_counted(world: World) -> None:
    world.dhcp4(7, MAC, DISCOVER)
    world.dhcp4(7, MAC, packet(7))
    world.dhcp4(7, OTHER_MAC, DISCOVER)
    world.dhcp4(7, MAC, b"")
    world.ipv6(7, MAC, solicitation())
    world.dhcp4(99, MAC, DISCOVER)
    world.broken = OSError("no buffer")
    world.dhcp4(7, MAC, DISCOVER)
    counts = world.service.stats.taps["tap0"]
    assert counts.answered == {"DISCOVER": 1, "RS": 1}
    assert counts.dropped == {"noted": 1, "spoofed": 1, "malformed": 1, "unsent": 1}
    assert world.service.stats.foreign == 1
    assert sum(world.service.stats.times) == 2


def test_counts_end_with_the_service_of_a_tap(world: World) -> None:
    world.dhcp4(7, MAC, DISCOVER)
    del world.files["tap0"]
    world.touched = {"tap0"}
    world.service.sync()
    assert world.service.stats.taps == {}


def test_watchers_are_told_what_was_asked_and_what_was_said(world: World) -> None:
    seen: list[tuple[str, ...]] = []
    world.service.watchers.append(lambda *told: seen.append(tuple(map(str, told[:4]))))
    world.dhcp4(7, MAC, DISCOVER)
    world.dhcp4(7, OTHER_MAC, DISCOVER)
    assert seen[0] == ("tap0", "gx-web", "DISCOVER", "OFFER 10.77.0.10")
    assert "spoofed" in seen[1][3]


@pytest.mark.parametrize(("ifindex", "who"), [(7, "tap0 (gx-web)"), (99, "interface 99")])
def test_a_bug_that_a_guest_can_cause_is_counted_and_told_a_few_times(
    world: World, caplog: pytest.LogCaptureFixture, ifindex: int, who: str
) -> None:
    with caplog.at_level(logging.ERROR):
        for _ in range(1000):
            try:
                raise KeyError("of the responder")
            except KeyError:
                world.service.bug(ifindex)
    assert world.service.stats.bugs == 1000
    lines = [line for line in caplog.messages if f"{who}: bug: a packet was dropped" in line]
    assert len(lines) == 5
    assert "KeyError: 'of the responder'" in lines[0]


def test_a_tap_that_has_just_gone_is_no_news(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.broken = OSError(errno.ENXIO, "No such device or address")
    world.files["tap0"] = binding(gateway6=None)
    world.touched = {"tap0"}
    with caplog.at_level(logging.INFO):
        world.service.sync()
        assert "could not be sent" not in caplog.text
        world.broken = OSError(errno.ENOBUFS, "no buffer")
        world.files["tap0"] = binding()
        world.touched = {"tap0"}
        world.service.sync()
        world.now += 5
        world.service.tick()
    assert "could not be sent" in caplog.text


def test_an_address_in_use_is_worth_a_line_though_it_was_answered(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(responder6, "answer", lambda *_: ("DECLINE6", "REPLY6 Success", b"frame"))
    with caplog.at_level(logging.INFO):
        assert world.ipv6(7, MAC, bytes(6) + b"\x11" + bytes(40)) is True
    assert "tap0 (gx-web): DECLINE6: REPLY6 Success" in caplog.text
