"""The rules that must stand for the taps that are recorded, as the texts that make them. Values in, values out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kvm_ifup import member_sets, plan, profile_iptables, profile_nft

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kvm_ifup.iptables_rule import Legacy
    from kvm_ifup.profile import Profile
    from kvm_ifup.settings import Settings
    from kvm_ifup.state import Record

    Members = Mapping[str, Iterable[str]]


def numbered(records: Iterable[Record], profiles: Mapping[str, Profile]) -> dict[int, Profile]:
    """The profiles that taps have, by their numbers on this node; those whose file cannot be read are left out."""
    used = {(record.firewall.number, record.firewall.profile) for record in records if record.firewall}
    return {number: profiles[name] for number, name in sorted(used) if number and name in profiles}


def text(records: Iterable[Record], profiles: Mapping[int, Profile], settings: Settings, known: Members) -> str:
    """The nft text that makes all rules; of profiles that are left out, the chains that others go to are there.

    `known` are the members of groups (memberfile.py).
    """
    mask, judge = int(settings.mark_mask, 16), settings.firewall == "nftables"
    found = list(records)
    chains = dict.fromkeys(sorted({record.firewall.number for record in found if record.firewall} - {0}), "")
    for number in chains:
        if number in profiles:
            chains[number] = profile_nft.chains(profiles[number], number, mask, judge=judge)
        else:
            chains[number] = "".join(
                f"add chain {table} mark_{number}\n" for table in (profile_nft.INET, profile_nft.BRIDGE)
            )
    groups = {key for each in profiles.values() for key in each.groups} if judge else ()
    sets = member_sets.text(groups, known) if groups else ""
    return plan.skeleton(settings, found) + sets + "".join(chains.values()) + "".join(map(plan.stands, found))


def legacy(profiles: Mapping[int, Profile], settings: Settings) -> Legacy:
    """The chains of iptables by IP version; none where nftables judges, or nobody."""
    if settings.firewall != "iptables" or not profiles:
        return {}
    mask = int(settings.mark_mask, 16)
    return {family: profile_iptables.chains(profiles, family, mask) for family in profile_iptables.FAMILIES}
