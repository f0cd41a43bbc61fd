"""ganeti-ext-net on real nodes: what it explains is what the kernel does, what it misses is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q
from scapy.packet import Raw

from ganeti_ext import groups
from ganeti_ext.groups import Group, Rule
from lab import layer
from tests.contract import kvm_ifup_frames as frames
from tests.contract.explain_check import check, mend
from tests.contract.explain_node import COMMAND, ENDS, GUEST, MACS, PEER_MAC, PRIVATE, ROUTED, TAPS, UPLINKED, Node
from tests.contract.kvm_ifup_node import needs_node
from tests.contract.kvm_ifup_words import words
from tests.contract.profiles_node import IPTABLES, NFT
from tests.contract.profiles_packets import ALWAYS, NEW

pytestmark = [pytest.mark.lab, needs_node]

KEY = "4f1a2b3c"
PROFILES = ("unprotected", "limited", "ssh", "protected", "own")
# What conntrack makes of a packet by more than one can say in words.
STATES = {"tcp without flags": "invalid", "tcp syn and ack of nothing": "invalid"}
# Of what `check` finds, these differ with the backend; the rest is looked for with one of them.
OF_PROFILES = ("nft flush ruleset", "ganeti_ext reach", "ganeti_ext profile", "bridge-nf-call")
MARK = bytes.fromhex("0200000000aa0200000000bb88b5") + b"all before this has passed"


@pytest.fixture(scope="module", params=[NFT, IPTABLES])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    made = Node(request.param)
    for tap in TAPS:
        made.up(tap)
    yield made
    made.close()


def tags(profile: str) -> str:
    return f"ganeti-ext:firewall:{profile}"


class TestExplain:
    """Verdicts in words against verdicts of the kernel."""

    def test_what_a_guest_says(self, node: Node) -> None:
        node.up(GUEST, f"nfdhcpd:prefix6:{frames.PREFIX6}")
        node.filter(on=False)  # else conntrack holds lone fragments back
        try:
            every = {**frames.PASS, **frames.DROP}
            told = node.explained([(GUEST, "out", words(frame)) for frame in every.values()])
            passed = {name: _leaves(node, frame) for name, frame in every.items()}
        finally:
            node.filter(on=True)
        assert {name: one["verdict"] == "pass" for name, one in zip(every, told, strict=True)} == passed
        assert set(passed.values()) == {True, False}

    @pytest.mark.parametrize("version", [4, 6])
    @pytest.mark.parametrize("tap", [GUEST, ROUTED])
    @pytest.mark.parametrize("profile", PROFILES)
    def test_what_comes_to_a_guest(self, node: Node, profile: str, tap: str, version: int) -> None:
        node.up(tap, tags(profile))
        ends = ENDS[tap, version]
        made = {
            name: [node.frame(tap, packet) for packet in make(ends)]
            for name, make in {**{name: make for name, (make, _) in NEW[version].items()}, **ALWAYS[version]}.items()
        }
        single = {name: found[0] for name, found in made.items() if len(found) == 1 and "fragment" not in name}
        assert len(single) > 20
        asked = [(tap, "in", _coming(name, frame)) for name, frame in single.items()]
        told = {name: one["verdict"] for name, one in zip(single, node.explained(asked), strict=True)}
        assert told == {name: _verdict(node.arrives(tap, frame)) for name, frame in single.items()}

    def test_a_connection_that_stands(self, node: Node) -> None:
        for tap in (GUEST, ROUTED):
            node.up(tap, tags("protected"))
            ends = ENDS[tap, 4]
            question = ends.to_peer(UDP(sport=3001, dport=53) / Raw(b"?"))
            gateway = "02:00:00:00:00:b0" if tap == GUEST else "cc:47:52:4e:45:54"
            node.taps[tap].send(node.frame(tap, question, src=MACS[tap], dst=PEER_MAC if tap == GUEST else gateway))
            answer = node.frame(tap, ends.to_guest(UDP(sport=53, dport=3001) / Raw(b"!")))
            (told, unasked) = node.explained(
                [(tap, "in", [*_coming("", answer), "established"]), (tap, "in", _coming("", answer))]
            )
            assert node.arrives(tap, answer)
            assert (told["verdict"], unasked["verdict"]) == ("pass", "drop")

    @pytest.mark.parametrize("profile", ["unprotected", "limited"])
    @pytest.mark.parametrize("called", [True, False])
    def test_what_goes_around_the_ip_tables(self, node: Node, profile: str, called: bool) -> None:
        node.up(GUEST, tags(profile))
        ends = ENDS[GUEST, 4]
        some = {
            "in a vlan": node.frame(GUEST, Dot1Q(vlan=7) / ends.to_guest(TCP(sport=2001, dport=22))),
            "of another ethertype": node.frame(GUEST, Raw(b"what is this?"), type=0x88B6),
            "arp": node.frame(GUEST, ARP(op=1, hwsrc=PEER_MAC, psrc="10.0.0.9", pdst="10.0.0.5")),
            "tcp": node.frame(GUEST, ends.to_guest(TCP(sport=2002, dport=22))),
        }
        node.filter(on=called)
        try:
            asked = [(GUEST, "in", _coming("", frame)) for frame in some.values()]
            told = {name: one["verdict"] for name, one in zip(some, node.explained(asked), strict=True)}
            assert told == {name: _verdict(_alone(node, frame)) for name, frame in some.items()}
        finally:
            node.filter(on=True)
        assert told["tcp"] == _verdict(called or profile == "unprotected")

    @pytest.mark.parametrize("source", ["aa:00:10:00:00:07", "aa:00:1f:ff:ff:ff", "aa:00:20:00:00:01", PEER_MAC])
    def test_networks_that_share_a_bridge(self, node: Node, source: str) -> None:
        packet = ENDS[PRIVATE, 4].to_guest(UDP(sport=1, dport=2) / Raw(b"!"))
        for frame in (
            node.frame(PRIVATE, packet, src=source),
            node.frame(PRIVATE, ARP(op=1, psrc="10.0.0.7"), src=source, dst="ff:ff:ff:ff:ff:ff"),
        ):
            (told,) = node.explained([(PRIVATE, "in", _coming("", frame))])
            assert told["verdict"] == _verdict(node.arrives(PRIVATE, frame))
            assert (told["verdict"] == "pass") == source.startswith("aa:00:1")

    def test_in_words_with_the_exit_code_that_tells(self, node: Node) -> None:
        node.up(GUEST, tags("limited"))
        said = node.run(COMMAND, "explain", GUEST, "in", "src=192.0.2.1", "tcp", "dport=22")
        assert "[allow ssh] of the profile limited (passes)" in said
        assert said.splitlines()[-1] == "  PASS: no rule on its way drops it"
        script = f"{COMMAND} explain {GUEST} in tcp dport=23 --json; echo $?"
        told, code = node.run("sh", "-c", script).splitlines()
        assert (json.loads(told)["verdict"], code) == ("drop", "4")

    def test_members_of_a_group(self, node: Node) -> None:
        """By the sets of both backends; who is not in them any more is missed, and so is who is no member."""
        ends, ident = ENDS[GUEST, 4], f"{KEY}-0000-4000-8000-000000000001"
        rules = (Rule("ingress", 4, "tcp", 22, 22, None, ident),)
        said = groups.encode(Group(ident, "physics", "web", "", 0, 0, rules), 1)
        node.write("/var/lib/ganeti/ssconf_cluster_tags", "".join(f"{tag}\n" for tag in said))
        told = {True: f"{KEY} {ends.peer}", False: f"{KEY} 10.0.0.250"}
        for comes, line in told.items():
            node.write("/run/ganeti-ext/members/told", f"1.0\n{line}\n")
            node.up(GUEST, tags(f"@{KEY}"))
            (one,) = node.explained([(GUEST, "in", [f"src={ends.peer}", "tcp", "dport=22"])])
            frame = node.frame(GUEST, ends.to_guest(TCP(sport=3000 + comes, dport=22)))
            assert (one["verdict"] == "pass", node.arrives(GUEST, frame)) == (comes, comes)
        assert f"[allow {KEY}-0]" in node.run(COMMAND, "show", GUEST)
        for tap in TAPS[1:]:
            node.up(tap)
        before = check(node)
        assert [one for one in before if "members" in one["found"] or "match-set" in one["found"]] == []
        names = {family: _SETS[node.backend].format(family, KEY) for family in (4, 6)}
        if node.backend == NFT:
            set4, set6 = (f"inet ganeti_ext {names[family]}" for family in (4, 6))
            text = f"flush set {set4}\nadd element {set4} {{ 10.0.0.66 }}\nadd element {set6} {{ 2001:db8::66 }}\n"
            node.run("nft", "-f", "-", stdin=text)
        else:
            node.run("/usr/bin/python3", "-c", _PUT.format({KEY: ["10.0.0.66", "2001:db8::66"]}))
        found = [one for one in check(node) if one not in before]
        assert [(one["tap"], one["found"]) for one in found] == [
            (GUEST, f"security group {KEY} ('web' of project physics): {words}, by which they come to {GUEST}")
            for words in (
                f"10.0.0.250 is a member, and is missing in {names[4]}",
                f"10.0.0.66 is no member, and is in {names[4]}",
                f"2001:db8::66 is no member, and is in {names[6]}",
            )
        ]
        mend(node, found)
        assert check(node) == before
        node.run("rm", "-r", "/run/ganeti-ext/members", "/var/lib/ganeti/ssconf_cluster_tags")
        node.up(GUEST)


class TestCheck:
    """What is broken is found; what is said about it mends it."""

    @pytest.fixture(autouse=True)
    def healed(self, node: Node, request: pytest.FixtureRequest) -> Iterator[None]:
        """Set up anew, unless the test before has left everything as it was here."""
        broken = request.node.callspec.params.get("broken", "")
        if node.backend == IPTABLES and broken and not any(part in broken for part in OF_PROFILES):
            pytest.skip("the same with both backends")
        if not node.healed:
            for tap in TAPS:
                node.up(tap, tags("limited"))
            assert check(node) == []
        node.healed = False
        yield

    @pytest.mark.parametrize(
        ("broken", "tap", "found"),
        [
            ("nft flush ruleset", "", "there is no table bridge ganeti_ext"),
            (
                "nft delete element netdev ganeti_ext macs '{ \"tap0\" . 52:54:00:00:00:01 }'",
                GUEST,
                "is missing in macs",
            ),
            (
                "nft add element netdev ganeti_ext ip4 '{ \"tap0\" . 10.0.0.66 }'",
                GUEST,
                "10.0.0.66 in ip4 is in no record",
            ),
            (
                "nft add element netdev ganeti_ext macs '{ \"tap9\" . 52:54:00:00:00:09 }'",
                "tap9",
                "in macs is in no record",
            ),
            ("nft add chain netdev ganeti_ext port_999", "", "chain port_999 of netdev ganeti_ext is of no tap"),
            ("nft flush chain netdev ganeti_ext from_arp", "", "chain from_arp of netdev ganeti_ext: 4 of its rules"),
            (
                "nft add rule bridge ganeti_ext reach drop",
                "",
                "reach of bridge ganeti_ext: 0 of its rules are missing, 1",
            ),
            ("nft flush map bridge ganeti_ext profile", GUEST, '"tap0" is missing in profile of bridge'),
            ("ip link set tap0 nomaster", GUEST, "it is no port of br0"),
            ("ip link set tap0 down", GUEST, "it is down"),
            ("sysctl -qw net.ipv6.conf.all.forwarding=0", ROUTED, "net/ipv6/conf/all/forwarding is off"),
            ("sysctl -qw net.ipv6.conf.uplink.proxy_ndp=0", UPLINKED, "nobody finds the guest's 2001:db8:8:0:5054:"),
            ("sysctl -qw net.ipv4.conf.uplink.forwarding=0", UPLINKED, "nobody finds the guest's 10.0.8.6"),
            (
                "sysctl -qw net.ipv4.conf.tap3.proxy_arp=0",
                UPLINKED,
                "nobody answers when the guest asks for its gateway",
            ),
            ("ip neigh del proxy 10.0.8.6 dev uplink", UPLINKED, "nobody answers for 10.0.8.6 on uplink"),
            ("ip neigh del proxy 2001:db8:8::5054:ff:fe00:4 dev uplink", UPLINKED, "nobody answers for 2001:db8:8:0:5"),
            ("sysctl -qw net.bridge.bridge-nf-call-ip6tables=0", GUEST, "profile limited cannot judge"),
        ],
    )
    def test_it_is_found_and_mended(self, node: Node, broken: str, tap: str, found: str) -> None:
        node.run("sh", "-c", broken)
        findings = check(node)
        assert any(found in one["found"] and (one["tap"] or "") == tap for one in findings), findings
        mend(node, findings)
        assert check(node) == []
        node.healed = True

    @pytest.mark.parametrize(
        ("broken", "found"),
        [
            ("ip rule del iif tap3 table 100", "what comes from it by IPv4 does not go by table 100"),
            ("ip -6 rule del iif tap3 table 100", "what comes from it by IPv6 does not go by table 100"),
            ("ip route del 10.0.8.6 dev tap3 table 100", "there is no route to 10.0.8.6/32 in table 100"),
            ("ip route del 10.0.9.6 dev tap1", "there is no route to 10.0.9.6/32 in table main"),
            (
                "ip route del 2001:db8:9::5054:ff:fe00:2 dev tap1",
                "there is no route to 2001:db8:9:0:5054:ff:fe00:2/128",
            ),
        ],
    )
    def test_what_routing_lacks(self, node: Node, broken: str, found: str) -> None:
        node.run("sh", "-c", broken)
        broken_tap = UPLINKED if UPLINKED in broken else ROUTED
        (one,) = check(node)
        assert (one["tap"], one["todo"]) == (broken_tap, "restart the instance, or migrate it away and back")
        assert found in one["found"]

    def test_rules_of_iptables(self, node: Node) -> None:
        if node.backend != IPTABLES:
            pytest.skip("the other backend")
        node.run("iptables-legacy", "-D", "FORWARD", "1")
        node.run("ip6tables-legacy", "-F", "ganeti-ext-limited")
        findings = check(node)
        assert any("there is no rule iptables -A FORWARD" in one["found"] for one in findings)
        assert any("there is no rule ip6tables -A ganeti-ext-limited" in one["found"] for one in findings)
        mend(node, findings)
        assert check(node) == []

    def test_a_binding_that_is_gone_or_of_another(self, node: Node) -> None:
        path = node.path(f"/var/lib/nfdhcpd/{GUEST}")
        text = path.read_text()
        path.unlink()
        (one,) = check(node)
        assert (one["tap"], "No such file" in one["found"]) == (GUEST, True)
        path.write_text(text.replace("52:54:00:00:00:01", "52:54:00:00:00:66"))
        (one,) = check(node)
        assert "is of another guest: 52:54:00:00:00:66" in one["found"]

    def test_what_a_tap_that_is_gone_has_left_is_reaped(self, node: Node) -> None:
        node.run("ip", "link", "del", PRIVATE)
        (one,) = check(node)
        assert (one["tap"], one["todo"]) == (PRIVATE, "ganeti-ext-net reap")
        said = node.run(COMMAND, "reap")
        assert said.startswith(f"{PRIVATE} of gx-{PRIVATE}: undone:\n")
        assert PRIVATE not in node.run(COMMAND, "list")
        assert check(node) == []
        assert node.run(COMMAND, "reap") == ""
        with node.network():
            node.taps[PRIVATE] = type(node.taps[PRIVATE])(PRIVATE)

    def test_a_tap_that_stands_is_reaped_by_force_alone(self, node: Node) -> None:
        done = node.run("sh", "-c", f"{COMMAND} reap {PRIVATE} 2>&1; echo $?")
        assert done.endswith("until the instance is restarted or migrated\n1\n")
        assert check(node) == []
        (account,) = map(json.loads, node.run(COMMAND, "reap", PRIVATE, "--force", "--json").splitlines())
        assert account["undone"][:2] == [f"ip link set dev {PRIVATE} down", f"ip link set dev {PRIVATE} nomaster"]
        assert PRIVATE not in node.run("nft", "list", "ruleset")
        assert check(node) == []

    def test_a_tap_of_ganetis_that_nobody_set_up(self, node: Node) -> None:
        node.write("/run/ganeti/kvm-hypervisor/nic/gx-9.example.org/0", "watcher")
        (one,) = check(node)
        assert (one["tap"], "Ganeti made it for gx-9.example.org" in one["found"]) == ("watcher", True)
        node.run("rm", "-r", "/run/ganeti/kvm-hypervisor")

    def test_a_profile_whose_file_is_gone(self, node: Node) -> None:
        node.up(GUEST, tags("own"))
        path = node.path("/etc/ganeti-ext/profiles/own.conf")
        text = path.read_text()
        path.unlink()
        try:
            assert any("there is no firewall profile 'own'" in one["found"] for one in check(node))
        finally:
            path.write_text(text)
        assert check(node) == []

    def test_a_configuration_that_cannot_be_read(self, node: Node) -> None:
        node.write("/etc/other.conf", "[network]\nfirewalls = nftables\n")
        said = node.run("sh", "-c", f"{COMMAND} check --config /etc/other.conf; echo $?")
        assert "unknown key 'firewalls'" in said
        assert said.endswith("\n1\n")


class TestTelling:
    """What is told of taps and profiles."""

    def test_list_and_show(self, node: Node) -> None:
        node.up(GUEST, tags("limited"))
        head, first, *_ = node.run(COMMAND, "list").splitlines()
        assert head.split()[:3] == ["TAP", "STATE", "INSTANCE"]
        assert first.split()[:5] == [GUEST, "up", f"gx-{GUEST}", "0", "bridged"]
        said = node.run(COMMAND, "show", GUEST)
        assert "limited (number" in said
        assert "by the tag ganeti-ext:firewall:limited" in said
        assert "TCP to port 22 may come from anywhere [allow ssh]" in said

    def test_everybody_may_read(self, node: Node) -> None:
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        assert node.run(*nobody, COMMAND, "list") == node.run(COMMAND, "list")
        assert node.run(*nobody, COMMAND, "explain", GUEST, "out").endswith("no rule on its way drops it\n")
        refused = node.run("sh", "-c", f"{' '.join(nobody)} {COMMAND} check 2>&1; echo $?")
        assert refused == "ganeti-ext-net: check looks at the kernel's rules: be root\n1\n"

    def test_profiles(self, node: Node) -> None:
        rows = {row["profile"]: row for row in map(json.loads, node.run(COMMAND, "profiles", "--json").splitlines())}
        assert set(rows) == set(PROFILES)
        assert rows["own"]["file"] == "/etc/ganeti-ext/profiles/own.conf"
        node.write("/tmp/new.conf", "[profile]\nnew = no\n[allow web]\nprotocol = tpc\n")
        said = node.run("sh", "-c", f"{COMMAND} profiles --check /tmp/new.conf {rows['own']['file']}; echo $?")
        first, second, code = said.splitlines()
        assert "[profile] new has a bad value 'no'" in first
        assert "[allow web] protocol has a bad value 'tpc'" in second
        assert code == "1"


def _coming(name: str, frame: bytes) -> list[str]:
    """A frame to a guest in words: what routes and conntrack do to it is not in it."""
    state = [STATES[name]] if name in STATES else []
    said = [word for word in words(frame) if not word.startswith(("target=", "op=", "sender-mac="))]
    return said + state


def _leaves(node: Node, frame: bytes) -> bool:
    """Whether the watcher sees the guest's frame; what the wire sends behind it proves that it was looked for."""
    node.taps["watcher"].received()
    node.taps[GUEST].send(frame)
    node.taps["wire"].send(MARK)
    seen = node.taps["watcher"].received()
    assert MARK in seen
    return frame in seen


def _alone(node: Node, frame: bytes) -> bool:
    """Whether a frame comes to the guest where nothing else may; ARP behind it always does."""
    last = node.frame(GUEST, ARP(op=1, hwsrc=PEER_MAC, psrc="10.0.0.99", pdst="10.0.0.5"))
    node.taps[GUEST].received()
    node.taps["wire"].send(frame)
    node.taps["wire"].send(last)
    seen = node.taps[GUEST].received()
    assert last in seen
    return frame in seen


def _verdict(passes: bool) -> str:
    return "pass" if passes else "drop"


_SETS = {NFT: "members{}_{}", IPTABLES: "ganeti-ext-members{}-{}"}
_PUT = f"import sys; sys.path.insert(0, {layer.HERE!r}); from kvm_ifup import ipset; ipset.put(['{KEY}'], {{}})"
