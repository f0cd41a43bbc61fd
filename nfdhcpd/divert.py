"""Puts the rules in place that divert the guests' discovery to the daemon (chains.py) and limit it (limit.py)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ganeti_ext import command
from ganeti_ext.errors import CommandError, ExtError
from nfdhcpd import chains, limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from nfdhcpd.settings import Settings

BRIDGE = "/proc/sys/net/bridge"


class DivertError(ExtError):
    """The packets of guests cannot be diverted."""


def divert(settings: Settings, run: Callable[..., str] = command.run, bridge: str = BRIDGE) -> None:
    """Put the rules in place, whatever stood there before; needs root."""
    if settings.general.bridged:
        check_bridge(settings, run, bridge)
    run(["nft", "-f", "-"], stdin=limit.rules(settings))
    for tool, family in chains.FAMILIES.items():
        _restore(tool, chains.plan(_listing(tool, run), family(settings)), run)


def undivert(run: Callable[..., str] = command.run) -> None:
    """Take the rules away; done already is well too. Everything is tried before an error is raised."""
    with contextlib.ExitStack() as later:
        later.callback(run, ["nft", "-f", "-"], stdin=limit.forget())
        for tool in reversed(tuple(chains.FAMILIES)):
            later.callback(_clear, tool, run)


def missing(settings: Settings, run: Callable[..., str] = command.run) -> list[str]:
    """The rules that are not in place, as texts for an operator; CommandError when that cannot be seen."""
    found = []
    for tool, family in chains.FAMILIES.items():
        wanted = family(settings)
        lines = chains.missing(_listing(tool, run), wanted) if wanted else []
        found += [f"{tool} -t mangle {line}" for line in lines]
    wanted_tables = limit.tables(settings)
    if wanted_tables:
        there = run(["nft", "list", "tables"]).splitlines()
        found += [f"nft {table}" for table in wanted_tables if table not in there]
    return found


def dropped(settings: Settings, run: Callable[..., str] = command.run) -> dict[str, int]:
    """Packets that were too many, by tap, since the rules were set; CommandError when that cannot be seen."""
    counts: dict[str, int] = {}
    for table in limit.tables(settings):
        listing = run(["nft", "-j", "list", "set", *table.split()[1:], limit.COUNTERS])
        for tap, packets in limit.dropped(listing).items():
            counts[tap] = counts.get(tap, 0) + packets
    return counts


def check_bridge(settings: Settings, run: Callable[..., str] = command.run, bridge: str = BRIDGE) -> None:
    """Make sure that packets of bridges pass iptables; set the switches if we may, load their module if we can."""
    switches = {"bridge-nf-call-iptables": settings.dhcp.enable, "bridge-nf-call-ip6tables": settings.ipv6.enable}
    for name in (name for name, wanted in switches.items() if wanted):
        path, key = f"{bridge}/{name}", f"net.bridge.{name}"
        value = "unreadable"
        try:
            try:
                value = _read(path)
            except FileNotFoundError:
                run(["modprobe", "br_netfilter"])
                value = _read(path)
            if value != "1":
                with open(path, "w", encoding="ascii") as file:
                    file.write("1")
        except FileNotFoundError as err:
            raise DivertError(f"sysctl {key} is missing: the module br_netfilter is not there") from err
        except CommandError as err:
            raise DivertError(f"sysctl {key} is missing: load the module br_netfilter ({err})") from err
        except OSError as err:
            raise DivertError(f"sysctl {key} must be 1, is {value}: {err.strerror}") from err


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def _clear(tool: str, run: Callable[..., str]) -> None:
    _restore(tool, chains.plan(_listing(tool, run), []), run)


def _listing(tool: str, run: Callable[..., str]) -> str:
    return run([tool, "-w", "10", "-t", "mangle", "-S"])


def _restore(tool: str, text: str, run: Callable[..., str]) -> None:
    if text:
        run([f"{tool}-restore", "-w", "10", "--noflush"], stdin=text)
