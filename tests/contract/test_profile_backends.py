"""What must not go around firewall profiles, and what they must leave alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.packet import Packet, Raw

from ganeti_ext import command, config
from ganeti_ext.errors import CommandError
from kvm_ifup import profile_nft, profiles
from kvm_ifup.profile import LAST
from lab import layer
from tests.contract.kvm_ifup_node import needs_node
from tests.contract.profiles_node import GUEST_MAC, IPTABLES, NFT, PACKAGES, PEER_MAC, Ends, Node, iptables
from tests.contract.profiles_node import OWN as OWN_FOLDER
from tests.contract.profiles_packets import OWN
from tests.lab.clients.box import Box

pytestmark = [pytest.mark.lab, needs_node]

Nft = Callable[[str], str]


@pytest.fixture(scope="module", params=[NFT, IPTABLES])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    with contextlib.closing(Node(request.param, {})) as made:
        yield made


@pytest.fixture
def box() -> Iterator[Box]:
    with contextlib.closing(Box("node", layer.lower("profiles", PACKAGES))) as made:
        yield made


class TestAround:
    """A profile that drops holds for what the IP tables do not see, too."""

    @pytest.fixture(autouse=True)
    def _as_before(self, node: Node) -> Iterator[None]:
        node.forget()
        yield
        for name, value in (("call-iptables", 1), ("call-ip6tables", 1), ("filter-vlan-tagged", 0)):
            node.run("sysctl", "-q", "-w", f"net.bridge.bridge-nf-{name}={value}")

    @pytest.mark.parametrize("vlan", [0, 7])
    def test_a_vlan_tag(self, node: Node, vlan: int) -> None:
        way = node.ways["bridged"]
        frames = [
            bytes(Ether(src=PEER_MAC, dst=GUEST_MAC) / Dot1Q(vlan=vlan) / ends.to_guest(TCP(dport=22)))
            for ends in way.ends.values()
        ]
        seen = {}
        for profile in ("unprotected", "limited", "protected"):
            node.give(profile)
            seen[profile] = [way.sees(frame) for frame in frames]
        assert seen == {"unprotected": [True, True], "limited": [False, False], "protected": [False, False]}

    def test_a_vlan_tag_that_the_ip_tables_see(self, node: Node) -> None:
        node.run("sysctl", "-q", "-w", "net.bridge.bridge-nf-filter-vlan-tagged=1")
        node.give("limited")
        way = node.ways["bridged"]
        for ends in way.ends.values():
            for port, passes in ((22, True), (23, False)):
                frame = Ether(src=PEER_MAC, dst=GUEST_MAC) / Dot1Q(vlan=7) / ends.to_guest(TCP(dport=port))
                assert way.sees(bytes(frame)) == passes

    def test_pppoe_and_other_ethertypes(self, node: Node) -> None:
        way = node.ways["bridged"]
        inner = way.ends[4].to_guest(TCP(dport=22))
        frames = [
            bytes(Ether(src=PEER_MAC, dst=GUEST_MAC) / PPPoE(sessionid=7) / PPP() / inner),
            bytes(Ether(src=PEER_MAC, dst=GUEST_MAC, type=0x88B5) / inner),
        ]
        for profile, passes in (("unprotected", True), ("limited", False)):
            node.give(profile)
            assert [frame in way.delivered(*frames) for frame in frames] == [passes, passes]

    def test_arp_passes(self, node: Node) -> None:
        node.give("protected")
        way = node.ways["bridged"]
        frame = bytes(Ether(src=PEER_MAC, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, psrc="10.0.1.9", pdst="10.0.1.5"))
        assert frame in way.delivered(frame)

    def test_the_address_of_a_guest_that_is_not_protected(self, node: Node) -> None:
        """On a bridge the tap decides, whatever address is written on a packet."""
        node.give("protected")
        number = node.numbers["unprotected"]
        other = f'element inet ganeti_ext profile_ip4 {{ "br0" . 10.0.1.66 : goto mark_{number} }}\n'
        node.nft(f"add {other}")
        way = node.ways["bridged"]
        assert not way.arrives(Ends("10.0.1.66", way.ends[4].peer).to_guest(TCP(dport=80)))
        node.nft(f"delete {other}")

    def test_nothing_when_the_bridge_does_not_call_the_ip_tables(self, node: Node) -> None:
        way = node.ways["bridged"]
        for family in ("iptables", "ip6tables"):
            node.run("sysctl", "-q", "-w", f"net.bridge.bridge-nf-call-{family}=0")
        for profile, passes in (("unprotected", True), ("limited", False)):
            node.give(profile)
            for ends in way.ends.values():
                assert way.reached(way.from_peer(ends.to_guest(TCP(dport=22)))) == passes

    def test_nothing_when_somebody_flushed_iptables(self, node: Node) -> None:
        if node.backend != IPTABLES:
            pytest.skip("rules in nftables go together with what puts the marks")
        node.give("limited")
        way = node.ways["bridged"]
        node.run("iptables-legacy", "-F", "FORWARD")
        assert not way.reached(way.from_peer(way.ends[4].to_guest(ICMP())))
        iptables(node, ["put", {number: each.name for number, each in node.profiles.items()}])
        assert way.arrives(way.ends[4].to_guest(ICMP()))


class TestOthers:
    """What is not ours."""

    def test_other_bits_of_marks_stay(self, node: Node) -> None:
        table = "add table inet other\nflush table inet other\n"
        hook = "add chain inet other {} {{ type filter hook {} priority {}; }}\n"
        text = table + hook.format("early", "prerouting", -300) + hook.format("late", "forward", 300)
        rules = "add rule inet other early meta mark set 0x20000003\n"
        node.nft(text + rules + "add rule inet other late meta mark 0x20000003 counter\n")
        node.give("limited")
        for way in node.ways.values():
            assert way.arrives(way.ends[4].to_guest(ICMP()))
        # Each time the ping, and what follows it.
        assert "packets 6 " in node.run("nft", "list", "chain", "inet", "other", "late")
        node.nft("delete table inet other\n")

    def test_what_passes_is_for_the_administrators_rules_to_judge(self, node: Node) -> None:
        node.give("limited")
        way = node.ways["routed"]
        ping = way.from_peer(way.ends[4].to_guest(ICMP()))
        node.run("iptables-legacy", "-P", "FORWARD", "DROP")
        assert not way.reached(ping)
        node.run("iptables-legacy", "-P", "FORWARD", "ACCEPT")
        assert way.sees(ping)


class Tenants:
    """Two guests, each with a peer; both pairs have the same addresses, and MAC prefixes of their own."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._taps = {name: node.port(name) for name in ("guest1", "peer1", "guest2", "peer2")}
        number = node.numbers["protected"]
        node.nft("".join(profile_nft.assign(name, number, "br0") for name in ("guest1", "guest2")))

    def close(self) -> None:
        number = self._node.numbers["protected"]
        self._node.nft("".join(profile_nft.unassign(name, number, "br0") for name in ("guest1", "guest2")))
        for tap in self._taps.values():
            tap.close()

    def asks(self, tenant: int) -> None:
        """The guest asks its peer."""
        packet = IP(src="10.7.0.5", dst="10.7.0.9") / UDP(sport=5001, dport=53) / Raw(b"?")
        self._send("guest", "peer", tenant, packet)

    def answers(self, tenant: int, packet: Packet) -> None:
        self._send("peer", "guest", tenant, packet)

    def heard(self, tenant: int) -> list[bytes]:
        """What the guest has heard since it was asked for, of IPv4: the node itself speaks IPv6 on its bridge."""
        return [frame for frame in self._taps[f"guest{tenant}"].received() if frame[12:14] == b"\x08\x00"]

    def _send(self, source: str, target: str, tenant: int, packet: Packet) -> None:
        mac = {"guest": f"aa:00:{tenant}0:00:00:05", "peer": f"aa:00:{tenant}f:00:00:09"}
        self._taps[f"{source}{tenant}"].send(bytes(Ether(src=mac[source], dst=mac[target]) / packet))


