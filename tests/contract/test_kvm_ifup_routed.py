"""Routed taps with kernels that really speak: guests, the node, the router behind its uplink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv6Address

import pytest
from scapy.layers import inet
from scapy.layers.inet import ICMP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_RA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from kvm_ifup import announce
from lab import layer
from tests.contract import nfdhcpd_frames, nfdhcpd_node
from tests.contract.kvm_ifup_frames import (
    BRIDGE_LL,
    DROP,
    IP,
    IP6,
    MAC,
    OTHER_IP,
    OTHER_IP6,
    OTHER_MAC,
    PASS,
    PREFIX6,
)
from tests.contract.kvm_ifup_machine import NEIGHBOURS, Machine
from tests.contract.kvm_ifup_node import PATH, SCRIPT, Node, needs_node
from tests.contract.kvm_ifup_set import for_taps
from tests.contract.kvm_ifup_site import (
    FAILING_IP,
    FAR,
    FAR6,
    GATEWAY,
    GATEWAY6,
    IP_LESS,
    LINK,
    ON_LINK6,
    OTHER,
    PLAIN,
    ROUTER_MAC,
    TABLE,
    TAP_LL,
    TAP_MAC,
    UPLINK_LL,
    UPLINK_MAC,
    Site,
    Wires,
    by_router,
    ip,
    watched,
)
from tests.contract.network_namespace import Changes

pytestmark = [pytest.mark.lab, needs_node]

BEHIND = "2001:db8:77:1::1"
MODES = {"plain": PLAIN, "link": LINK, "ip-less": IP_LESS}


@pytest.fixture(params=list(MODES.values()), ids=list(MODES))
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(request.param)
    yield made
    made.close()


@pytest.fixture
def ip_less() -> Iterator[Site]:
    made = Site(IP_LESS)
    yield made
    made.close()


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.close()


@pytest.fixture
def wires(node: Node) -> Wires:
    return Wires(node)


def neighbour(machine: Machine, address: str) -> str:
    """The MAC that a machine has in mind for an address, or all that it knows of it."""
    words = machine.run("ip", "neigh", "show", address).split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else " ".join(words)


class TestTraffic:
    """Kernels at all three ends."""

    def test_the_guest_speaks_with_the_world(self, site: Site) -> None:
        guest = site.guest()
        site.up()
        guest.hears()
        assert guest.pings(FAR)
        assert guest.pings(FAR6)
        assert site.router.pings(IP)
        assert site.router.pings(IP6)

    def test_the_gateway_is_answered_for_though_the_node_has_it_not(self, site: Site) -> None:
        guest = site.guest()
        site.up()
        guest.hears()
        assert guest.pings(FAR)
        assert neighbour(guest, GATEWAY) == TAP_MAC
        assert GATEWAY not in site.node.run("ip", "address")
        assert guest.run("ip", "neigh", "show", "proxy") == ""

    def test_the_guest_and_its_gateway_are_neighbours_to_each_other(self, ip_less: Site) -> None:
        guest = ip_less.guest()
        ip_less.up()
        guest.hears()
        for address in (GATEWAY, ON_LINK6):
            assert guest.pings(address)
        for address in (IP, IP6):
            assert ip_less.router.pings(address)
            assert neighbour(ip_less.router, address) == UPLINK_MAC

    def test_two_guests_of_a_node_reach_each_other(self, site: Site) -> None:
        guest, other = site.guest(), site.guest("tap1", OTHER_MAC, OTHER_IP, OTHER_IP6)
        site.up()
        site.up({**site.env, **OTHER, "MAC": OTHER_MAC, "IP": OTHER_IP})
        guest.hears()
        other.hears()
        for one, address in ((guest, OTHER_IP), (guest, OTHER_IP6), (other, IP), (other, IP6)):
            assert one.pings(address)

    def test_a_delegated_prefix_is_behind_the_guest(self, site: Site) -> None:
        guest = site.guest()
        guest.ip(f"address add {BEHIND}/128 dev lo")
        site.router.ip(f"route add {PREFIX6} via {'fe80::2' if site.env is not IP_LESS else UPLINK_LL} dev eth0")
        site.up({**site.env, "TAGS": f"nfdhcpd:prefix6:{PREFIX6}"})
        guest.hears()
        assert site.router.pings(BEHIND)
        assert guest.pings(FAR6, "-I", BEHIND)

    def test_nobody_asks_a_guest_where_it_is(self, site: Site) -> None:
        guest = site.guest()
        # It answers neither ARP nor neighbour solicitations.
        guest.ip("link set eth0 arp off")
        guest.ip(f"neigh add {GATEWAY} lladdr {TAP_MAC} dev eth0", f"neigh add {TAP_LL} lladdr {TAP_MAC} dev eth0")
        site.up()
        guest.hears()
        assert site.router.pings(IP)
        assert site.router.pings(IP6)

    def test_a_neighbour_of_its_old_node_learns_where_it_is_now(self, ip_less: Site) -> None:
        router = ip_less.router
        for address in (IP, IP6):
            router.ip(f"neigh replace {address} lladdr 02:00:00:00:00:bb dev eth0 nud stale")
        ip_less.guest()
        with Changes(router.pid, NEIGHBOURS) as changes:
            ip_less.up()
            changes.until(lambda: {neighbour(router, address) for address in (IP, IP6)} == {UPLINK_MAC})


class TestWire:
    """Frames at both ends."""

    def test_it_is_announced_on_the_uplink_alone(self, wires: Wires) -> None:
        wires.up()
        told = [frame for frame in wires.uplink.received() if frame[6:12] == bytes.fromhex("0200000000aa")]
        announced = list(announce.frames(UPLINK_MAC, IP, IP6))
        assert [frame for frame in told if frame in announced] == announced
        assert not set(wires.guest.received()) & set(announced)

    def test_what_it_says_goes_on_with_its_own_source(self, wires: Wires) -> None:
        wires.up()
        for packet in (inet.IP(src=IP, dst=FAR) / ICMP(), IPv6(src=IP6, dst=FAR6) / ICMPv6EchoRequest()):
            (frame,) = wires.out(by_router(packet))
            sent = Ether(frame)
            assert (sent.src, sent.dst, sent.payload.src) == (UPLINK_MAC, ROUTER_MAC, packet.src)

    @pytest.mark.parametrize(
        "packet",
        [
            inet.IP(src=OTHER_IP, dst=FAR) / ICMP(),
            inet.IP(src=GATEWAY, dst=FAR) / UDP(),
            IPv6(src=OTHER_IP6, dst=FAR6) / ICMPv6EchoRequest(),
            IPv6(src="2001:db8:1::1", dst=FAR6) / ICMPv6EchoRequest(),
        ],
        ids=lambda packet: packet.src,
    )
    def test_a_foreign_source_goes_nowhere(self, wires: Wires, packet: Packet) -> None:
        wires.up()
        wires.node.run("sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0")
        assert wires.out(by_router(packet)) == []
        wires.node.run("nft", "flush", "ruleset")
        assert wires.out(by_router(packet)), "the rules are what kept it here"

    def test_arp_is_answered_for_the_gateway_not_for_itself(self, wires: Wires) -> None:
        wires.up()
        wires.node.run("sysctl", "-q", "-w", "net.ipv4.neigh.tap0.proxy_delay=0")
        assert wires.who_has(GATEWAY) == [TAP_MAC]
        assert wires.who_has(IP) == []
        assert wires.who_has(IP, asks="0.0.0.0") == []

    def test_neighbour_discovery_is_answered_for_the_tap_itself_alone(self, wires: Wires) -> None:
        """The gateway's address is nfdhcpd's to answer for: see TestBesideNfdhcpd."""
        wires.up()
        assert wires.solicit(TAP_LL) == [TAP_MAC]
        assert wires.solicit(GATEWAY6) == []
        assert wires.solicit(ON_LINK6) == []


def _for_routed(frame: bytes) -> bytes:
    """The frame of a guest whose router is known by the link-local address of its tap."""
    return frame.replace(IPv6Address(BRIDGE_LL).packed, IPv6Address(TAP_LL).packed)


class TestFrames:
    """What a routed tap may say is what one on a bridge may."""

    @pytest.mark.parametrize("env", MODES.values(), ids=MODES)
    def test_verdicts(self, wires: Wires, env: dict[str, str]) -> None:
        wires.up({**env, "TAGS": f"nfdhcpd:prefix6:{PREFIX6}"})
        with watched(wires.node, "tap0") as watcher:
            assert self._passed(wires, watcher.received) == set(PASS)

    def test_a_tag_relaxes_it(self, wires: Wires) -> None:
        wires.up({**IP_LESS, "TAGS": "ganeti-ext:spoof-allowed"})
        with watched(wires.node, "tap0") as watcher:
            assert self._passed(wires, watcher.received) == {*PASS, *DROP}

    def _passed(self, wires: Wires, received: Callable[[], list[bytes]]) -> set[str]:
        passed = set()
        for name, frame in {**PASS, **DROP}.items():
            received()
            wires.guest.send(_for_routed(frame))
            if _for_routed(frame) in received():
                passed.add(name)
        return passed


class TestNothingLeft:
    """What there was for a tap is gone with it."""

    def test_what_is_set(self, site: Site) -> None:
        before = for_taps(site.node)
        site.guest()
        site.up()
        added = for_taps(site.node) - before
        table = f" table {TABLE}" if "LINK" in site.env else ""
        expected = {
            f"route4 {IP} dev tap0{table} proto static scope link",
            f"route6 {IP6} dev tap0{table} proto static metric 1024 pref medium",
        }
        if table:
            expected |= {f"rule{version} from all iif tap0 lookup {TABLE}" for version in (4, 6)}
        if site.env is IP_LESS:
            expected |= {f"proxy {address} dev eth0 proxy" for address in (IP, IP6)}
        assert {line for line in added if line.startswith(("rule", "route", "proxy"))} == expected

    def test_the_reaper_removes_it(self, site: Site) -> None:
        before = for_taps(site.node)
        tap = site.node.tap("tap0")
        site.up()
        assert len(for_taps(site.node)) > len(before) + 10
        reaper = site.node.reaper()
        tap.close()
        reaper.says("tap tap0 of gx-0001.example.org: gone")
        assert for_taps(site.node) == before

    def test_the_hook_behind_a_stop_removes_it(self, site: Site) -> None:
        before = for_taps(site.node)
        tap = site.node.tap("tap0")
        site.up()
        tap.close()
        done = site.node.script("instance-moved", {"PATH": PATH, "GANETI_INSTANCE_NAME": "gx-0001.example.org"})
        assert (done.returncode, done.stderr) == (0, "")
        assert for_taps(site.node) == before

    def test_another_guest_of_that_tap_gets_its_own_alone(self, site: Site) -> None:
        tap = site.node.tap("tap0")
        site.up()
        first = for_taps(site.node)
        tap.close()
        tap = site.node.tap("tap0")
        site.up({**site.env, "MAC": OTHER_MAC, "IP": OTHER_IP})
        second = for_taps(site.node)
        assert len(second) == len(first)
        assert not any(word in line for line in second for word in (f"{IP} ", f"{IP6} ", MAC))

    def test_a_vanished_uplink_hinders_nobody(self, ip_less: Site) -> None:
        tap = ip_less.node.tap("tap0")
        ip_less.up()
        reaper = ip_less.node.reaper()
        ip(ip_less.node, "link delete eth0")
        before = {line for line in for_taps(ip_less.node) if "eth0" in line}
        tap.close()
        reaper.says("tap tap0 of gx-0001.example.org: gone")
        assert for_taps(ip_less.node) == {line for line in before | for_taps(ip_less.node) if "tap0" not in line}
        assert not any(word in line for line in for_taps(ip_less.node) for word in ("tap0", IP, IP6))


class TestFailedStart:
    """Whatever fails: Ganeti is told, and nothing stays."""

    def test_at_each_line_of_ip(self, site: Site) -> None:
        self._all_fail(site, site.env)

    def test_with_a_table_that_nothing_is_in(self, node: Node) -> None:
        site = Wires(node)
        self._all_fail(site, {**LINK, "LINK": "77"})

    def _all_fail(self, site: Site | Wires, env: dict[str, str]) -> None:
        node = site.node
        tap = site.guest if isinstance(site, Wires) else node.tap("tap0")
        before = for_taps(node)
        program = node.file("/run/ip")
        program.write_text(FAILING_IP)
        program.chmod(0o755)
        for line in range(1, 99):
            node.write("/run/fails", str(line))
            done = node.kvm_ifup({**env, "PATH": f"/run:{PATH}"})
            if done.returncode == 0:
                break
            assert (done.returncode, done.stderr.count("made to fail at")) == (1, 1)
            assert "undoing it failed" not in done.stderr
            assert "tap0 of gx-0001.example.org" in done.stderr
            assert for_taps(node) == before, done.stderr
            assert "UP" not in node.run("ip", "link", "show", "tap0")
        assert line > 5
        tap.close()


@pytest.fixture
def served() -> Iterator[nfdhcpd_node.Node]:
    made = nfdhcpd_node.Node(rate=0)
    try:
        made.divert()
        made.serve()
        yield made
    finally:
        made.close()


class TestBesideNfdhcpd:
    """On a Debian 13 whose nfdhcpd answers for what the kernel does not."""

    def test_a_guest_finds_its_addresses_and_its_gateway(self, served: nfdhcpd_node.Node) -> None:
        node = served
        with node.network():
            guest = nfdhcpd_node.Guest("tap1", 1)
        # The node's default route is in the table that all others use.
        env = {
            **PLAIN,
            "INTERFACE": "tap1",
            "MAC": guest.mac,
            "IP": "10.0.0.7",
            "NETWORK_TAGS": "nfdhcpd ip-less-routed",
        }
        node.run("env", *(f"{key}={value}" for key, value in env.items()), f"{layer.HERE}/kvm_ifup/{SCRIPT.name}")
        assert guest.asks() == "10.0.0.7"
        guest.send(nfdhcpd_frames.router_solicitation(guest.mac))
        advertised = guest.expect(lambda packet: ICMPv6ND_RA in packet)
        assert (advertised.src, advertised[IPv6].src) == (TAP_MAC, GATEWAY6)
        guest.send(nfdhcpd_frames.neighbour_solicitation(guest.mac, GATEWAY6))
        answer = guest.expect(lambda packet: ICMPv6ND_NA in packet and packet[ICMPv6ND_NA].tgt == GATEWAY6)
        assert answer[ICMPv6NDOptDstLLAddr].lladdr == TAP_MAC
        reaper = node.start(f"{layer.HERE}/kvm_ifup/ganeti-ext-reaper")
        guest.close()
        reaper.says("tap tap1 of gx-0001.example.org: gone")
        assert not list(node.path("/var/lib/nfdhcpd").iterdir())
        assert "tap1" not in node.run("nft", "list", "ruleset") + node.run("ip", "rule")
