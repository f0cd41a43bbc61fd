"""ganeti-ext-net: tells what is set for the taps of this node, and why; sweeps, checks and explains."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from typing import TYPE_CHECKING

from ganeti_ext import tool
from ganeti_ext.errors import ConfigError, ExtError
from kvm_ifup import answer, bridges, explain, inquiry, ours, packet, sweep, tell
from kvm_ifup import settings as settings_of
from kvm_ifup.check import Check
from kvm_ifup.check_rules import Finding
from kvm_ifup.standing import Node

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

DROPPED = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 1 something is wrong; 2 usage; 3 configuration; 4 explain: it is dropped."""
    arguments = _arguments(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="ganeti-ext-net: %(message)s")
    return tool.run("ganeti-ext-net", lambda: VERBS[arguments.verb](arguments))


def _list(arguments: Namespace) -> int:
    found = list(inquiry.Inquiry(settings_of.load(arguments.config)).taps())
    _print(arguments, found, tell.taps)
    return 1 if any("error" in facts for facts in found) else 0


def _show(arguments: Namespace) -> int:
    found = inquiry.Inquiry(settings_of.load(arguments.config)).tap(arguments.tap)
    _print(arguments, [found], _each(tell.tap))
    return 0


def _profiles(arguments: Namespace) -> int:
    if arguments.check:
        wrong = [{"file": path, "error": error} for path in arguments.check for error in inquiry.errors(path)]
        _print(arguments, wrong, tell.errors)
        return 1 if wrong else 0
    found = list(inquiry.Inquiry(settings_of.load(arguments.config)).profiles())
    _print(arguments, found, tell.profiles)
    return 1 if any("error" in facts for facts in found) else 0


def _check(arguments: Namespace) -> int:
    _root("check looks at the kernel's rules")
    try:
        settings = settings_of.load(arguments.config)
    except ConfigError as err:
        found, taps = [Finding(None, str(err), "correct that: until then no instance starts")], 0
    else:
        check = Check(settings, inquiry.Inquiry(settings).records, Node())
        found, taps = list(check.findings()), len(check.taps)
    _print(arguments, [one._asdict() for one in found], lambda found: tell.findings(found, taps))
    return 1 if found else 0


def _reap(arguments: Namespace) -> int:
    _root("reap undoes rules and routes")
    settings = settings_of.load(arguments.config)
    records = inquiry.Inquiry(settings).records
    host = sweep.Accountant(records)
    if arguments.tap:
        _print(arguments, sweep.undo(arguments.tap, records, host, force=arguments.force), tell.undone)
        return 0
    done, failed = sweep.sweep(settings, records, host)
    _print(arguments, done, tell.undone)
    return 1 if failed else 0


def _rules(arguments: Namespace) -> int:
    _root("rules are the kernel's")
    if arguments.remove:
        ours.remove()
        _print(arguments, ["removed; `systemctl reload ganeti-ext-reaper` puts back what taps must have"], iter)
    else:
        _print(arguments, ours.listed(), iter)
    return 0


def _explain(arguments: Namespace) -> int:
    settings = settings_of.load(arguments.config)
    record = inquiry.Inquiry(settings).record(arguments.tap)
    found = answer.answer(record, arguments.direction, arguments.words, settings, Node())
    _print(arguments, [found], _each(tell.explanation))
    return DROPPED if found["verdict"] == explain.DROP else 0


def _bridges(arguments: Namespace) -> int:
    if arguments.do == "show":
        _print(arguments, bridges.rows(bridges.links()), tell.bridges)
        return 0
    _root(f"bridges {arguments.do} changes the node's interfaces")
    wanted = bridges.Wanted(arguments.link, arguments.prefix, arguments.vlans, getattr(arguments, "mtu", None))
    there = bridges.links()
    kept: dict[str, str] = {}
    if arguments.do == "up":
        lines = bridges.up(wanted, there)
    else:
        lines, kept = bridges.down(wanted, there)
    bridges.apply(lines)
    stay = [{"kept": name, "why": why} for name, why in kept.items()]
    _print(arguments, [*({"did": line} for line in lines), *stay], tell.bridged)
    return 1 if kept else 0