def _answer(data: bytes, number: int = 1) -> Packet:
    return IP(src="10.7.0.9", dst="10.7.0.5", id=number) / UDP(sport=53, dport=5001, chksum=0) / Raw(data)


class TestZones:
    """Guests of two networks that have the same addresses."""

    @pytest.fixture
    def tenants(self, node: Node) -> Iterator[Tenants]:
        node.forget()
        with contextlib.closing(Tenants(node)) as made:
            yield made

    @pytest.fixture
    def zones(self, node: Node) -> Iterator[None]:
        node.nft("add element inet ganeti_ext zones { aa:00:10:00:00:00 : 11, aa:00:20:00:00:00 : 12 }\n")
        yield
        node.nft("flush map inet ganeti_ext zones\n")

    def test_without_zones_they_share_connections(self, tenants: Tenants) -> None:
        tenants.asks(1)
        tenants.answers(2, _answer(b"of the other's peer"))
        assert tenants.heard(2) != []

    @pytest.mark.usefixtures("zones")
    def test_connections(self, tenants: Tenants) -> None:
        tenants.asks(1)
        tenants.answers(2, _answer(b"of the other's peer"))
        assert tenants.heard(2) == []
        tenants.answers(1, _answer(b"of its own"))
        assert len(tenants.heard(1)) == 1

    @pytest.mark.usefixtures("zones")
    def test_fragments_are_not_mixed(self, tenants: Tenants) -> None:
        own = fragment(_answer(b"o" * 1600, 7), 1000)
        foreign = fragment(_answer(b"f" * 1600, 7), 1000)
        tenants.asks(1)
        tenants.answers(1, own[0])
        tenants.answers(2, foreign[1])
        assert (tenants.heard(1), tenants.heard(2)) == ([], [])
        tenants.answers(1, own[1])
        heard = tenants.heard(1)
        assert len(heard) == 2
        assert b"f" not in b"".join(frame[34:] for frame in heard)

    @pytest.mark.usefixtures("zones")
    def test_one_is_cut_the_other_goes_on(self, node: Node, tenants: Tenants) -> None:
        for tenant in (1, 2):
            tenants.asks(tenant)
        assert node.cut("10.7.0.5", zone=11) == 1
        for tenant in (1, 2):
            tenants.answers(tenant, _answer(b"!"))
        assert (len(tenants.heard(1)), len(tenants.heard(2))) == (0, 1)


