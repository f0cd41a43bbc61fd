"""The address service on real nodes: a Debian guest with cloud-init, and a guest that moves."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

import pytest

from lab import base, debian_guest, services, wires
from lab.capture import Capture
from lab.console import Console
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import until
from lab.story import Story, create_words

NAME, DEBIAN = "roamer", "debian"
_WATCHED = "/run/watched"
SILENCE = 1.5  # seconds; the guest stands still for a fraction of one, longer on a machine that has much to do
DISCOVERY = "udp port 67 or udp port 68 or udp port 547"
# What a guest would lose with a lease that is not renewed. A look each tenth of a second: busybox has no `ip monitor`.
_WATCH = """\
(while :; do
  ip -4 addr show dev eth0 | grep -q 'inet {ip4}/' || echo address >> /tmp/lost
  ip -6 addr show dev eth0 | grep -q 'inet6 {ip6}/' || echo address6 >> /tmp/lost
  ip -4 route | grep -q '^default' || echo router >> /tmp/lost
  ip -6 route | grep -q '^default' || echo router6 >> /tmp/lost
  usleep 100000
done >/dev/null 2>&1 &)"""


class Client(NamedTuple):
    """A client of the guest's busybox: its process, and what it notes.

    The notes are lines, oldest first: `bound ADDRESS`, `renew ADDRESS`, `deconfig`, `nak`.
    """

    pid: str
    notes: str

    def noted(self, console: Console) -> list[str]:
        return [line.strip() for line in console.ask(f"cat {self.notes}").splitlines()]

    def renew(self, console: Console) -> None:
        """Make the guest renew its lease, and wait until its client has noted something."""
        before = len(self.noted(console))
        console.ask(f"kill -USR1 $(cat {self.pid})")
        console.ask(f"until [ $(wc -l < {self.notes}) -gt {before} ]; do usleep 100000; done", timeout=20)


UDHCPC = Client("/tmp/udhcpc.pid", "/tmp/leases")
UDHCPC6 = Client("/tmp/udhcpc6.pid", "/tmp/leases6")


@contextlib.contextmanager
def watched(nodes: Iterable[Node], instance: str) -> Iterator[list[tuple[Node, str, str]]]:
    """What nfdhcpd was asked by an instance, and told it, on any of the nodes; there at the block's end."""
    found: list[tuple[Node, str, str]] = []
    with contextlib.ExitStack() as undo:
        for node in nodes:
            pid = node.run("sh", "-c", f"nfdhcpdctl watch --json >{_WATCHED} 2>&1 & echo $!").strip()
            undo.callback(node.run, "kill", pid)
            until(f"{node.name} is watched", lambda node=node: "watching" in node.read(_WATCHED), 10)  # type: ignore[misc]
        yield found
        for node in nodes:
            records = [json.loads(line) for line in node.read(_WATCHED).splitlines() if line.startswith("{")]
            found += [(node, each["asked"], each["told"]) for each in records if each["instance"] == instance]


