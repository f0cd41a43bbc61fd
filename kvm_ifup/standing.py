"""What stands on this node now: rules, links, routes, sysctls. It reads, and changes nothing."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from ganeti_ext import command
from ganeti_ext.errors import CommandError, ExtError
from kvm_ifup import listing
from kvm_ifup.check_host import Links
from kvm_ifup.explain import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from kvm_ifup.listing import Listing

# Where Ganeti notes which tap it made for which NIC: INSTANCE/NIC, in it the tap's name.
GANETI_NICS = "/run/ganeti/kvm-hypervisor/nic"
# In a network namespace of its own, where nothing of ours is touched.
_APART = ("unshare", "--net", "sh", "-c", "nft -f - && exec nft -j list ruleset")
_HOOK = re.compile(r"^(add chain netdev ganeti_ext port_\d+) \{.*\}$", re.MULTILINE)


class Node:
    """`run` starts a program; `root` is where /proc, /sys and /run are."""

    def __init__(self, run: Callable[..., str] = command.run, root: str = "/") -> None:
        self._run = run
        self._root = root

    def rules(self) -> Listing:
        """What is ours in the kernel's rules."""
        return self._listing(["nft", "-j", "list", "ruleset"], "")

    def would_be(self, text: str) -> Listing:
        """The rules that a text makes, as this node's nft says them. Taps' own chains are without their hooks."""
        return self._listing(_APART, _HOOK.sub(r"\1", text))

    def links(self, tables: Iterable[str]) -> Links:
        """Links, proxied addresses, and what is in these routing tables."""
        links = self._ip("link", "show")
        routes, rules = {}, {}
        for table in tables:
            for version, family in ((4, "-4"), (6, "-6")):
                found = self._ip(family, "route", "show", "table", table)
                routes[table, version] = frozenset((route["dst"], route.get("dev", "")) for route in found)
                found = self._ip(family, "rule", "list", "table", table)
                rules[table, version] = frozenset(rule["iif"] for rule in found if "iif" in rule)
        proxies = [*self._ip("-4", "neigh", "show", "proxy"), *self._ip("-6", "neigh", "show", "proxy")]
        return Links(
            masters={link["ifname"]: link["master"] for link in links if "master" in link},
            up=frozenset(link["ifname"] for link in links if "UP" in link["flags"]),
            routes=routes,
            rules=rules,
            proxies=frozenset((proxy["dst"], proxy["dev"]) for proxy in proxies),
        )

    def ports(self, taps: Iterable[str]) -> dict[str, str]:
        """The bridges of Open vSwitch that these taps are ports of."""
        found = {}
        for tap in taps:
            try:
                found[tap] = self._run(["ovs-vsctl", "port-to-br", tap]).strip()
            except CommandError:
                continue
        return found

    def sysctl(self, path: str) -> str | None:
        """A value below /proc/sys; None where the kernel has none such."""
        return self._text("proc/sys", path)

    def shown(self, bridge: str) -> Seen:
        """What br_netfilter shows to the IP tables of what comes over a bridge."""
        ip4, ip6, tagged = (
            self.sysctl(f"net/bridge/bridge-nf-{key}") == "1"
            for key in ("call-iptables", "call-ip6tables", "filter-vlan-tagged")
        )
        own4, own6 = (
            self._text("sys/class/net", bridge, "bridge", f"nf_call_{name}") == "1"
            for name in ("iptables", "ip6tables")
        )
        return Seen(ip4 or own4, ip6 or own6, tagged)

    def mac(self, interface: str) -> str | None:
        return self._text("sys/class/net", interface, "address")

    def ganetis(self) -> Iterator[tuple[str, str]]:
        """Taps that Ganeti has made for instances, and theirs."""
        folder = os.path.join(self._root, GANETI_NICS[1:])
        for instance in self._names(folder):
            for nic in self._names(os.path.join(folder, instance)):
                tap = self._text(GANETI_NICS[1:], instance, nic)
                if tap:
                    yield tap, instance

    def _names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _text(self, *parts: str) -> str | None:
        try:
            with open(os.path.join(self._root, *parts), encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _listing(self, argv: Iterable[str], text: str) -> Listing:
        said = self._run(list(argv), stdin=text)
        try:
            return listing.parse(said)
        except (ValueError, KeyError, TypeError) as err:
            raise ExtError(f"{' '.join(argv)}: cannot read what it says: {err!r}") from err

    def _ip(self, *words: str) -> list[dict[str, Any]]:
        """What `ip -j` says; nothing when there is no such table."""
        try:
            said = self._run(["ip", "-j", *words])
        except CommandError as err:
            if "FIB table does not exist" in str(err) or "invalid table" in str(err):
                return []
            raise
        found: list[dict[str, Any]] = json.loads(said or "[]")
        return found
