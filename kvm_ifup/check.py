"""What must stand by the records, against what stands on the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganeti_ext import binding
from ganeti_ext.errors import ConfigError, ExtError
from kvm_ifup import (
    check_host,
    check_members,
    check_rules,
    facts,
    groups,
    ipset,
    iptables,
    iptables_rule,
    member_sets,
    memberfile,
    profiles,
    required,
)
from kvm_ifup.check_rules import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from kvm_ifup.listing import Listing
    from kvm_ifup.profile import Profile
    from kvm_ifup.settings import Settings
    from kvm_ifup.standing import Node
    from kvm_ifup.state import Record, Records

REAP = "ganeti-ext-net reap"


class Check:
    """One look over the node."""

    def __init__(
        self,
        settings: Settings,
        records: Records,
        node: Node,
        index: Callable[[str], int | None] = facts.ifindex,
    ) -> None:
        self._settings = settings
        self._records = records
        self._node = node
        self._index = index
        self.taps: dict[str, Record] = {}  # those that are there
        self._gone: set[str] = set()  # names of those that are not, and of their chains

    def findings(self) -> Iterator[Finding]:
        """All that is not as it must be; ExtError when the node cannot be looked at."""
        yield from self._recorded()
        yield from self._unknown()
        yield from self._bindings()
        used = yield from self._profiles()
        yield from self._rules(used)
        yield from self._host(used)

    def _recorded(self) -> Iterator[Finding]:
        for tap in sorted(self._records.taps()):
            try:
                record = self._records.read(tap)
            except ExtError as err:
                yield Finding(tap, str(err), "remove the file and restart the instance")
                continue
            if record is None:
                continue
            if self._index(tap) == record.ifindex:
                self.taps[tap] = record
            else:
                self._gone |= {tap, f"port_{record.ifindex}"}
                yield Finding(tap, f"it is gone, and what it had for {record.instance} is not", REAP)

    def _unknown(self) -> Iterator[Finding]:
        for tap, instance in self._node.ganetis():
            if tap not in self.taps and not tap.startswith("gnt.com.") and self._index(tap) is not None:
                todo = f"restart {instance}, or migrate it away and back"
                yield Finding(tap, f"Ganeti made it for {instance}, and nothing of ours stands for it", todo)

    def _bindings(self) -> Iterator[Finding]:
        folder = self._settings.binding_directory
        for tap, record in self.taps.items():
            if record.binding is None:
                continue
            try:
                found = binding.read(tap, folder)
            except binding.BindingError as err:
                yield Finding(tap, str(err), check_host.AGAIN)
                continue
            if (found.ifindex, found.mac) != (record.ifindex, record.env["MAC"].lower()):
                yield Finding(tap, f"{record.binding} is of another guest: {found.mac}", check_host.AGAIN)
        try:
            bound = sorted(binding.taps(folder))
        except FileNotFoundError:
            return
        for tap in bound:
            if tap not in self.taps and tap not in set(self._records.taps()):
                yield from self._left(tap, folder)

    def _left(self, tap: str, folder: str) -> Iterator[Finding]:
        """A binding without a record. Without an ifindex it is an administrator's own."""
        try:
            found = binding.read(tap, folder)
        except binding.BindingError as err:
            yield Finding(tap, str(err), f"correct it, or rm {binding.path(tap, folder)}")
            return
        if found.ifindex is not None and self._index(tap) != found.ifindex:
            yield Finding(tap, f"{binding.path(tap, folder)} is of a tap that is gone", REAP)

    def _profiles(self) -> Generator[Finding, None, dict[str, Profile]]:
        found = {}
        for name in sorted({record.firewall.profile for record in self.taps.values() if record.firewall}):
            try:
                found[name] = profiles.load(name)
            except ConfigError as err:
                yield Finding(None, str(err), "correct that: until then no instance that has the profile starts")
        return found

    def _rules(self, used: Mapping[str, Profile]) -> Iterator[Finding]:
        taps = yield from self._apart()
        numbered = required.numbered(taps, used)
        there, known = self._node.rules(), memberfile.read()
        wanted = self._node.would_be(required.text(taps, numbered, self._settings, known))
        if taps:
            ports = {f"port_{record.ifindex}": tap for tap, record in self.taps.items()}
            yield from check_rules.rules(wanted, there, ports)
        yield from check_rules.more(wanted, there, self._gone)
        if self._settings.firewall == "iptables" and numbered:
            lines = iptables_rule.lines(required.legacy(numbered, self._settings))
            yield from check_rules.legacy(lines, iptables.found())
        yield from self._members(used, known, wanted, there)

    def _members(
        self, used: Mapping[str, Profile], known: Mapping[str, Iterable[str]], wanted: Listing, there: Listing
    ) -> Iterator[Finding]:
        """What the sets of groups hold by which taps let members come."""
        taps: dict[str, list[str]] = {}
        for tap, record in self.taps.items():
            profile = used.get(record.firewall.profile) if record.firewall else None
            for key in profile.groups if profile else ():
                taps.setdefault(key, []).append(tap)
        is_nftables = self._settings.firewall == "nftables"
        called = member_sets.name if is_nftables else member_sets.legacy
        sets = {called(key, family): (key, family) for key in sorted(taps) for family in member_sets.FAMILIES}
        groups_of = {key: check_members.Group(_called(key), tuple(of)) for key, of in taps.items()}
        named = {name: groups_of[key] for name, (key, _) in sets.items()}
        if is_nftables and "inet" in there.tables:  # else that is said already
            must, does = (check_members.of_nftables(each) for each in (wanted, there))
            yield from check_members.members(must, does, named)
        elif self._settings.firewall == "iptables" and sets:
            listed = {name: member_sets.of(*of, known) for name, of in sets.items()}
            yield from check_members.members(listed, ipset.held(listed), named)

    def _apart(self) -> Generator[Finding, None, list[Record]]:
        """The records, what two of them share in the first alone: there can be one of it."""
        found: list[Record] = []
        owners: dict[tuple[str, str], str] = {}
        for tap, record in self.taps.items():
            both = frozenset(owners) & record.shared()
            for one in sorted(both):
                yield Finding(tap, f"{' '.join(one)}: {owners[one]} has the same address", "let one have another")
            found.append(record.without(both))
            owners.update(dict.fromkeys(record.shared() - both, tap))
        return found

    def _host(self, used: Mapping[str, Profile]) -> Iterator[Finding]:
        taps = list(self.taps.values())
        links = self._node.links(check_host.tables(taps))
        ports = self._node.ports(tap for tap, record in self.taps.items() if record.env.get("MODE") == "openvswitch")
        for record in taps:
            yield from check_host.wiring(record, links, ports)
            for path, why in check_host.sysctls(record):
                if self._node.sysctl(path) not in ("1", None):
                    yield Finding(record.tap, f"{path} is off: {why}", f"sysctl -w {path}=1")
            bridge = record.firewall and record.firewall.bridge
            if record.firewall and bridge and record.firewall.profile in used:
                shown = self._node.shown(bridge)
                yield from check_host.judged(record, used[record.firewall.profile], shown)


def _called(key: str) -> str:
    """A group, by the name that its tenant gave it, where that is known."""
    found = groups.said(key).group
    return f"security group {key}" + (f" ({found.name!r:.60} of project {found.project:.40})" if found else "")
