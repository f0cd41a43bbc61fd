"""The address service on real nodes: what a guest was told holds when it moves."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from types import TracebackType

import pytest

from lab import wires
from lab.capture import Capture
from lab.console import Console
from lab.ganeti import NETWORK
from lab.node import Node
from lab.step import until
from lab.story import Story, create_words

NAME = "roamer"
SILENCE = 1.5  # seconds; the guest stands still for a fraction of one, longer on a machine that has much to do
DHCP = "udp port 67 or udp port 68"
# What a guest would lose with a lease that is not renewed. A look each tenth of a second: busybox has no `ip monitor`.
_WATCH = """\
(while :; do
  ip -4 addr show dev eth0 | grep -q 'inet {ip4}/' || echo address >> /tmp/lost
  ip -6 addr show dev eth0 | grep -q 'inet6 {ip6}/' || echo address6 >> /tmp/lost
  ip -4 route | grep -q '^default' || echo router >> /tmp/lost
  ip -6 route | grep -q '^default' || echo router6 >> /tmp/lost
  usleep 100000
done >/dev/null 2>&1 &)"""


@pytest.fixture
def roamer(story: Story) -> Iterator[str]:
    """A server that has its addresses; deleted afterwards."""
    story.ids[NAME] = story.tenant.openstack(*create_words(NAME), "--wait")["id"]
    with story.console(NAME) as console:
        assert console.report()["address6"]
    yield NAME
    story.tenant.run("server", "delete", "--wait", story.ids.pop(NAME))


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


def renew(console: Console, node: Node, tap: str) -> None:
    """Make the guest's client renew its lease, and see that this node's daemon acknowledged it, and no more.

    udhcpc may ask twice: an answer that comes before it has closed the socket that it asked by is lost to it.
    """
    before = leases(console)
    with Capture(wires.namespace(node.number), tap, DHCP, "-v") as capture:
        console.ask("kill -USR1 $(cat /tmp/udhcpc.pid)")
        console.ask(f"until [ $(wc -l < /tmp/leases) -gt {len(before)} ]; do usleep 100000; done", timeout=20)
    said = re.findall(r"DHCP-Message \(53\), length 1: (\w+)", "\n".join(capture.lines))
    assert said in (["Request", "ACK"], ["Request", "ACK"] * 2)


def leases(console: Console) -> list[str]:
    """What the guest's client had to do, oldest first: `bound ADDRESS`, `renew ADDRESS`, `deconfig`, `nak`."""
    return [line.strip() for line in console.ask("cat /tmp/leases").splitlines()]


def advertised(console: Console) -> int:
    """How many router advertisements the guest has had."""
    return int(console.ask("awk '/^Icmp6InRouterAdvertisements/ {print $2}' /proc/net/snmp6"))


def test_lease_renews_after_live_migration(story: Story, roamer: str) -> None:
    source = story.node_of(roamer)
    ip4, ip6 = story.tenant.addresses(roamer, NETWORK)
    with Capture(wires.SWITCHES, "vms", DHCP) as leaked, Pings(ip4) as pings, Pings(ip6) as pings6:
        with story.console(roamer) as console:
            assert leases(console) == ["deconfig", f"bound {ip4}"]
            console.ask(_WATCH.format(ip4=ip4, ip6=ip6))
            renew(console, source, story.tap(roamer))
        story.gnt("instance", "migrate", "--force", story.instance(roamer))
        target = story.node_of(roamer)
        assert target.name != source.name
        with story.console(roamer) as console:
            before = advertised(console)
            renew(console, target, story.tap(roamer))
            assert leases(console) == ["deconfig", f"bound {ip4}", f"renew {ip4}", f"renew {ip4}"]
            until(f"{target.name} advertises the router", lambda: advertised(console) > before, 40)
            assert console.report()["boots"] == "1"
            assert console.ask("cat /tmp/lost 2>/dev/null; true") == ""
    assert leaked.lines == []  # what answered was on the guest's own node
    assert max(pings.longest_silence(), pings6.longest_silence()) < SILENCE
