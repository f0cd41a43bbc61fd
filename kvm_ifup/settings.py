"""/etc/ganeti-ext/network.conf, section [network]."""

from __future__ import annotations

from collections import namedtuple

from ganeti_ext import binding, config, nicenv, tags
from ganeti_ext.errors import ConfigError

PATH = "/etc/ganeti-ext/network.conf"
BACKENDS = ("nftables", "iptables")


class Settings(
    namedtuple(
        "Settings",
        "binding_directory tap_mac mac_mask mark_mask firewall default_profile"
        " tag_nfdhcpd tag_ip_less_routed tag_private_filtered tag_spoof_allowed",
        defaults=(
            binding.DIRECTORY,
            "cc:47:52:4e:45:54",
            "ff:ff:f0:00:00:00",
            "0x0fff0000",
            "nftables",
            "unprotected",
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
    """

    __slots__ = ()
    binding_directory: str
    tap_mac: str
    mac_mask: str
    mark_mask: str
    firewall: str
    default_profile: str
    tag_nfdhcpd: str
    tag_ip_less_routed: str
    tag_private_filtered: str
    tag_spoof_allowed: str


def load(path: str = PATH) -> Settings:
    """The settings of this node; ConfigError names what is wrong."""
    found = config.load(path, "network", Settings)
    if found.firewall not in BACKENDS:
        raise ConfigError(f"{path}: [network] firewall has a bad value {found.firewall!r}: nftables or iptables")
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
    if not 0 < number < 1 << 32 or (number // (number & -number) + 1) & (number // (number & -number)):
        raise ValueError("expected one run of bits, such as 0x0fff0000")
    return number