VERBS: Mapping[str, Callable[[Namespace], int]] = {
    "list": _list,
    "show": _show,
    "profiles": _profiles,
    "check": _check,
    "reap": _reap,
    "rules": _rules,
    "explain": _explain,
    "bridges": _bridges,
}


def _root(why: str) -> None:
    if os.geteuid() != 0:
        raise ExtError(f"{why}: be root")


def _each(lines: Callable[[Any], Iterable[str]]) -> Callable[[Iterable[Any]], Iterator[str]]:
    return lambda found: (line for one in found for line in lines(one))


def _print(arguments: Namespace, found: Iterable[Any], words: Callable[[Iterable[Any]], Iterable[str]]) -> None:
    lines = map(json.dumps, found) if arguments.json else words(found)
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _arguments(argv: Sequence[str] | None) -> Namespace:
    shown = argparse.ArgumentParser(add_help=False)
    shown.add_argument("--json", action="store_true", help="a JSON object a line")
    shown.add_argument(
        "--config", default=settings_of.PATH, metavar="FILE", help="configuration file (default: %(default)s)"
    )
    parser = argparse.ArgumentParser("ganeti-ext-net", description="What is set for the taps of this node, and why.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    verbs.add_parser("list", parents=[shown], help="all taps that have a record")
    show = verbs.add_parser("show", parents=[shown], help="all about a tap")
    show.add_argument("tap", metavar="TAP")
    profiles = verbs.add_parser("profiles", parents=[shown], help="firewall profiles and their rules")
    profiles.add_argument("--check", nargs="+", metavar="FILE", help="only look whether these files are good")
    verbs.add_parser("check", parents=[shown], help="compare what must stand with what does")
    reap = verbs.add_parser("reap", parents=[shown], help="undo what taps that are gone have left")
    reap.add_argument("tap", metavar="TAP", nargs="?", help="only what this one has")
    reap.add_argument("--force", action="store_true", help="even if the tap is there")
    rules = verbs.add_parser("rules", parents=[shown], help="all rules of this node that are ours")
    rules.add_argument("--remove", action="store_true", help="take them away: no tap is judged then")
    why = verbs.add_parser("explain", parents=[shown], help="which rule decides about a packet")
    why.add_argument("tap", metavar="TAP")
    why.add_argument("direction", choices=(packet.IN, packet.OUT), help="to the guest, or out of it")
    why.add_argument("words", metavar="WORD", nargs="*", help="such as src=192.0.2.1 tcp dport=22")
    _bridge_arguments(verbs.add_parser("bridges", help="bridges for networks that have a VLAN each"), shown)
    arguments, rest = parser.parse_known_args(argv)
    if rest and (arguments.verb != "explain" or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:  # words behind an option
        arguments.words += rest
    if arguments.verb == "reap" and arguments.force and not arguments.tap:
        parser.error("--force needs a TAP")
    return arguments


def _bridge_arguments(parser: argparse.ArgumentParser, shown: argparse.ArgumentParser) -> None:
    does = parser.add_subparsers(dest="do", required=True, metavar="DO")
    does.add_parser("show", parents=[shown], help="those that this command has made")
    make = does.add_parser("up", parents=[shown], help="make those that are missing")
    make.add_argument("--mtu", type=int, help="their MTU (default: that of the link)")
    remove = does.add_parser("down", parents=[shown], help="remove those that this command has made and nobody uses")
    for one in (make, remove):
        one.add_argument("--link", required=True, help="the interface that the VLANs come by")
        one.add_argument("--prefix", required=True, help="what the bridges' names have before the VLAN")
        one.add_argument("--vlans", required=True, type=_vlans, help="such as 100-199,300")


def _vlans(text: str) -> tuple[int, ...]:
    try:
        return bridges.vlans(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err
