"""The rules that divert the guests' discovery to the daemon, and nothing else of their traffic.

They stand in a chain of their own behind a jump that looks at the protocol first: every packet of the host passes
mangle PREROUTING. No --queue-bypass: while no daemon listens, the kernel drops what is diverted.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ganeti_ext import command
from ganeti_ext.errors import CommandError, ExtError

if TYPE_CHECKING:
    from collections.abc import Callable

    from nfdhcpd.settings import General, Settings

CHAIN = "nfdhcpd"
BRIDGE = "/proc/sys/net/bridge"
_DHCP = "-p udp -m udp --dport 67"
_SOLICIT = "-p ipv6-icmp -m icmp6 --icmpv6-type 133"


class DivertError(ExtError):
    """The packets of guests cannot be diverted."""


def divert(settings: Settings, run: Callable[..., str] = command.run, bridge: str = BRIDGE) -> None:
    """Put the rules in place, whatever stood there before; needs root."""
    general, dhcp, ipv6, *_ = settings
    if general.bridged:
        check_bridge(settings, run, bridge)
    for tool, wanted, match, queue in (
        ("iptables", dhcp.enable, _DHCP, dhcp.queue),
        ("ip6tables", ipv6.enable, _SOLICIT, ipv6.queue),
    ):
        rules = chain(general, queue) if wanted else []
        _restore(tool, plan(_listing(tool, run), match, rules), run)


def undivert(run: Callable[..., str] = command.run) -> None:
    """Take the rules away; done already is well too. Both families are tried before an error is raised."""
    with contextlib.ExitStack() as later:
        for tool in ("ip6tables", "iptables"):
            later.callback(_clear, tool, run)


def chain(general: General, queue: int) -> list[str]:
    """What follows the jump: a tap as the port of a bridge, and a routed one."""
    target = f"-j NFQUEUE --queue-num {queue}"
    rules = [f"-m physdev --physdev-in {general.tap_prefix}+ {target}"] if general.bridged else []
    return [*rules, f"-i {general.tap_prefix}+ {target}"]


def plan(listing: str, match: str, rules: list[str]) -> str:
    """The text for iptables-restore --noflush: out of `iptables -S`, one transaction to the wanted state.

    No rules means that the chain goes; an empty text that there is nothing to do.
    """
    lines = [line.strip() for line in listing.splitlines()]
    exists = f"-N {CHAIN}" in lines
    # Every jump goes, whichever version or configuration of ours put it there.
    steps = ["-D" + line[2:] for line in lines if line.startswith("-A ") and line.endswith(f"-j {CHAIN}")]
    if rules:
        # Naming a chain empties it.
        steps = [f":{CHAIN} - [0:0]", *steps, *(f"-A {CHAIN} {rule}" for rule in rules)]
        steps.append(f"-I PREROUTING {match} -j {CHAIN}")
    elif exists:
        steps += [f"-F {CHAIN}", f"-X {CHAIN}"]
    return "\n".join(["*mangle", *steps, "COMMIT", ""]) if steps else ""


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
    _restore(tool, plan(_listing(tool, run), "", []), run)


def _listing(tool: str, run: Callable[..., str]) -> str:
    return run([tool, "-w", "10", "-t", "mangle", "-S"])


def _restore(tool: str, text: str, run: Callable[..., str]) -> None:
    if text:
        run([f"{tool}-restore", "-w", "10", "--noflush"], stdin=text)
