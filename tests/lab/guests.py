"""Guests that an administrator makes with gnt-instance, and all that a node has for guests."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from lab.console import Console
from lab.node import Node
from lab.step import at_once, until
from lab.story import Story
from lab.wires import SWITCHES

TAG = "ganeti-ext:firewall"
_BETWEEN = "--------"
# All that may speak of a tap or of a guest's address, but for buckets that empty by themselves.
_LOOK = """
nft list ruleset | grep -v ' expires '
for family in -4 -6; do
  ip $family rule; ip $family route show table all; ip $family neigh show proxy
done
grep -r . /run/ganeti-ext/taps /var/lib/nfdhcpd
ls /sys/class/net
echo "$1"; ganeti-ext-net list --json
echo "$1"; ganeti-ext-net check --json
true
"""


class Guest:
    """An instance with one NIC; `home` is the node that it is on, which who moves it says."""

    def __init__(self, story: Story, name: str, home: Node) -> None:
        self.story, self.name, self.home = story, name, home
        self.addresses: list[str] = []

    def add(self, network: str, *words: str) -> None:
        """Create and start it; `words` are more of gnt-instance add. Then its addresses are known, IPv4 first."""
        nic = f"0:network={network},ip=pool"
        where = ("-n", self.home.name, "-t", "ext", "-o", "ganeti-ext+default", "--net", nic)
        # Whom Ganeti asks by ACPI, and who does not listen, is asked again 5 s later, whatever the timeout.
        self.gnt("add", *where, "-B", "vcpus=1", "-H", "kvm:acpi=false", *words)
        self.addresses = sorted(seen(self.home).tap(self.name)["addresses"], key=lambda text: ":" in text)

    def remove(self) -> None:
        """Nothing of it is left in Ganeti. Safe to repeat."""
        if self.name in self.story.gnt("instance", "list", "--no-headers", "-o", "name").split():
            self.gnt("remove", "--force", "--ignore-failures", "--shutdown-timeout=1")

    def gnt(self, verb: str, *words: str) -> None:
        """`gnt-instance VERB WORDS INSTANCE`."""
        self.story.gnt("instance", verb, *words, self.name)

    def tag(self, verb: str, profile: str) -> None:
        """Add or remove the tag that says a firewall profile."""
        self.story.gnt("instance", f"{verb}-tags", self.name, f"{TAG}:{profile}")

    def kill(self) -> None:
        """Its QEMU dies without notice."""
        self.home.run("sh", "-c", f"kill -9 $(cat /run/ganeti/kvm-hypervisor/pid/{self.name})")

    def console(self) -> Console:
        return Console(self.home, self.name)

    def reached(self) -> set[bool]:
        """Whether pings of the router come through, by IPv4 and IPv6: {True} or {False} when they agree."""
        return {pings(address) for address in self.addresses}

    def expect(self, *, open_: bool, within: float) -> None:
        """Wait until pings come through, or do not."""
        expect(f"{self.name} on {self.home.name}", self.addresses, open_=open_, within=within)


class Seen(NamedTuple):
    """What there is on a node: names of taps and addresses that anything there speaks of, and what the product says.

    `listed` and `findings` are `list` and `check` of ganeti-ext-net(8).
    """

    words: frozenset[str]
    listed: list[dict[str, Any]]
    findings: list[dict[str, Any]]

    def tap(self, instance: str) -> dict[str, Any]:
        """What is listed for an instance."""
        return next(tap for tap in self.listed if tap["instance"] == instance)

    def wrong(self, here: Mapping[str, Guest], guests: Iterable[Guest]) -> list[str]:
        """What is there and must not be, or must and is not, when of all guests those by their names are here."""
        listed = {tap["instance"]: tap["state"] for tap in self.listed}
        taps = {word for word in self.words if re.fullmatch(r"tap\d+", word)}
        known = {address for guest in guests for address in guest.addresses} & self.words
        compared: tuple[tuple[str, object, object], ...] = (
            ("listed", listed, dict.fromkeys(here, "up")),
            ("taps", taps, {tap["tap"] for tap in self.listed}),
            ("addresses", known, {address for guest in here.values() for address in guest.addresses}),
            ("check finds", self.findings, []),
        )
        return [f"{what}: {found}, must be {wanted}" for what, found, wanted in compared if found != wanted]


def seen(node: Node) -> Seen:
    """Look at a node."""
    text, listed, findings = node.run("sh", "-c", _LOOK, "sh", _BETWEEN).split(f"{_BETWEEN}\n")
    words = frozenset(re.findall(r"[\w:.]+", text.replace("/", " ")))
    return Seen(words, *([json.loads(line) for line in lines.splitlines()] for lines in (listed, findings)))


def expect(where: str, addresses: Iterable[str], *, open_: bool, within: float) -> None:
    """Wait until pings to all of a guest's addresses come through, or to none; TimeoutError after so many seconds."""
    if not open_:
        until(f"pings do not come through to {where}", lambda: not any(map(pings, addresses)), within)
        return
    # One after the other is sent until one is answered, as a guest may be slow to.
    calls = [partial(pings, address, "-i", "0.2", "-w", f"{within:g}") for address in addresses]
    if not all(at_once(calls)):
        raise TimeoutError(f"pings come through to {where}: not within {within:g} s")


def pings(address: str, *patience: str) -> bool:
    """Whether one is answered, of those that the words of ping(8) say; of one that is waited for 0.3 s without any."""
    argv = ["ip", "netns", "exec", SWITCHES, "ping", "-c", "1", *(patience or ("-W", "0.3")), address]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