PROFILES = dict(enumerate(profiles.load_all().values(), 1))
RULES = profile_nft.skeleton() + "".join(profile_nft.chains(each, number) for number, each in PROFILES.items())


class TestNft:
    """The text, for the nft of Debian 12 and of Debian 13."""

    @pytest.fixture(params=["12", "13"])
    def nft(self, box: Box, request: pytest.FixtureRequest) -> Nft:
        """Feeds text to nft; what the kernel then has of ours."""
        argv = ["nft"] if request.param == "13" else ["nsenter", f"--target={box.pid}", "--net", "nft"]
        run = box.run if request.param == "13" else lambda *words, stdin="": command.run(words, stdin=stdin)
        if request.param == "12" and "v1.0" not in command.run(["nft", "--version"]):
            pytest.skip("the nft of this host is not Debian 12's")

        def feed(text: str) -> str:
            run(*argv, "-f", "-", stdin=text)
            return str(run(*argv, "list", "ruleset"))

        return feed

    def test_all_can_be_said_again(self, nft: Nft) -> None:
        text = RULES + profile_nft.assign("tap0", 1, "br0", ("10.0.0.5", "2001:db8::5"))
        assert nft(text) == nft(text)

    def test_own_profiles(self, nft: Nft) -> None:
        every = profiles.build("own", "own", config.parse(OWN, "own"))
        text = nft(profile_nft.skeleton() + profile_nft.chains(every, LAST))
        assert text.count('comment "allow ') == len(every.allowed) + 2  # sources of both families take two rules

    def test_another_profile(self, nft: Nft) -> None:
        place = ("tap0", "br0", ("10.0.0.5", "2001:db8::5"))
        nft(RULES + profile_nft.assign(place[0], 1, *place[1:]))
        text = nft(RULES + profile_nft.assign(place[0], 2, *place[1:], was=1))
        assert (text.count("goto mark_1"), text.count("goto mark_2")) == (0, 3)

    @pytest.mark.parametrize("bridge", ["br0", None])
    def test_nothing_is_left(self, nft: Nft, bridge: str | None) -> None:
        place = (bridge, ("10.0.0.5", "2001:db8::5"))
        bare = nft(profile_nft.skeleton())
        nft(RULES + profile_nft.assign("tap0", 1, *place))
        gone = profile_nft.unassign("tap0", 1, *place) + "".join(map(profile_nft.unchain, PROFILES))
        assert nft(gone) == bare
        assert nft(gone) == bare

    def test_what_is_absent_can_be_taken_away(self, nft: Nft) -> None:
        nft(profile_nft.unassign("tap0", 1, "br0", ("10.0.0.5",)))
        nft(profile_nft.unchain(7))

    def test_a_profile_in_use_stays(self, nft: Nft) -> None:
        nft(RULES + profile_nft.assign("tap0", 1))
        with pytest.raises(CommandError, match="busy"):
            nft(profile_nft.unchain(1))

    def test_the_iptables_backend_takes_the_judge_away(self, nft: Nft) -> None:
        nft(RULES)
        text = nft(profile_nft.skeleton(judge=False) + profile_nft.chains(PROFILES[1], 1, judge=False))
        assert "chain forward" not in text
        assert text.count("chain to_tap") == 2
        assert "chain forward" in nft(RULES)


FOREIGN = """*filter
:INPUT ACCEPT [5:300]
:FORWARD DROP [7:420]
:OUTPUT ACCEPT [0:0]
:theirs - [0:0]
[3:180] -A FORWARD -i eth7 -m comment --comment "of others" -j theirs
[2:120] -A theirs -p tcp -m tcp --dport 99 -j ACCEPT
COMMIT
"""
TOOLS = ("iptables-legacy", "ip6tables-legacy")


