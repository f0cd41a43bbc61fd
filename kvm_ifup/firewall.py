"""Which firewall profile a NIC has, and what the node needs for it."""

from __future__ import annotations

from ganeti_ext import selection
from kvm_ifup import groupfile, member_sets, memberfile, profile_nft, profiles
from kvm_ifup.modes import has_tag
from kvm_ifup.numbers import Numbers
from kvm_ifup.plan import Firewall, judging
from kvm_ifup.profile import DROP, LAST, is_composed
from kvm_ifup.reach import network
from kvm_ifup.state import DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ganeti_ext.nicenv import Nic
    from kvm_ifup.apply import Host
    from kvm_ifup.profile import Profile
    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Record, Records


def of(nic: Nic, settings: Settings, directory: str = DIRECTORY) -> Firewall:
    """The profile that its tags choose; ContractError or ConfigError when there is none such."""
    name = selection.choose(nic, settings.default_profile).profile
    profile = profiles.load(name)
    zone = None
    if has_tag(nic, settings.tag_private_filtered):
        zone = Numbers("zones", 65535, directory).of(network(nic.mac, settings.mac_mask))
    number, text = 0, ""
    if profile.judges:
        number, text = numbers(directory).of(name), rules([name], settings, directory)
    return Firewall(profile=name, number=number, drops=profile.new == DROP, text=text, zone=zone)


def stamp() -> object:
    """Which files of groups and of their members they are now: others, if anything of them has changed."""
    return groupfile.stamp(), memberfile.stamp()


def keep_up(record: Record, before: object, settings: Settings, host: Host, directory: str = DIRECTORY) -> None:
    """Say a profile's rules again if a group has changed since `before`, the `stamp` when they were made.

    The reaper may have said the new ones before the old ones were; it does the same, so the newest stand in the end.
    """
    assigned = record.firewall
    if assigned is None or not assigned.number or not is_composed(assigned.profile):
        return
    while (now := stamp()) != before:
        before = now
        host.restore(judging(settings) + rules([assigned.profile], settings, directory), [])


def numbers(directory: str = DIRECTORY) -> Numbers:
    """Those of profiles on this node."""
    return Numbers("profiles", LAST, directory)


def renumbered(record: Record, records: Records, directory: str = DIRECTORY) -> Record:
    """The record as its rules are to be said again: the file of its profile may have been edited since."""
    assigned = record.firewall
    if assigned is None:
        return record
    known = numbers(directory)
    if profiles.load(assigned.profile).judges:
        if not assigned.number:
            record = record._replace(firewall=assigned._replace(number=known.of(assigned.profile)))
            records.write(record)
    elif assigned.number != known.all().get(assigned.profile):  # of the profile that somebody died in changing to
        record = record._replace(firewall=assigned._replace(number=0))
    return record


def rules(names: Iterable[str], settings: Settings, directory: str = DIRECTORY) -> str:
    """The text that makes the rules of profiles; with the iptables backend the greater part is put in place at once."""
    wanted = {numbers(directory).of(name): profiles.load(name) for name in sorted(set(names))}
    mask, judge = int(settings.mark_mask, 16), settings.firewall == "nftables"
    sets = member_rules((key for profile in wanted.values() for key in profile.groups), settings)
    if wanted and not judge:
        _put(wanted, mask, directory)
    return sets + "".join(profile_nft.chains(profile, number, mask, judge=judge) for number, profile in wanted.items())


def member_rules(keys: Iterable[str], settings: Settings) -> str:
    """The text that makes the sets of groups hold their members; with the iptables backend that is done at once."""
    wanted = sorted(set(keys))
    if not wanted:
        return ""
    known = memberfile.read()
    if settings.firewall == "nftables":
        return member_sets.text(wanted, known)
    from kvm_ifup import ipset  # noqa: PLC0415 (the other backend starts faster without it)

    ipset.put(wanted, known)
    return ""


def no_member_rules(keys: Iterable[str], settings: Settings) -> str:
    """The text that takes the sets of groups away; with the iptables backend that is done at once."""
    if settings.firewall == "nftables":
        return member_sets.removal(keys)
    from kvm_ifup import ipset  # noqa: PLC0415 (the other backend starts faster without it)

    ipset.remove(keys)
    return ""


def _put(wanted: Mapping[int, Profile], mask: int, directory: str) -> None:
    from kvm_ifup.iptables_kept import Kept  # noqa: PLC0415 (the other backend starts faster without it)

    kept = Kept(directory)
    if not kept.stands(wanted, mask):
        from kvm_ifup import iptables  # noqa: PLC0415 (python-iptables takes 60 ms)

        iptables.put(wanted, mask, kept)
