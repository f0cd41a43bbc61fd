"""The binding file: what kvm_ifup leaves for nfdhcpd, one file a tap, named like the tap.

Lines of KEY=value without quoting; unknown keys are left alone, empty means unset. The keys are the
original nfdhcpd's, plus IFINDEX and INSTANCE:

    INDEV      interface whose MAC answers (bridge of a bridged tap, else the tap)
    IP MAC HOSTNAME SUBNET GATEWAY SUBNET6 GATEWAY6 EUI64 MTU
    MACSPOOF   any value: do not compare the client's MAC
    PRIVATE    any value: no router is told
    TAGS       for people
    IFINDEX    the tap's index when the file was written: a file left from another tap of that name is stale
    INSTANCE   the instance's name in Ganeti, for logs

and each of TERMS in upper case: what this guest is told, in place of what nfdhcpd.conf says.
"""

from __future__ import annotations

import os
from collections import namedtuple

from ganeti_ext import files
from ganeti_ext.errors import ExtError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = "/var/lib/nfdhcpd"

# What a guest can be told beside its addresses; nfdhcpd/terms.py gives their meaning and form.
TERMS = (
    *("lease", "nameservers", "domain", "search", "ntp", "routes", "options", "ipv6_only"),
    *("boot_server", "boot_file", "boot_efi", "boot_http", "boot_ipxe"),
    *("ipv6_mode", "router_preference", "pref64", "prefix6", "options6", "only"),
)
# Those that may have several values, separated by blanks.
LISTS = ("nameservers", "search", "ntp", "routes", "options", "options6")

_TEXT = ("indev", "ip", "subnet", "gateway", "subnet6", "gateway6", "eui64")
_NUMBER = ("mtu", "ifindex")
_FLAG = ("macspoof", "private")


class BindingError(ExtError):
    """A binding file that cannot be used."""


class Binding(
    namedtuple(
        "Binding",
        "tap mac hostname instance indev ip subnet gateway subnet6 gateway6 eui64 mtu ifindex macspoof private tags "
        "terms",
        defaults=("", None, None, None, None, None, None, None, None, None, False, False, (), ()),
    )
):
    """What one NIC is to be told. Subnets are CIDR texts, addresses texts; `terms` are pairs of a name and its text."""

    __slots__ = ()
    tap: str
    mac: str
    hostname: str
    instance: str
    indev: str | None
    ip: str | None
    subnet: str | None
    gateway: str | None
    subnet6: str | None
    gateway6: str | None
    eui64: str | None
    mtu: int | None
    ifindex: int | None
    macspoof: bool
    private: bool
    tags: tuple[str, ...]
    terms: tuple[tuple[str, str], ...]


def path(tap: str, directory: str = DIRECTORY) -> str:
    return os.path.join(directory, tap)


def write(binding: Binding, directory: str = DIRECTORY) -> None:
    """Put the file of a tap in place, replacing an older one at once."""
    files.replace(path(binding.tap, directory), render(binding))


def remove(tap: str, directory: str = DIRECTORY) -> bool:
    """Take a tap's file away; tell whether there was one."""
    return files.remove(path(tap, directory))


def read(tap: str, directory: str = DIRECTORY) -> Binding:
    """The binding of a tap; BindingError says what is wrong with the file."""
    name = path(tap, directory)
    try:
        with open(name, encoding="utf-8") as file:
            return parse(tap, file.read())
    except (OSError, UnicodeDecodeError) as err:
        raise BindingError(f"{name}: {err}") from err


def taps(directory: str = DIRECTORY) -> Iterator[str]:
    """Names of the taps that have a file; drafts (dot-files) are not theirs."""
    for entry in os.scandir(directory):
        if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
            yield entry.name


def render(binding: Binding) -> str:
    """The file's text."""
    lines = [f"MAC={binding.mac}", f"HOSTNAME={binding.hostname}", f"INSTANCE={binding.instance}"]
    for name in (*_TEXT, *_NUMBER):
        value = getattr(binding, name)
        lines.append(f"{name.upper()}={'' if value is None else value}")
    lines += [f"{name.upper()}={'yes' if getattr(binding, name) else ''}" for name in _FLAG]
    lines.append(f"TAGS={' '.join(binding.tags)}")
    lines += [f"{name.upper()}={value}" for name, value in binding.terms]
    return "\n".join(lines) + "\n"


def parse(tap: str, text: str) -> Binding:
    """What a file's text says; BindingError when it lacks a MAC or host name or holds a bad number."""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals:
            found[key] = value.strip().strip('"')
    if not found.get("MAC") or not found.get("HOSTNAME"):
        raise BindingError(f"binding of {tap}: MAC and HOSTNAME must be set")
    return Binding(
        tap=tap,
        mac=found["MAC"].lower(),
        hostname=found["HOSTNAME"],
        instance=found.get("INSTANCE", ""),
        **{name: found.get(name.upper()) or None for name in _TEXT},
        **{name: _number(tap, name, found.get(name.upper(), "")) for name in _NUMBER},
        **{name: bool(found.get(name.upper())) for name in _FLAG},
        tags=tuple(found.get("TAGS", "").split()),
        terms=tuple((name, found[name.upper()]) for name in TERMS if found.get(name.upper())),
    )


def _number(tap: str, name: str, text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise BindingError(f"binding of {tap}: {name.upper()} has a bad value {text!r}")
    return int(text)
