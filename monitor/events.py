"""ganeti-ext-events: what Ganeti does, as it happens, in plain words."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from typing import TYPE_CHECKING

from ganeti_ext import tool
from ganeti_ext.ask import Unavailable, ask
from ganeti_ext.errors import ExtError
from monitor import daemon, settings, standing, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ganeti_ext.session import Record
    from monitor.daemon import Place

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Exit code 0; 1 refused; 2 usage; 3 wrong configuration; 69 nobody answers."""
    arguments = _arguments(argv)
    work = _tail if arguments.verb == "tail" else _status
    return tool.run("ganeti-ext-events", lambda: work(arguments), stopped=0)


def _tail(arguments: argparse.Namespace) -> int:
    for record in _records(arguments):
        if "tailing" in record:
            sys.stderr.write(f"{_greeting(record)}; Ctrl-C ends it\n")
        elif "lost" in record:
            sys.stderr.write(f"{record['lost']} events came faster than they were read, and are not shown\n")
        else:
            sys.stdout.write(f"{json.dumps(record) if arguments.json else words.line(record)}\n")
            sys.stdout.flush()
    return 0


def _records(arguments: argparse.Namespace) -> Iterator[Record]:
    places = {place.name: place for place in daemon.here(settings.load(arguments.config).sockets)}
    if arguments.broker is None and not arguments.consumer and ("eventd" in places or arguments.socket):
        return _asked(arguments, places.get("eventd", daemon.PLACES[2]))
    if arguments.consumer:
        return _asked(arguments, places.get("consumer", daemon.PLACES[3]))
    if arguments.since is not None:
        raise ExtError("--since: a queue of our own in the broker has only what comes from now on")
    from monitor import broker  # noqa: PLC0415 (its library is there on request)

    urls = broker.address(arguments.broker or "", arguments.password_file, broker.password_environment())
    return broker.listen(urls, arguments.instance)


def _asked(arguments: argparse.Namespace, place: Place) -> Iterator[Record]:
    request: Record = {"do": "tail"}
    if arguments.instance:
        request["instance"] = arguments.instance
    if arguments.since is not None:
        request["since"] = arguments.since
    try:
        yield from ask(arguments.socket or place.path, request, place.daemon, None)
    except Unavailable as err:
        other = "; or, on another machine: ganeti-ext-events tail --broker amqp://USER@HOST/VHOST"
        raise Unavailable(f"{err}{other}") from err


def _greeting(record: Record) -> str:
    if "broker" in record:
        return f"listening to {record['broker']}"
    node, master = record.get("node"), record.get("master")
    if record.get("is_master") is not False:
        return f"watching {node or 'what is applied'}"
    where = (
        f"on the master: ssh {master} ganeti-ext-events tail" if master else "on the master, which is not known here"
    )
    return f"{node} is not the master: jobs are told {where}; watching notes of hooks alone"


def _status(arguments: argparse.Namespace) -> int:
    places = [place for place in daemon.here(settings.load(arguments.config).sockets) if place.name in standing.ASKED]
    missing = []
    for place in places:
        try:
            (record,) = ask(place.path, {"do": "status"}, place.daemon)
        except Unavailable as err:
            missing.append(str(err))
            continue
        sys.stdout.writelines(
            f"{line}\n" for line in ([json.dumps(record)] if arguments.json else standing.lines(record, time.time()))
        )
    if missing:
        raise Unavailable("\nganeti-ext-events: ".join(missing))
    return 0


def moment(text: str, now: float) -> float:
    """When --since means, in seconds since the epoch: 30s 10m 2h 1d, HH:MM[:SS], or YYYY-MM-DD[ HH:MM[:SS]]."""
    if found := re.fullmatch(r"(\d+)([smhd])", text):
        return now - int(found[1]) * _UNITS[found[2]]
    today = time.strftime("%Y-%m-%d", time.localtime(now))
    for form in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        for full in (text.replace("T", " "), f"{today} {text}"):
            try:
                return time.mktime(time.strptime(full, form))
            except ValueError:
                continue
    raise argparse.ArgumentTypeError(f"{text!r} is neither 10m, nor 14:30, nor 2026-01-31 14:30")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    everywhere = argparse.ArgumentParser(add_help=False)
    everywhere.add_argument("--config", default=settings.PATH, metavar="FILE", help="default: %(default)s")
    everywhere.add_argument("--json", action="store_true", help="a JSON object a line")
    parser = argparse.ArgumentParser("ganeti-ext-events", description="Show what Ganeti does, as it happens.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    verbs.add_parser("status", parents=[everywhere], help="how the daemons of the update path on this machine stand")
    tail = verbs.add_parser("tail", parents=[everywhere], help="each event as it is told")
    tail.add_argument("--instance", metavar="NAME", help="of this instance alone")
    when = "also what was told from then on: 10m, 14:30, 2026-01-31 14:30"
    tail.add_argument("--since", metavar="TIME", type=lambda text: moment(text, time.time()), help=when)
    source = tail.add_mutually_exclusive_group()
    source.add_argument("--socket", metavar="PATH", help="of the daemon to ask (default: this node's eventd)")
    source.add_argument(
        "--broker",
        nargs="?",
        const="",
        metavar="URL",
        help="listen to RabbitMQ at amqp[s]://USER@HOST/VHOST (default: as this machine's configuration says)",
    )
    source.add_argument("--consumer", action="store_true", help="what the front's consumer on this machine applies")
    tail.add_argument("--password-file", default="", metavar="FILE", help="holds the password for --broker")
    return parser.parse_args(argv)
