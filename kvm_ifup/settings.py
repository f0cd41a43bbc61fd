"""/etc/ganeti-ext/network.conf, section [network]."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext import binding, config, nicenv, tags
from ganeti_ext.errors import ConfigError

PATH = "/etc/ganeti-ext/network.conf"
BACKENDS = ("nftables", "iptables")
ALWAYS, NEEDED = "always", "needed"


class Settings(
    namedtuple(
        "Settings",
        "binding_directory tap_mac mac_mask mark_mask firewall default_profile track"
        " tag_nfdhcpd tag_ip_less_routed tag_private_filtered tag_spoof_allowed",
        defaults=(
            binding.DIRECTORY,
            "cc:47:52:4e:45:54",
            "ff:ff:f0:00:00:00",
            "0x0fff0000",
            "nftables",
            "unprotected",
            ALWAYS,
            tags.NFDHCPD,
            tags.IP_LESS_ROUTED,
            tags.PRIVATE_FILTERED,
            tags.SPOOF_ALLOWED,
        ),
    )
):
    """What an administrator may choose.

    `tap_mac` is that of every routed tap: a guest that moves keeps its gateway's. `mac_mask` has the bits that
    guests of one `private-filtered` network share. `mark_mask` has the bits of packet marks that profiles may use.
    `track` tells when connections are followed: always, or while a profile on this node needs it.
    """

    __slots__ = ()
    binding_directory: str
    tap_mac: str
    mac_mask: str
    mark_mask: str
    firewall: str
    default_profile: str
    track: str
    tag_nfdhcpd: str
    tag_ip_less_routed: str
    tag_private_filtered: str
    tag_spoof_allowed: str


def load(path: str = PATH) -> Settings:
    """The settings of this node; ConfigError names what is wrong."""
    found = config.load(path, "network", Settings)
    for key, values in (("firewall", BACKENDS), ("track", (ALWAYS, NEEDED))):
        value = getattr(found, key)
        if value not in values:
            raise ConfigError(f"{path}: [network] {key} has a bad value {value!r}: {' or '.join(values)}")
    for key, check in (("tap_mac", nicenv.mac), ("mac_mask", _front), ("mark_mask", _mask)):
        value = getattr(found, key)
        try:
            check(value)
        except ValueError as err:
            raise ConfigError(f"{path}: [network] {key} has a bad value {value!r}: {err}") from err
    return found


def _front(text: str) -> str:
    """A mask of the first bits of a MAC: what has its bits elsewhere names no range of addresses."""
    bits = int(nicenv.mac(text).replace(":", ""), 16)
    rest = bits ^ (1 << 48) - 1
    if not bits or rest & (rest + 1):
        raise ValueError("expected the first bits of a MAC, such as ff:ff:f0:00:00:00")
    return text


def _mask(text: str) -> int:
    number = int(text, 16)
    ones = number // (number & -number) if number else 0
    if not (ones > 1 and number < 1 << 32) or (ones + 1) & ones:
        raise ValueError("expected one run of bits, two at least, such as 0x0fff0000")
    return number