class Pings:
    """The router's pings to a guest for the length of a `with` block, which begins with the first reply."""

    def __init__(self, address: str) -> None:
        self._command = ["ip", "netns", "exec", wires.SWITCHES, "ping", "-n", "-D", "-i", "0.1", address]
        self._times: list[float] = []

    def __enter__(self) -> Pings:
        self._ping = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._ping.stdout is not None
        while not self._times:
            self._read(self._ping.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = time.time()
        self._ping.terminate()
        said, _ = self._ping.communicate(timeout=10)
        for line in said.splitlines():
            self._read(line)
        self._times.append(end)

    def longest_silence(self) -> float:
        """Seconds without a reply, up to the end of the block."""
        return max(later - earlier for earlier, later in pairwise(self._times))

    def _read(self, line: str) -> None:
        if reply := re.match(r"\[(\d+\.\d+)\] \d+ bytes from ", line):
            self._times.append(float(reply[1]))


@pytest.fixture
def roamer(story: Story) -> Iterator[str]:
    """A server that has its addresses; deleted afterwards."""
    story.ids[NAME] = story.tenant.openstack(*create_words(NAME), "--wait")["id"]
    with story.console(NAME) as console:
        assert console.report()["address6"]
        console.ask(f"udhcpc6 -i eth0 -b -t 5 -T 1 -p {UDHCPC6.pid} -s /bin/lease6 >/dev/null 2>&1")
    yield NAME
    story.tenant.run("server", "delete", "--wait", story.ids.pop(NAME))


# What the tenant has a server told.
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f roamer@lab"
_USER_DATA = """#cloud-config
write_files: [{path: /root/by-user-data, content: "here\\n"}]
"""


class Told(NamedTuple):
    """A server that was told something when it was made."""

    name: str
    password: str


@pytest.fixture
def debian(story: Story) -> Iterator[Told]:
    """A server of Debian's kind, which boots; deleted afterwards with its image, flavor and key."""
    front, tenant = story.nodes[2], story.nodes[1]
    with contextlib.ExitStack() as undo:
        services.add_image(front, DEBIAN, debian_guest.image(base.root()))
        undo.callback(front.run, "ganeti-ext-manage", "image-delete", DEBIAN)
        front.run("ganeti-ext-manage", "flavor-create", DEBIAN, "--vcpus=1", "--ram=512", "--disk=2")
        undo.callback(front.run, "ganeti-ext-manage", "flavor-delete", DEBIAN)
        for name, text in (("key", _KEY), ("user-data", _USER_DATA)):
            tenant.write(f"/root/told/{name}", text)
        undo.callback(tenant.run, "rm", "-r", "/root/told")
        story.tenant.run("keypair", "create", "--public-key=/root/told/key", DEBIAN)
        undo.callback(story.tenant.run, "keypair", "delete", DEBIAN)
        words = ("server", "create", f"--image={DEBIAN}", f"--flavor={DEBIAN}", f"--network={NETWORK}", DEBIAN)
        # Not --file: the client of today fails over it by itself.
        told = (f"--key-name={DEBIAN}", "--user-data=/root/told/user-data")
        made = story.tenant.openstack(*words, *told, "--wait")
        story.ids[DEBIAN] = made["id"]
        undo.callback(story.tenant.run, "server", "delete", "--wait", story.ids[DEBIAN])
        yield Told(DEBIAN, made["adminPass"])
    del story.ids[DEBIAN]


def advertised(console: Console) -> int:
    """How many router advertisements the guest has had."""
    return int(console.ask("awk '/^Icmp6InRouterAdvertisements/ {print $2}' /proc/net/snmp6"))


def test_lease_renews_after_live_migration(story: Story, roamer: str) -> None:
    source, instance = story.node_of(roamer), story.instance(roamer)
    ip4, ip6 = story.tenant.addresses(roamer, NETWORK)
    clients = {UDHCPC: ip4, UDHCPC6: IPv6Address(ip6).exploded}
    with (
        Capture(wires.SWITCHES, "vms", DISCOVERY) as leaked,
        watched(story.nodes, instance) as seen,
        Pings(ip4) as pings,
        Pings(ip6) as pings6,
    ):
        with story.console(roamer) as console:
            console.ask(_WATCH.format(ip4=ip4, ip6=ip6))
            for client in clients:
                client.renew(console)
        story.gnt("instance", "migrate", "--force", instance)
        target = story.node_of(roamer)
        assert target.name != source.name
        with story.console(roamer) as console:
            before = advertised(console)
            for client, ip in clients.items():
                client.renew(console)
                assert client.noted(console) == ["deconfig", f"bound {ip}", f"renew {ip}", f"renew {ip}"]
            until(f"{target.name} advertises the router", lambda: advertised(console) > before, 40)
            assert console.report()["boots"] == "1"
            assert console.ask("cat /tmp/lost 2>/dev/null; true") == ""
    # A renewal by DHCPv6 names the server, and is answered by that one alone.
    renewals = {("REQUEST", f"ACK {ip4}"), ("RENEW6", f"REPLY6 {ip6}")}
    for node in (source, target):
        told = {(asked, answer) for where, asked, answer in seen if where is node and "no answer" not in answer}
        assert told == renewals, (node.name, seen)
    assert leaked.lines == []
    assert max(pings.longest_silence(), pings6.longest_silence()) < SILENCE


def _check_what_it_was_told(console: Console, ident: str, password: str) -> None:
    """By its seed: key, password and user data, for good."""
    assert console.ask("cloud-init query instance_id").strip() == ident
    assert console.ask("cat /home/debian/.ssh/authorized_keys").strip().endswith(_KEY)
    assert console.ask("cat /root/by-user-data") == "here\n"
    hashed = "getent shadow debian | cut -d: -f2"
    same = """perl -e 'print crypt($ARGV[0], $ARGV[1]) eq $ARGV[1] ? "same" : "another"'"""
    assert console.ask(f'{same} {password} "$({hashed})"') == "same"
    assert console.ask("blkid --label CIDATA").strip() == "/dev/vdb"


@pytest.mark.long
def test_cloud_init_brings_a_debian_up(story: Story, debian: Told) -> None:
    ip4, ip6 = story.tenant.addresses(debian.name, NETWORK)
    with story.console(debian.name) as console:
        console.ask("cloud-init status --wait", timeout=280)
        _check_what_it_was_told(console, story.ids[debian.name], debian.password)
        told = console.ask("grep ci-info: /var/log/cloud-init-output.log")
        console.ask("until ip -6 route | grep -q ^default; do sleep 0.2; done")
        (link,) = json.loads(console.ask("ip -json address show dev eth0"))
        routes = json.loads(console.ask("ip -json route")) + json.loads(console.ask("ip -json -6 route"))
        servers = console.ask("resolvectl dns eth0").split(":", 1)[1].split()
        name = console.ask("hostname").strip()
        lease = dict(
            line.split("=", 1) for line in console.ask("cat /run/systemd/netif/leases/*").split() if "=" in line
        )
        for target in (wires.GATEWAY, wires.GATEWAY6):
            console.ask(f"ping -c 3 -i 0.2 -W 5 {target}")
    assert {ip4, wires.GATEWAY} <= set(told.split())
    addresses = [each for each in link["addr_info"] if each["scope"] == "global"]
    assert {(each["local"], each["prefixlen"], each["dynamic"]) for each in addresses} == {
        (ip4, 24, True),
        (ip6, 64, True),
    }
    assert link["mtu"] == wires.MTU
    assert {(each["gateway"], each["protocol"]) for each in routes if each["dst"] == "default"} == {
        (wires.GATEWAY, "dhcp"),
        (wires.ROUTER6, "ra"),
    }
    assert set(servers) == {services.DNS, services.DNS6}
    assert name == debian.name
    assert {key: lease.get(key) for key in ("SERVER_ADDRESS", "HOSTNAME", "DOMAINNAME", "MTU", "LIFETIME")} == {
        "SERVER_ADDRESS": wires.GATEWAY,
        "HOSTNAME": debian.name,
        "DOMAINNAME": "lab.example",
        "MTU": str(wires.MTU),
        "LIFETIME": "1w",
    }
