"""nfdhcpdctl: asks the running daemon, and tells what it says."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from ganeti_ext import ask as ask_of
from ganeti_ext import kernelqueue, metric, tool
from ganeti_ext.errors import ExtError
from nfdhcpd import divert, metrics, tell
from nfdhcpd import settings as settings_of
from nfdhcpd.describe import describe
from nfdhcpd.probe import PROBES
from nfdhcpd.settings import General

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ganeti_ext.metric import Family
    from ganeti_ext.session import Record

DAEMON = ask_of.Daemon("nfdhcpd", "nfdhcpd")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 1 what was asked for is not there; 2 usage; 69 no daemon answers."""
    arguments = _arguments(argv)
    return tool.run("nfdhcpdctl", lambda: VERBS[arguments.verb](arguments), stopped=0)


def _list(arguments: argparse.Namespace) -> int:
    records = ask(arguments.socket, {"do": "list"})
    _print(map(json.dumps, records) if arguments.json else tell.table(records))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    about, *answers = ask(arguments.socket, {"do": "show", "tap": arguments.tap})
    if arguments.json:
        _print([json.dumps(about), *map(_with_words, answers)])
        return 0
    _print(tell.guest(about))
    for answer in answers:
        _print(["", *tell.answer(answer)])
    return 0


def _test(arguments: argparse.Namespace) -> int:
    request = {"do": "test", "tap": arguments.tap, **({"ask": arguments.ask} if arguments.ask else {})}
    answers = list(ask(arguments.socket, request))
    if arguments.json:
        _print(map(_with_words, answers))
    else:
        for number, answer in enumerate(answers):
            _print([""] * bool(number))
            _print(tell.answer(answer))
    # What was asked for by name must be answered; of all that there is, something.
    found = ["told" in answer for answer in answers]
    return 0 if (all(found) if arguments.ask else any(found)) else 1


def _watch(arguments: argparse.Namespace) -> int:
    request = {"do": "watch", **({"tap": arguments.tap} if arguments.tap else {})}
    for record in ask(arguments.socket, request, patience=None):
        if "watching" in record:
            sys.stderr.write(f"watching {arguments.tap or 'all taps'}; Ctrl-C ends it\n")
            continue
        _print([json.dumps(record) if arguments.json else tell.transaction(record)])
        sys.stdout.flush()
    return 0


def _metrics(arguments: argparse.Namespace) -> int:
    _print(metric.text(_families(arguments)))
    return 0


VERBS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "list": _list,
    "show": _show,
    "watch": _watch,
    "test": _test,
    "metrics": _metrics,
}


def ask(path: str, request: Record, patience: float | None = ask_of.PATIENCE) -> Iterator[Record]:
    """The records of nfdhcpd's answer, see ganeti_ext/ask.py."""
    return ask_of.ask(path, request, DAEMON, patience)


def _families(arguments: argparse.Namespace) -> Iterator[Family]:
    told = list(ask(arguments.socket, {"do": "metrics"}))
    yield from metric.families(told)
    yield from kernelqueue.families(kernelqueue.read(), told[0]["queues"])
    dropped = _limited(arguments.config)
    if dropped:
        listed = ask(arguments.socket, {"do": "list"})
        yield metrics.limited(dropped, {record["tap"]: record["instance"] for record in listed if "why" not in record})


def _limited(config: str) -> dict[str, int]:
    """Nothing where we may not look: that takes CAP_NET_ADMIN."""
    try:
        return divert.dropped(settings_of.load(config))
    except ExtError:
        return {}


def _with_words(answer: Record) -> str:
    if "frame" in answer:
        answer["words"] = list(describe(bytes.fromhex(answer["frame"])))
    return json.dumps(answer)


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _socket(config: str) -> str:
    """Where the configuration says; where it is by default, if that is bad: the daemon runs with an older one."""
    try:
        return settings_of.load(config).general.control
    except ExtError:
        return General().control


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    everywhere = argparse.ArgumentParser(add_help=False)
    everywhere.add_argument("--config", default=settings_of.PATH, help="configuration file (default: %(default)s)")
    everywhere.add_argument("--socket", metavar="PATH", help="the daemon's socket (default: as the configuration says)")
    shown = argparse.ArgumentParser(add_help=False, parents=[everywhere])
    shown.add_argument("--json", action="store_true", help="a JSON object a line")
    parser = argparse.ArgumentParser("nfdhcpdctl", description="Ask nfdhcpd whom it serves, and how.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    verbs.add_parser("list", parents=[shown], help="all taps, and bindings that are not served")
    show = verbs.add_parser("show", parents=[shown], help="all about a tap, and what its guest is told")
    watch = verbs.add_parser("watch", parents=[shown], help="what is asked and answered, as it happens")
    test = verbs.add_parser("test", parents=[shown], help="what the guest of a tap would be answered")
    verbs.add_parser("metrics", parents=[everywhere], help="metrics for Prometheus, once")
    for verb in (show, test):
        verb.add_argument("tap", metavar="TAP")
    watch.add_argument("tap", metavar="TAP", nargs="?")
    for name in PROBES:
        about = f"to {tell.PROBES[name]}"
        test.add_argument(f"--{name}", dest="ask", action="append_const", const=name, help=about)
    arguments = parser.parse_args(argv)
    arguments.socket = arguments.socket or _socket(arguments.config)
    return arguments