class TestIptables:
    """The adapter of legacy iptables."""

    @pytest.fixture
    def foreign(self, box: Box) -> Box:
        for tool in TOOLS:
            box.run(f"{tool}-restore", "--counters", stdin=FOREIGN)
        return box

    @pytest.mark.usefixtures("foreign")
    def test_rules_of_others_stay(self, box: Box) -> None:
        before = _saved(box)
        put = ["put", {1: "limited", 2: "protected"}]
        assert iptables(box, put, put) == [True, False]
        assert [line for line in _saved(box) if "ganeti-ext" not in line] == before
        assert iptables(box, ["remove"], ["remove"]) == [True, False]
        assert _saved(box) == before

    def test_the_jump_is_once_and_first(self, foreign: Box) -> None:
        put = ["put", {1: "limited"}]
        iptables(foreign, put)
        for tool in TOOLS:
            foreign.run(tool, "-I", "FORWARD", "-i", "eth8", "-j", "theirs")
            foreign.run(tool, "-A", "FORWARD", "-i", "eth9", "-j", "ganeti-ext")
        assert iptables(foreign, put) == [True]
        for tool in TOOLS:
            jumps = [line.split()[-1] for line in foreign.run(tool, "-S", "FORWARD").splitlines()[1:]]
            assert jumps == ["ganeti-ext", "theirs", "theirs"]

    def test_one_after_the_other(self, box: Box) -> None:
        together = iptables(box, ["put", {1: "limited", 2: "protected"}], ["found"], ["remove"])
        apart = iptables(box, ["put", {2: "protected"}], ["put", {1: "limited"}], ["put", {}], ["found"])
        assert apart == [True, True, False, together[1]]
        assert iptables(box, ["put", {2: "protected"}], ["found"]) == [False, together[1]]

    def test_what_is_found_is_what_iptables_prints(self, box: Box) -> None:
        found = iptables(box, ["put", {1: "limited"}], ["found"])[1]
        names = {"-p icmp ": "-p 1 ", "-p tcp ": "-p 6 ", "-p udp ": "-p 17 ", "-p ipv6-icmp ": "-p 58 "}
        printed = []
        for tool in TOOLS:
            for line in box.run(tool, "-S").splitlines():
                for name, number in names.items():
                    line = line.replace(name, number)  # noqa: PLW2901
                printed += [f"{tool.removesuffix('-legacy')} {line}"] if line.startswith("-A") else []
        assert sorted(found) == sorted(printed)

    def test_a_profile_that_changed(self, box: Box) -> None:
        write = "[profile]\n[allow one]\nprotocol = tcp\nports = {}\n"
        seen = []
        for port in (81, 82):
            box.write(f"{OWN_FOLDER}/own.conf", write.format(port))
            seen.append(iptables(box, ["put", {9: "own"}], ["found"]))
        assert [changed for changed, _ in seen] == [True, True]
        assert [sum("--dports 82" in line for line in lines) for _, lines in seen] == [0, 2]

    def test_what_stands_is_known_without_the_library(self, box: Box) -> None:
        rules, stands = ["rules", ["limited"]], ["stands", {1: "limited"}]
        assert iptables(box, stands, rules, stands) == [False, True, True]
        for tool in TOOLS:
            box.run(tool, "-A", "INPUT", "-i", "eth7", "-j", "ACCEPT")
            assert iptables(box, stands) == [True]
            box.run(tool, "-D", "FORWARD", "1")
            assert iptables(box, stands, rules, stands) == [False, True, True]
        found = iptables(box, ["rules", ["limited", "protected"]], ["found"], ["put", {1: "limited"}])
        assert (sum("-j ganeti-ext-protected" in line for line in found[1]), found[2]) == (2, False)

    def test_nothing_there_is_left_alone(self, box: Box) -> None:
        assert iptables(box, ["found"], ["remove"]) == [[], False]
        assert box.run("cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names") == ""

    def test_no_other_table_comes_into_being(self, box: Box) -> None:
        iptables(box, ["put", {1: "limited"}])
        for names in ("ip_tables_names", "ip6_tables_names"):
            assert box.run("cat", f"/proc/net/{names}") == "filter\n"

    def test_another_holds_the_lock(self, box: Box) -> None:
        holder = box.start("flock", "--no-fork", "/run/xtables.lock", "sh", "-c", "echo held; exec sleep 60")
        holder.says("held")
        assert "another has held /run/xtables.lock" in iptables(box, ["put", {1: "limited"}])[0]
        holder.stop()


def _saved(box: Box) -> list[str]:
    """All rules and counters of both families."""
    lines = [line for tool in TOOLS for line in box.run(f"{tool}-save", "--counters").splitlines()]
    return [line for line in lines if not line.startswith("#")]
