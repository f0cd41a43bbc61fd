"""Which firewall profile a NIC has, and what the node needs for it."""

from __future__ import annotations

from kvm_ifup import profile_nft, profiles, selection
from kvm_ifup.modes import has_tag
from kvm_ifup.numbers import Numbers
from kvm_ifup.plan import Firewall
from kvm_ifup.profile import DROP
from kvm_ifup.reach import network
from kvm_ifup.state import DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ganeti_ext.nicenv import Nic
    from kvm_ifup.settings import Settings


def of(nic: Nic, settings: Settings, directory: str = DIRECTORY) -> Firewall:
    """The profile that its tags choose; ContractError or ConfigError when there is none such."""
    name = selection.choose(nic, settings.default_profile).profile
    drops = profiles.load(name).new == DROP  # before a number is given to a name that is none
    zone = None
    if has_tag(nic, settings.tag_private_filtered):
        zone = Numbers("zones", 65535, directory).of(network(nic.mac, settings.mac_mask))
    number = Numbers("profiles", 4095, directory).of(name)
    return Firewall(profile=name, number=number, drops=drops, text=rules([name], settings, directory), zone=zone)


def rules(names: Iterable[str], settings: Settings, directory: str = DIRECTORY) -> str:
    """The text that makes the rules of profiles; with the iptables backend the greater part is put in place at once."""
    numbers = Numbers("profiles", 4095, directory)
    wanted = {numbers.of(name): profiles.load(name) for name in sorted(set(names))}
    mask, judge = int(settings.mark_mask, 16), settings.firewall == "nftables"
    if not judge:
        from kvm_ifup import iptables  # noqa: PLC0415 (python-iptables takes 300 ms)

        iptables.put(wanted, mask)
    return "".join(profile_nft.chains(profile, number, mask, judge=judge) for number, profile in wanted.items())
